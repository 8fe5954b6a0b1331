from __future__ import annotations

import shutil
import subprocess
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image import engine
from fargate_ops.preflight.machine import (
    check_clock,
    check_disk,
    check_engine,
    check_git,
    check_identity,
    check_memory,
    check_programs,
    check_python,
)

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    path = tmp_path / "project"
    for arguments in (["init", "--quiet", str(path)], ["commit", "--quiet", "--allow-empty", "-m", "x"]):
        directory = tmp_path if arguments[0] == "init" else path
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", "-C", str(directory), *identity, *arguments], check=True)
    return path


def test_a_clean_checkout(repository: Path) -> None:
    finding = check_git(repository, allow_dirty=False, allow_shallow=False)
    assert finding.status == "OK"
    assert finding.summary.endswith(", clean")


def test_uncommitted_changes_are_refused_where_they_are_not_allowed(repository: Path) -> None:
    for number in range(7):
        (repository / f"file{number}").touch()
    refused = check_git(repository, allow_dirty=False, allow_shallow=False)
    assert refused.problems[0].what == "There are uncommitted changes: file0, file1, file2, file3, file4 and 2 more."
    allowed = check_git(repository, allow_dirty=True, allow_shallow=False)
    assert allowed.status == "OK"
    assert allowed.summary.endswith(", 7 uncommitted changes")


def test_an_untracked_file_is_a_change_whatever_the_users_settings_hide(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[status]\n showUntrackedFiles = no\n[core]\n excludesFile = ~/ignored\n")
    (tmp_path / "ignored").write_text("*.tfvars\n")
    (repository / "terraform").mkdir()
    for name in ("extra.tf", "terraform.tfvars"):
        (repository / "terraform" / name).touch()
    refused = check_git(repository, allow_dirty=False, allow_shallow=False)
    assert refused.problems[0].what == (
        "There are uncommitted changes: terraform/extra.tf, terraform/terraform.tfvars."
    )


def test_a_shallow_clone_is_refused_where_it_is_not_allowed(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{repository}", str(clone)], check=True)
    refused = check_git(clone, allow_dirty=False, allow_shallow=False)
    assert "git fetch --unshallow" in refused.problems[0].next_step
    assert check_git(clone, allow_dirty=False, allow_shallow=True).summary.endswith(", clean, shallow")


def test_no_checkout_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    finding = check_git(tmp_path, allow_dirty=True, allow_shallow=True)
    assert (finding.status, finding.summary) == ("FAIL", "no usable checkout")


def test_an_engine_that_answers_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(version=lambda: {"Version": "28.0", "Arch": "amd64"})
    monkeypatch.setattr(engine, "connect", lambda _: found)
    environment = {"DOCKER_HOST": "tcp://10.1.2.3:2375"}
    summary = check_engine(environment, "", may_start_later=False).summary
    assert summary == "Docker 28.0, amd64, tcp://10.1.2.3:2375 (DOCKER_HOST)"

    def refuse(_: object) -> None:
        raise ProblemError("No Docker engine answers", "socket", "start it")

    monkeypatch.setattr(engine, "connect", refuse)
    assert check_engine({}, "", may_start_later=False).problems[0].next_step == "start it"
    assert check_engine({}, "", may_start_later=True).status == "SKIP"
    # A wrong engine does not become the right one later.
    refused = check_engine(environment, "unix:///var/run/docker.sock", may_start_later=True)
    assert refused.problems[0].next_step == "unset DOCKER_HOST"


def test_free_space_is_looked_at_once_for_each_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 5 * 2**30))
    finding = check_disk([tmp_path, tmp_path / "not/there/yet"], 3)
    assert (finding.status, finding.summary) == ("OK", "5.0 GiB free")


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 2**29))
    finding = check_disk([tmp_path], 3)
    assert finding.problems[0].what == "Only 0.5 GiB are free, 3 are needed."


def test_an_unfinished_python_environment(tmp_path: Path) -> None:
    assert check_python(tmp_path).problems[0].next_step == "make venv"
    (tmp_path / ".ready").touch()
    assert check_python(tmp_path).summary.endswith(f", {tmp_path}")


def test_who_commits(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = check_identity(repository)
    assert [problem.what for problem in found.problems] == [
        "git has no user.name, so nothing can be committed.",
        "git has no user.email, so nothing can be committed.",
    ]
    for name in ("user.name", "user.email"):
        subprocess.run(["git", "-C", str(repository), "config", name, "ann"], check=True)
    assert check_identity(repository).status == "OK"


def test_available_memory(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    assert check_memory(1, meminfo).status == "SKIP"
    meminfo.write_text("MemTotal:  8388608 kB\nMemAvailable:  524288 kB\n")
    assert check_memory(0.5, meminfo).summary == "0.5 GiB available"
    assert check_memory(1, meminfo).problems[0].what == "Only 0.5 GiB of memory are available, 1 are needed."


def test_each_missing_program_is_named_with_its_installation() -> None:
    found = check_programs({"git": "install git", "no-such-program": "install that", "nor-this": "install this"})
    assert found.summary == "without no-such-program, nor-this"
    assert [problem.next_step for problem in found.problems] == ["install that", "install this"]
    assert check_programs({"git": "install git"}).status == "OK"


def test_a_clock_before_the_newest_commit_is_wrong(repository: Path, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert check_clock(repository, now + timedelta(seconds=1)).status == "OK"
    assert "before the newest commit" in check_clock(repository, now - timedelta(hours=1)).problems[0].what
    assert check_clock(tmp_path / "none", now).status == "SKIP"
