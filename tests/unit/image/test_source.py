from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.source import File, content_digest, origin, read_source, stage
from tests.unit.image.conftest import commit, git


def context(project: Path) -> Path:
    return project / "app/api"


def test_the_version_is_the_newest_commit_that_touches_the_context(project: Path) -> None:
    expected = git(project, "log", "-1", "--abbrev=12", "--format=%h", "--", "app/api")
    (project / "README.md").write_text("words\n")
    later = commit(project, "docs: words")

    source = read_source(context(project), allow_dirty=False)

    assert source.version == expected != later
    assert source.commit == git(project, "rev-parse", "HEAD~1")
    assert source.committed_at == datetime.fromtimestamp(int(git(project, "log", "-1", "--format=%ct", "HEAD~1")), UTC)
    assert not source.dirty
    assert [(file.path, file.executable) for file in source.files] == [
        ("Dockerfile", False),
        ("requirements.txt", False),
        ("settlement/app.py", False),
        ("start.sh", True),
    ]


def test_a_commit_to_a_library_beside_the_context_is_a_new_version(project: Path, library: Path) -> None:
    source = read_source(context(project), [library], allow_dirty=False)
    assert source.version == git(project, "rev-parse", "--short=12", "HEAD")
    assert [file.path for file in source.libraries[library]] == ["__init__.py", "pyproject.toml"]
    assert read_source(context(project), allow_dirty=False).version != source.version
    (project / "README.md").write_text("words\n")
    commit(project, "docs: words")
    assert read_source(context(project), [library], allow_dirty=False) == source


def test_an_uncommitted_change_of_a_library_makes_the_version_dirty(project: Path, library: Path) -> None:
    clean = read_source(context(project), [library], allow_dirty=True)
    (library / "__init__.py").write_text("x = 2\n")
    with pytest.raises(ProblemError, match=r"uncommitted changes: src/tiny/__init__\.py"):
        read_source(context(project), [library], allow_dirty=False)
    dirty = read_source(context(project), [library], allow_dirty=True)
    assert dirty.version.startswith(f"{clean.version}-dirty-")
    assert (dirty.files, dirty.libraries[library][0].content) == (clean.files, b"x = 2\n")
    (library / "__init__.py").write_text("x = 3\n")
    assert read_source(context(project), [library], allow_dirty=True).version != dirty.version


def test_a_context_in_a_repository_of_its_own_has_its_own_version(project: Path, library: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "Dockerfile").write_text("FROM scratch\n")
    git(tmp_path, "init", "--quiet", str(own))
    version = commit(own, "feat: begin")
    source = read_source(own, [library], allow_dirty=False)
    assert (source.version, len(source.libraries[library])) == (version, 2)
    (library / "__init__.py").write_text("x = 2\n")
    commit(project, "feat: more")
    later = read_source(own, [library], allow_dirty=False)
    assert (later.version, later.libraries[library][0].content) == (version, b"x = 2\n")


def test_a_change_outside_the_context_does_not_make_it_dirty(project: Path) -> None:
    before = read_source(context(project), allow_dirty=False)
    (project / "notes.txt").write_text("draft\n")
    (context(project) / "debug.log").write_text("ignored by git\n")
    assert read_source(context(project), allow_dirty=False) == before


def test_a_dirty_context_is_refused_where_it_is_not_allowed(project: Path) -> None:
    (context(project) / "requirements.txt").unlink()
    (context(project) / "new.py").write_text("x = 1\n")
    with pytest.raises(ProblemError, match=r"app/api/new\.py, app/api/requirements\.txt"):
        read_source(context(project), allow_dirty=False)


def test_a_dirty_version_names_what_is_there_and_not_when(project: Path) -> None:
    clean = read_source(context(project), allow_dirty=True)
    (context(project) / "new.py").write_text("x = 1\n")
    (context(project) / "start.sh").unlink()
    first = read_source(context(project), allow_dirty=True)
    assert first.dirty
    assert first.version.startswith(f"{clean.version}-dirty-")
    assert len(first.version) == len(clean.version) + len("-dirty-") + 8
    assert "new.py" in [file.path for file in first.files]
    assert "start.sh" not in [file.path for file in first.files]

    assert read_source(context(project), allow_dirty=True).version == first.version
    (context(project) / "new.py").write_text("x = 2\n")
    assert read_source(context(project), allow_dirty=True).version != first.version


def test_the_digest_sees_modes_and_boundaries() -> None:
    digests = {
        content_digest([File("a", False, b"bc")]),
        content_digest([File("a", True, b"bc")]),
        content_digest([File("ab", False, b"c")]),
        content_digest([File("a", False, b"b"), File("c", False, b"")]),
    }
    assert len(digests) == 4


def test_a_context_without_a_commit_has_no_version(project: Path) -> None:
    (project / "app/other").mkdir()
    with pytest.raises(ProblemError, match="No commit touches"):
        read_source(project / "app/other", allow_dirty=True)


