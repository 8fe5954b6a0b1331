"""Who may run the suite: a user who is not root, on a machine with Docker and its images."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests import prepare


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a user who cannot become root, with only the programs of this folder, which are those that the tests call."""
    wanted = ("docker", "jq", "initdb", *prepare.BROWSERS)
    for found in filter(None, map(shutil.which, wanted)):
        (tmp_path / Path(found).name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    return tmp_path


def test_nothing_else_is_needed(programs: Path) -> None:
    assert prepare.main() == 0


def test_one_sentence_names_what_is_missing(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (programs / "jq").unlink()
    assert prepare.main() == 1
    (sentence,) = (line for line in capsys.readouterr().err.splitlines() if "cannot run" in line)
    assert "jq" in sentence
    assert "Next: " in sentence
