"""Results of git that do not depend on the user's settings and variables."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image import git as asked
from fargate_ops.image.git import commit_times, newest_commit, work_tree
from fargate_ops.image.source import read_source
from tests.unit.image.conftest import commit, git

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives a checkout to another user")


def changed(directory: Path) -> tuple[str, ...]:
    with work_tree(directory) as tree:
        return tree.changed


def sign(project: Path) -> None:
    """Put a signature that nobody can verify into the newest commit."""
    head, _, message = git(project, "cat-file", "commit", "HEAD").partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n wsB=\n -----END PGP SIGNATURE-----"
    (project.parent / "signed").write_text(f"{head}\n{signature}\n\n{message}\n")
    signed = git(project, "hash-object", "-t", "commit", "-w", str(project.parent / "signed"))
    git(project, "reset", "--quiet", "--hard", signed)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param("[log]\n showSignature = true\n date = relative\n follow = true\n", id="log"),
        pytest.param("[core]\n abbrev = 5\n quotePath = true\n", id="abbreviation and quotes"),
        pytest.param("[status]\n showUntrackedFiles = no\n relativePaths = true\n branch = true\n", id="status"),
        pytest.param("[core]\n excludesFile = ~/ignored\n", id="a list of ignored files"),
        pytest.param("[diff]\n external = false\n noprefix = true\n renames = copies\n relative = true\n", id="diff"),
        pytest.param("[color]\n ui = always\n[format]\n pretty = oneline\n", id="colour and format"),
        pytest.param("[i18n]\n logOutputEncoding = UTF-16\n", id="encoding"),
        pytest.param("[core]\n fsmonitor = /bin/false\n hooksPath = ~/hooks\n", id="programs"),
        pytest.param(
            "[core]\n splitIndex = true\n untrackedCache = true\n safecrlf = true\n autocrlf = input\n", id="index"
        ),
    ],
)
def test_settings_of_the_user_decide_nothing(project: Path, tmp_path: Path, settings: str) -> None:
    sign(project)
    before = read_source(project / "app/api", allow_dirty=False)
    (tmp_path / "home/ignored").write_text("*.tfvars\nextra.tf\nnew ä.py\n")
    hook = tmp_path / "home/hooks/post-index-change"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    (tmp_path / "home/.gitconfig").write_text(settings)

    assert changed(project) == ()
    assert read_source(project / "app/api", allow_dirty=False) == before

    (project / "terraform").mkdir()
    for path in ("terraform/extra.tf", "terraform/terraform.tfvars", "terraform/x.auto.tfvars", "app/api/new ä.py"):
        (project / path).write_bytes(b"a\r\n")
    (project / "app/api/start.sh").rename(project / "app/api/begin.sh")
    assert set(changed(project)) == {
        "terraform/extra.tf",
        "terraform/terraform.tfvars",
        "terraform/x.auto.tfvars",
        "app/api/new ä.py",
        "app/api/start.sh",
        "app/api/begin.sh",
    }
    with pytest.raises(ProblemError, match=r"new ä\.py"):
        read_source(project / "app/api", allow_dirty=False)
    assert not (tmp_path / "hooked").exists()
    assert not list((project / ".git").glob("sharedindex*"))


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "/nonexistent"},
        {"GIT_INDEX_FILE": "/nonexistent"},
        {"GIT_OBJECT_DIRECTORY": "/nonexistent"},
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.worktree", "GIT_CONFIG_VALUE_0": "/nonexistent"},
        {"GIT_LITERAL_PATHSPECS": "1", "GIT_NAMESPACE": "other"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_variables_of_the_shell_decide_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    before = read_source(project / "app/api", allow_dirty=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert read_source(project / "app/api", allow_dirty=False) == before


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_the_index_is_told_to_ignore_is_seen(project: Path, flag: str) -> None:
    git(project, "update-index", flag, "app/api/start.sh")
    assert changed(project) == ()
    (project / "app/api/start.sh").write_text("changed\n")
    assert changed(project) == ("app/api/start.sh",)


def test_files_that_a_sparse_checkout_leaves_out_are_no_change(project: Path) -> None:
    (project / "docs").mkdir()
    (project / "docs/long.md").touch()
    commit(project, "docs: long")
    git(project, "sparse-checkout", "set", "app")
    assert not (project / "docs/long.md").exists()
    assert changed(project) == ()


def test_looking_writes_nothing_into_the_repository(project: Path) -> None:
    def written() -> set[tuple[str, int]]:
        return {(str(path), path.stat().st_mtime_ns) for path in (project / ".git").rglob("*") if path.is_file()}

    (project / "app/api/new.py").write_text("x = 1\n")
    before = written()
    assert changed(project) == ("app/api/new.py",)
    assert written() == before


def test_a_replaced_object_is_not_what_was_committed(project: Path) -> None:
    before = read_source(project / "app/api", allow_dirty=False)
    blob = git(project, "rev-parse", "HEAD:app/api/start.sh")
    (project.parent / "other").write_text("other\n")
    other = git(project, "hash-object", "-w", str(project.parent / "other"))
    git(project, "replace", blob, other)
    assert read_source(project / "app/api", allow_dirty=False) == before


def test_a_folder_that_became_a_file_and_the_other_way_round(project: Path) -> None:
    shutil.rmtree(project / "app/api/settlement")
    (project / "app/api/settlement").touch()
    (project / "app/api/start.sh").unlink()
    (project / "app/api/start.sh").mkdir()
    (project / "app/api/start.sh/inner").touch()
    files = {file.path for file in read_source(project / "app/api", allow_dirty=True).files}
    assert files == {"Dockerfile", "requirements.txt", "settlement", "start.sh/inner"}


def test_an_object_that_is_missing_is_named(project: Path) -> None:
    blob = git(project, "rev-parse", "HEAD:app/api/start.sh")
    found = newest_commit(project)
    assert found is not None
    (project / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(ProblemError, match=f"lacks the object {blob}"):
        asked.entries(project, found.name)


def test_outside_git_the_error_is_gits(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="not a git repository") as caught:
        read_source(tmp_path, allow_dirty=True)
    assert caught.value.problem.next_step == "run this from a git clone of the project"


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", ".")
    with pytest.raises(ProblemError) as caught:
        read_source(tmp_path, allow_dirty=True)
    assert caught.value.problem.next_step == "git add --all && git commit"


@needs_root
def test_a_checkout_of_another_user(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    for path in (project, project / ".git"):
        os.chown(path, 54321, 54321)
    with pytest.raises(ProblemError, match="dubious ownership") as caught:
        changed(project / "app/api")
    assert caught.value.problem.next_step == f"git config --global --add safe.directory {project}"
    # The checkout with the running code is not refused.
    monkeypatch.setitem(asked._SETTINGS, "safe.directory", str(project))
    assert changed(project / "app/api") == ()


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProblemError, match="git is not installed"):
        read_source(tmp_path, allow_dirty=True)


def test_the_time_of_each_commit_that_the_clone_has(project: Path) -> None:
    first = git(project, "rev-parse", "--short=12", "HEAD")
    (project / "app/api/start.sh").write_text("committer Mallory <m@example.com> 1 +0000\n")
    second = commit(project, "fix: it\n\ncommitter Mallory <m@example.com> 1 +0000")
    blob = git(project, "rev-parse", "HEAD:app/api/start.sh")
    sign(project)
    signed = git(project, "rev-parse", "HEAD")
    wanted = [first, "0123456789ab", second, f"{second}-dirty-12345678", signed, blob, "HEAD", "a\nb", first]
    found = commit_times(project / "app/api", wanted)
    assert {name: int(at.timestamp()) for name, at in found.items()} == {
        name: int(git(project, "show", "--no-patch", "--format=%ct", name)) for name in (first, second, signed)
    }
    assert commit_times(project, ["HEAD"]) == {}