@pytest.mark.parametrize("kind", ["link", "submodule", "folder"])
def test_what_is_not_a_file_is_refused_with_its_path_committed_or_not(project: Path, tmp_path: Path, kind: str) -> None:
    added = context(project) / "vendored"
    if kind == "link":
        added.symlink_to("Dockerfile")
    else:
        git(tmp_path, "clone", "--quiet", str(project), str(added))
    if kind == "folder":
        git(added, "update-ref", "-d", "HEAD")  # a repository without a commit
    with pytest.raises(ProblemError, match="regular files only") as caught:
        read_source(context(project), allow_dirty=True)
    assert caught.value.problem.where.rstrip("/") == "app/api/vendored"
    if kind != "folder":
        commit(project, "feat: vendored")
        with pytest.raises(ProblemError, match="regular files only") as caught:
            read_source(context(project), allow_dirty=False)
        assert caught.value.problem.where == "app/api/vendored"
        assert "git rm --cached app/api/vendored" in caught.value.problem.next_step


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"\0GITCRYPT\0secret"]
)
def test_a_pointer_or_a_cipher_in_place_of_a_file_is_refused(project: Path, content: bytes) -> None:
    (context(project) / "model.bin").write_bytes(content)
    commit(project, "feat: model")
    with pytest.raises(ProblemError, match="does not hold this file") as caught:
        read_source(context(project), allow_dirty=False)
    assert caught.value.problem.where == "app/api/model.bin"


@pytest.mark.parametrize(
    ("attributes", "settings"),
    [
        pytest.param("", "[core]\n autocrlf = true\n", id="line ends for Windows"),
        pytest.param("* text=auto eol=crlf\n", "", id="line ends by attribute"),
        pytest.param("*.py export-ignore\nstart.sh export-subst\n", "", id="export attributes"),
        pytest.param("*.sh ident\n", "", id="keywords"),
        pytest.param("*.sh filter=shout\n", "[filter 'shout']\n clean = rev\n smudge = rev\n", id="a filter"),
        pytest.param("*.sh working-tree-encoding=UTF-16LE eol=lf\n", "", id="an encoding"),
    ],
)
def test_the_files_are_the_commits_bytes(project: Path, tmp_path: Path, attributes: str, settings: str) -> None:
    stored = b"#!/bin/sh\necho $Format:%H$ $Id$\n"
    before = {file.path: file.content for file in read_source(context(project), allow_dirty=False).files}
    before |= {".gitattributes": attributes.encode(), "start.sh": stored}
    (context(project) / "start.sh").write_bytes(stored)
    git(project, "add", "--all")
    (context(project) / ".gitattributes").write_text(attributes)
    (tmp_path / "home/.gitconfig").write_text(settings.replace("'", '"'))
    git(project, "add", "app/api/.gitattributes")
    git(project, "commit", "--quiet", "--message", "feat: start")
    for path in git(project, "ls-files", "app/api/s*").splitlines():  # a checkout converts what it writes
        (project / path).unlink()
    git(project, "checkout", "--quiet", "--", "app/api/s*")

    source = read_source(context(project), allow_dirty=False)

    assert {file.path: file.content for file in source.files} == before
    (context(project) / "new.py").write_text("x = 1\n")
    dirty = {file.path: file.content for file in read_source(context(project), allow_dirty=True).files}
    assert dirty == {**before, "new.py": b"x = 1\n"}


def test_staging_replaces_what_was_there_and_makes_modes_and_times_the_same(tmp_path: Path) -> None:
    destination = tmp_path / "context"
    destination.mkdir()
    (destination / "stale").touch()
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "a.whl").write_bytes(b"wheel")
    (wheels / "a.whl").chmod(0o600)
    ca = tmp_path / "ca"
    ca.write_bytes(b"certificate")

    stage(
        [File("pkg/run.sh", True, b"#!"), File("pkg/mod.py", False, b"1")],
        [("wheels", wheels), ("rds-ca.pem", ca)],
        destination,
    )

    found = {str(path.relative_to(destination)): path.stat() for path in destination.rglob("*")}
    assert sorted(found) == ["pkg", "pkg/mod.py", "pkg/run.sh", "rds-ca.pem", "wheels", "wheels/a.whl"]
    assert {name: oct(stat.st_mode & 0o777) for name, stat in found.items() if "." in name} == {
        "pkg/mod.py": "0o644",
        "pkg/run.sh": "0o755",
        "rds-ca.pem": "0o644",
        "wheels/a.whl": "0o644",
    }
    assert {stat.st_mtime for stat in found.values()} == {datetime(2020, 1, 1, tzinfo=UTC).timestamp()}


def test_a_full_disk_while_staging_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(ProblemError, match="No space left on device") as caught:
        stage([File("a", False, b"")], [], tmp_path / "context")
    assert caught.value.problem.next_step.startswith("free some space")


@pytest.mark.parametrize(
    ("remote", "shown"),
    [
        ("https://github.com/owner/name.git", "https://github.com/owner/name"),
        ("https://user:token@github.com/owner/name.git", "https://github.com/owner/name"),
        ("http://git.example.com:8080/owner/name/", "http://git.example.com:8080/owner/name"),
        ("git@github.com:owner/name.git", "https://github.com/owner/name"),
        ("ssh://git@github.com:22/owner/name", "https://github.com/owner/name"),
        ("/srv/git/name.git", ""),
        ("file:///srv/git/name.git", ""),
        ("", ""),
    ],
)
def test_the_origin_is_told_without_credentials_and_without_local_paths(project: Path, remote: str, shown: str) -> None:
    if remote:
        git(project, "remote", "add", "origin", remote)
    assert origin(context(project)) == shown
