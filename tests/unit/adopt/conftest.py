from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fargate_ops.adopt.adoption import Repository
from fargate_ops.adopt.code import Code
from fargate_ops.adopt.project import Project
from tests.unit.adopt.projects import REFERENCE, SHARED
from tests.unit.image.conftest import commit, git

Make = Callable[[str, Mapping[str, str]], Path]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a folder with files, in a git repository of its own with one commit."""
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path))

    def make(name: str, files: Mapping[str, str]) -> Path:
        folder = tmp_path / name
        git(tmp_path, "init", "--quiet", str(folder))
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        commit(folder, "feat: begin")
        return folder

    return make


@pytest.fixture
def repository(checkout: Make) -> Repository:
    """A checkout of the operations: an inventory, and the reference application whose values it has."""
    environments = ("inventory/local/group_vars/all/app.yml", "inventory/production/group_vars/all/app.yml")
    files = {f"app/api/{path}": text for path, text in REFERENCE.items()} | dict.fromkeys(environments, "---\n")
    project = checkout("operations", files | {"inventory/shared.yml": SHARED})
    return Repository(project, project / "inventory", project / "app/api", "3.13")


def code(files: Mapping[str, str]) -> Code:
    return Code(Project.of(files))


def without(folder: Path, *paths: str) -> Path:
    """Remove files of a project, and commit it."""
    for path in paths:
        shutil.rmtree(folder / path) if (folder / path).is_dir() else (folder / path).unlink()
    commit(folder, "refactor: remove them")
    return folder
