"""The files of an application's project, as text. Nothing of the project is executed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.git import git, newest_commit

#: Files that are read. Others may be large, and say nothing about the application.
_SUFFIXES = frozenset({".py", ".toml", ".txt", ".in", ".ini", ".cfg", ".lock"})
_NAMES = frozenset({"Dockerfile", ".dockerignore", ".python-version"})
#: Folders whose Python files are no part of the application.
_NOT_THE_APPLICATION = frozenset({"tests", "test", "docs", "examples", "site-packages", "node_modules"})
_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True)
class Project:
    """A folder: the text of the files that are read, by path, and the paths of all files.

    `irregular` are symbolic links and submodules, which an image's context may not hold.
    """

    files: Mapping[str, str]
    paths: tuple[str, ...]
    irregular: tuple[str, ...] = ()

    @classmethod
    def of(cls, files: Mapping[str, str]) -> Project:
        """Return a project that consists of these files."""
        return cls(files, tuple(files))

    def below(self, folder: str) -> Project:
        """Return the project that consists of the files below `folder`, ``backend``; all of them below an empty one."""
        if not folder:
            return self
        start = f"{folder}/"
        return Project(
            {path.removeprefix(start): text for path, text in self.files.items() if path.startswith(start)},
            tuple(path.removeprefix(start) for path in self.paths if path.startswith(start)),
            tuple(path.removeprefix(start) for path in self.irregular if path.startswith(start)),
        )

    def having(self, files: Mapping[str, str]) -> Project:
        """Return the project with further files."""
        return Project({**self.files, **files}, tuple({**dict.fromkeys(self.paths), **files}), self.irregular)

    @property
    def modules(self) -> list[str]:
        """The paths of the application's Python files, without its tests."""
        return [path for path in self.files if path.endswith(".py") and not _is_apart(PurePosixPath(path))]


def _is_apart(path: PurePosixPath) -> bool:
    name = path.name
    return bool(_NOT_THE_APPLICATION & set(path.parts)) or name.startswith("test_") or name == "conftest.py"


def read(directory: Path, given: str) -> Project:
    """Return the project in `directory`, which a person wrote as `given`.

    Raises ProblemError if it is no folder, or has no commit: the image's version is a commit.
    """
    if not directory.is_dir():
        what = f"{given} is {'a file' if directory.exists() else 'no folder'}."
        raise ProblemError(what, "DIR", "give the application's folder: make adopt DIR=../orders")
    repository_of(directory, given)
    if not _has_commit(directory):
        folder = shlex.quote(given)
        raise ProblemError(
            f"{given} has no commit. The version of an image is a commit.",
            "DIR",
            f"git -C {folder} add --all && git -C {folder} commit",
        )
    return scan(directory)


def repository_of(directory: Path, given: str) -> None:
    """Raise ProblemError if a folder, which need not exist, is in no git repository."""
    present = next(path for path in (directory, *directory.parents) if path.is_dir())
    try:
        git(present, "rev-parse", "--show-toplevel")
    except ProblemError as error:
        if "not a git repository" not in error.problem.what:
            raise
        folder = shlex.quote(given)
        raise ProblemError(
            f"{given} is not in a git repository. The version of an image is a commit.",
            "DIR",
            f"git init {folder} && git -C {folder} add --all && git -C {folder} commit",
        ) from error


def _has_commit(directory: Path) -> bool:
    # Without a commit, git has no HEAD.
    return bool(git(directory, "rev-list", "--max-count=1", "--all")) and newest_commit(directory) is not None


def has_changes(directory: Path) -> bool:
    """Return whether a folder has files or changes that are in no commit."""
    return bool(git(directory, "status", "--porcelain", "--", "."))


def scan(directory: Path) -> Project:
    """Return the project in a folder of a git repository: its files that are committed or could be."""
    listed = git(directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    paths = sorted(path for path in os.fsdecode(listed).split("\0") if path and (directory / path).is_file())
    staged = os.fsdecode(git(directory, "ls-files", "-z", "--stage")).split("\0")
    modes = {path: entry.split(" ", 1)[0] for entry, _, path in (line.partition("\t") for line in staged) if path}
    return Project(
        {path: (directory / path).read_text(encoding="utf-8", errors="replace") for path in paths if _is_read(path)},
        tuple(paths),
        tuple(sorted(path for path, mode in modes.items() if mode in (_LINK, _SUBMODULE))),
    )


def _is_read(path: str) -> bool:
    file = PurePosixPath(path)
    return file.suffix in _SUFFIXES or file.name in _NAMES
