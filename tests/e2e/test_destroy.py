"""An environment that is destroyed, and made again from nothing. A file of its own: it runs beside the road."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import PREFIX, Clone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_destroy_and_deploy_again(clone: Clone) -> None:
    clone.make("deploy")
    assert "Nothing was touched" in clone.make("destroy", expect=2).output
    run = clone.make("destroy", destroy_confirm=PREFIX)
    print(f"destroy: {run.seconds():.0f} s")
    clone.make("deploy")
    assert clone.request("/version")[1]["git_hash"] == clone.version()
