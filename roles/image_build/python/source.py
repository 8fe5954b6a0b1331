"""What goes into the image: the version, and the files, as git has them.

The version is the short hash of the newest commit that touches the context, so a commit to anything else builds and
releases nothing. A changed working tree adds a digest of what is really there, so that two different trees never
share a tag.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from roles.preflight.python.problem import ProblemError

_ABBREVIATION = 12  # hexadecimal digits
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
    """The context at one commit (or a working tree that differs from it)."""

    version: str
    commit: str
    committed_at: datetime
    dirty: bool
    files: tuple[File, ...]


def read_source(context: Path, *, allow_dirty: bool) -> Source:
    """The version and files of the folder `context`.

    Raises ProblemError when it is not in a git work tree, has no commit, or is dirty where that is not allowed.
    """
    newest = git(context, "log", "-1", f"--abbrev={_ABBREVIATION}", "--format=%H %h %ct", "--", ".").decode().split()
    if not newest:
        raise ProblemError(
            "No commit touches the image's context, so it has no version.",
            str(context),
            f"git add {context} && git commit",
        )
    commit, version, committed_at = newest[0], newest[1], datetime.fromtimestamp(int(newest[2]), UTC)
    changed = (
        git(context, "status", "--porcelain", "--no-renames", "-z", "--untracked-files=all", "--", ".")
        .decode()
        .split("\0")
    )
    if not any(changed):
        return Source(version, commit, committed_at, dirty=False, files=_committed_files(context, commit))
    if not allow_dirty:
        raise ProblemError(
            "The image's context has uncommitted changes: " + ", ".join(line[3:] for line in changed if line),
            str(context),
            "git commit (or git stash) them, then repeat the command",
        )
    files = _working_files(context)
    return Source(f"{version}-dirty-{content_digest(files)[:8]}", commit, committed_at, dirty=True, files=files)


def content_digest(files: Iterable[File]) -> str:
    """SHA-256 over paths, modes and contents: the same tree gives the same digest on every machine."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{int(file.executable)}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return digest.hexdigest()


def stage(files: Iterable[File], extras: Iterable[tuple[str, Path]], destination: Path) -> None:
    """Make `destination` hold exactly `files` and copies of `extras` (path in the context, file or folder on disk).

    Modes and times are made the same everywhere. Raises ProblemError when the disk is full.
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
    """The web address of the repository, however it was cloned: the same commit gets the same label on every machine.

    Without credentials; empty when it has none that others could reach.
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
    # The port of SSH is not the web's.
    return _web("https", host.partition(":")[0], path) if scheme == "ssh" else _web(scheme, host, path)


def _web(scheme: str, host: str, path: str) -> str:
    return f"{scheme}://{host}/{path.strip('/').removesuffix('.git')}"


def _committed_files(context: Path, commit: str) -> tuple[File, ...]:
    archive = git(context, "archive", "--format=tar", commit, ".")
    files = []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise _not_a_file(context, member.name)
            files.append(File(member.name, bool(member.mode & 0o100), content.read()))
    return tuple(sorted(files, key=lambda file: file.path))


def _working_files(context: Path) -> tuple[File, ...]:
    """Tracked and untracked files as they lie there now, without what .gitignore excludes."""
    listed = git(context, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".").decode()
    files = []
    for name in sorted(set(filter(None, listed.split("\0")))):
        path = context / name
        if path.is_symlink() or path.is_dir():
            raise _not_a_file(context, name)
        if path.exists():  # a deleted file is still listed
            files.append(File(name, os.access(path, os.X_OK), path.read_bytes()))
    return tuple(files)


def _not_a_file(context: Path, name: str) -> ProblemError:
    return ProblemError(
        "The image's context may hold regular files only; this is a link or a submodule.",
        str(context / name),
        f"replace it by a file: git rm {name}",
    )


def git(directory: Path, *arguments: str) -> bytes:
    """Output of a git command. Raises ProblemError with git's own words."""
    # Optional locks would let a mere look write into the index; messages are matched, so they stay English.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", "-C", str(directory), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    except FileNotFoundError as error:
        raise ProblemError("git is not installed.", "PATH", "install git, then repeat the command") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        next_step = "run this from a git clone of the project"
        if "dubious ownership" in said:
            next_step = f"git config --global --add safe.directory {directory}"
        raise ProblemError(f"git {arguments[0]} failed: {said}", str(directory), next_step) from error
