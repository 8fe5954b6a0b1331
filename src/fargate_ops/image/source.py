"""The image's version and files, as git stores them.

The version is the short hash of the newest commit that touches the context or a library in the same repository, so a
commit to anything else builds and releases nothing. A changed working tree adds a digest of its actual content, so that
two different trees never share a tag.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.git import WorkTree, entries, git, newest_commit, path_in_repository, repository, work_tree

#: Beginnings of files that only point to the content in the work tree, or encrypt it.
_STORED_ELSEWHERE = {b"version https://git-lfs.github.com/spec/": "Git LFS", b"\0GITCRYPT\0": "git-crypt"}
#: One time for every file of every build: an unchanged file gives an unchanged layer, whatever commit it is built at.
_MODIFIED = datetime(2020, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class File:
    """One file of the build context; `path` is relative to it, with forward slashes."""

    path: str
    executable: bool
    content: bytes


@dataclass(frozen=True)
class Source:
    """The context and the libraries (folder → files) at one commit, or a working tree that differs from it."""

    version: str
    commit: str
    committed_at: datetime
    dirty: bool
    files: tuple[File, ...]
    libraries: Mapping[Path, tuple[File, ...]]


def read_source(context: Path, libraries: Sequence[Path] = (), *, allow_dirty: bool) -> Source:
    """The version and files of the folder `context`, and the files of `libraries`, whose wheels go into it.

    The commits of a library in another repository do not count for the version. Raises ProblemError if a folder is not
    in a git work tree, has no commit, or is dirty and must not be.
    """
    root = repository(context)
    beside = [library for library in libraries if repository(library) == root]
    newest = newest_commit(context, *beside)
    if newest is None:
        raise ProblemError(
            "No commit touches the image's context, so it has no version.",
            str(context),
            f"git add {shlex.quote(str(context))} && git commit",
        )
    with ExitStack() as stack:
        trees = {folder: stack.enter_context(work_tree(folder)) for folder in (context, *libraries)}
        changed = [path for tree in trees.values() for path in tree.changed]
        if changed and not allow_dirty:
            raise ProblemError(
                "The image's context has uncommitted changes: " + ", ".join(changed),
                str(context),
                "git commit (or git stash) them, then repeat the command",
            )
        found = {
            folder: _files(tree, newest.name if folder in (context, *beside) else "HEAD")
            for folder, tree in trees.items()
        }
    files = found.pop(context)
    version = newest.short
    if changed:
        others = [replace(file, path=f"../{folder.name}/{file.path}") for folder in found for file in found[folder]]
        version += f"-dirty-{content_digest([*files, *others])[:8]}"
    return Source(version, newest.name, newest.committed_at, bool(changed), files, found)


def content_digest(files: Iterable[File]) -> str:
    """Return the SHA-256 of paths, modes and contents, which is the same for a tree on every machine."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{int(file.executable)}\0{len(file.content)}\0".encode(errors="surrogateescape"))
        digest.update(file.content)
    return digest.hexdigest()


def stage(files: Iterable[File], extras: Iterable[tuple[str, Path]], destination: Path) -> None:
    """Fill `destination` with exactly `files` and copies of `extras` (path in the context, file or folder on disk).

    Modes and times are the same on every machine. Raises ProblemError if the disk is full.
    """
    try:
        shutil.rmtree(destination, ignore_errors=True)
        destination.mkdir(parents=True)
        for file in files:
            path = destination / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            path.chmod(0o755 if file.executable else 0o644)
        for name, source in extras:
            if source.is_dir():
                shutil.copytree(source, destination / name, copy_function=shutil.copyfile)
            else:
                (destination / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, destination / name)
            for path in [destination / name, *(destination / name).rglob("*")]:
                path.chmod(0o755 if path.is_dir() else 0o644)
        for path in [destination, *destination.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
            os.utime(path, (_MODIFIED, _MODIFIED))
    except OSError as error:
        raise ProblemError(
            f"The build context cannot be written: {error.strerror or error}.",
            str(destination),
            f"free some space (df -h {destination.parent}), then repeat the command",
        ) from error


def origin(context: Path) -> str:
    """Return the repository's web address, however it was cloned: a commit's label is the same on every machine.

    It contains no credentials; it is empty if there is none that others could reach.
    """
    try:
        url = git(context, "config", "--get", "remote.origin.url").decode().strip()
    except ProblemError:
        return ""
    scheme, separator, rest = url.partition("://")
    if not separator:  # git@host:owner/name; anything else is a path on this machine
        user, at, rest = url.partition("@")
        host, colon, path = rest.partition(":")
        return _web("https", host, path) if user and at and colon else ""
    if scheme not in {"https", "http", "ssh"}:
        return ""
    host, _, path = rest.partition("/")
    host = host.rpartition("@")[2]
    # SSH's port is not the port of the website.
    return _web("https", host.partition(":")[0], path) if scheme == "ssh" else _web(scheme, host, path)


def _web(scheme: str, host: str, path: str) -> str:
    return f"{scheme}://{host}/{path.strip('/').removesuffix('.git')}"


def _files(tree: WorkTree, commit: str) -> tuple[File, ...]:
    """Return the files of `tree`; those of `commit` unless they were changed."""
    context = tree.directory
    if tree.repositories:
        raise _not_a_file(context, tree.repositories[0])
    files = []
    for entry in tree.entries() if tree.changed else entries(context, commit):
        if not entry.regular:
            raise _not_a_file(context, entry.path)
        for start, program in _STORED_ELSEWHERE.items():
            if entry.content.startswith(start):
                raise ProblemError(
                    f"The commit does not hold this file: {program} keeps its content elsewhere or encrypted.",
                    path_in_repository(context, entry.path),
                    "commit the file itself (remove its filter from .gitattributes), or move it out of the context",
                )
        files.append(File(entry.path, entry.executable, entry.content))
    return tuple(files)


def _not_a_file(context: Path, path: str) -> ProblemError:
    where = path_in_repository(context, path)
    return ProblemError(
        "The image's context may hold regular files only; this is a link or another repository (a submodule).",
        where,
        f"put files in its place: git rm --cached {shlex.quote(where)}, then git add and git commit them",
    )
