from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(project: Path, message: str) -> str:
    """Commit everything. Return the short hash."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)
    return git(project, "rev-parse", "--short=12", "HEAD")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with an image's context in app/api and one commit."""
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    project = tmp_path / "project"
    context = project / "app/api"
    (context / "settlement").mkdir(parents=True)
    (context / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n")
    (context / "requirements.txt").write_text("idna==3.10 \\\n    --hash=sha256:00\nsniffio==1.3.1 --hash=sha256:01\n")
    (context / "start.sh").write_text("#!/bin/sh\n")
    (context / "start.sh").chmod(0o755)
    (context / "settlement/app.py").write_text("")
    (project / ".gitignore").write_text("*.log\n")
    git(project.parent, "init", "--quiet", str(project))
    commit(project, "feat: begin")
    return project


@pytest.fixture
def library(project: Path) -> Path:
    """A library beside the context, committed later than the context."""
    folder = project / "src/tiny"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
        "[project]\nname = 'tiny'\nversion = '0'\nrequires-python = '>=3.11'\n"
        "[tool.hatch.build.targets.wheel]\ninclude = ['*.py']\nsources = {'' = 'tiny'}\n"
    )
    (folder / "__init__.py").write_text("x = 1\n")
    commit(project, "feat: a library")
    return folder


@pytest.fixture
def docker_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove Docker's variables, and restore them: a connection sets them for the whole process."""
    before = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    for name in before:
        monkeypatch.delenv(name)
    yield
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        del os.environ[name]
    os.environ.update(before)
