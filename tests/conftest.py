"""How the suite is spread over its workers (``--dist loadgroup``)."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file on one worker, in their order; each scenario of molecule may go to any."""
    for item in items:
        if item.path.name != "test_molecule.py":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
