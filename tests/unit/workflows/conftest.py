from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.unit.workflows.world import World

_INSTALLATION_SECONDS = 240


@pytest.fixture(scope="session", autouse=True)
def jq() -> None:
    """Wait for what the workflows' lines call: on a fresh machine, tests/prepare.py installs it meanwhile."""
    deadline = time.monotonic() + _INSTALLATION_SECONDS
    while not shutil.which("jq"):
        assert time.monotonic() < deadline, "jq is not on PATH. Next: apt-get install jq"
        time.sleep(0.5)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
