"""Query git so that the results depend only on the repository.

Only plumbing commands are called, with NUL-separated output, without the shell's GIT_* variables and without settings
that would change a result. A user's line endings and filters apply only when files of the work tree are compared with a
commit: they undo their changes at checkout.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fargate_ops.core.problem import ProblemError
from fargate_ops.core.project import PROJECT

_ABBREVIATION = 12  # hexadecimal digits
_HASH = re.compile(r"[0-9a-f]{7,64}")
_COMMITTED = re.compile(rb"^committer .*> (\d+) [+-]\d{4}$", re.MULTILINE)
_LINK, _SUBMODULE = "120000", "160000"
_SETTINGS = {
    # The checkout may belong to another user. Its code runs here already, so git would protect nothing by refusing it.
    "safe.directory": str(PROJECT),
    # Programs of the user that git would start.
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    # A warning about line ends would be an error.
    "core.safecrlf": "false",
    # The index is temporary, complete, and in one file.
    "core.splitIndex": "false",
    "core.untrackedCache": "false",
    "index.sparse": "false",
}


@dataclass(frozen=True)
class Commit:
    """`short` has at least 12 digits."""

    name: str
    short: str
    committed_at: datetime


@dataclass(frozen=True)
class Entry:
    """A file of a tree; `path` is relative to the requested folder. The `content` of a link is its target."""

    path: str
    mode: str
    content: bytes

    @property
    def executable(self) -> bool:
        return self.mode == "100755"

    @property
    def regular(self) -> bool:
        return self.mode not in (_LINK, _SUBMODULE)


@dataclass(frozen=True)
class WorkTree:
    """The files below `directory`, as a commit of all of them would contain them.

    `changed` are paths, from the repository's root, that differ from HEAD; `repositories` are folders among them, from
    `directory`, that are repositories of their own, whose files no commit would contain.
    """

    directory: Path
    changed: tuple[str, ...]
    repositories: tuple[str, ...]
    _present: Sequence[str]
    _environment: Mapping[str, str]

    def entries(self) -> tuple[Entry, ...]:
        git(self.directory, "read-tree", "HEAD", environment=self._environment)
        _record(self.directory, self._present, self._environment)
        tree = git(self.directory, "write-tree", environment=self._environment).decode().strip()
        return entries(self.directory, tree, self._environment)


def newest_commit(directory: Path, *others: Path) -> Commit | None:
    """Return the newest commit of HEAD that touches `directory` or one of the `others`; None if there is none."""
    paths = [f":(top,literal){path_in_repository(other, '')}" for other in (directory, *others)]
    found = git(directory, "rev-list", "--max-count=1", "--timestamp", "HEAD", "--", *paths).decode().split()
    if not found:
        return None
    seconds, name = found
    short = git(directory, "rev-parse", f"--short={_ABBREVIATION}", name).decode().strip()
    return Commit(name, short, datetime.fromtimestamp(int(seconds), UTC))


def commit_times(directory: Path, names: Iterable[str]) -> dict[str, datetime]:
    """Return when each commit was made, by its given name. A commit that this clone does not have is left out."""
    wanted = [name for name in dict.fromkeys(names) if _HASH.fullmatch(name)]
    asked = "".join(f"{name}^{{commit}}\n" for name in wanted).encode()
    batch = git(directory, "cat-file", "--batch", stdin=asked) if wanted else b""
    found: dict[str, datetime] = {}
    position = 0
    for name in wanted:
        end = batch.index(b"\n", position)
        header, position = batch[position:end].split(), end + 1
        if len(header) == 3 and header[1] == b"commit":  # otherwise: "<name> missing", or "<name> ambiguous"
            size = int(header[2])
            if seconds := _COMMITTED.search(batch, position, position + size):
                found[name] = datetime.fromtimestamp(int(seconds[1]), UTC)
            position += size + 1
    return found


def entries(directory: Path, tree: str, environment: Mapping[str, str] | None = None) -> tuple[Entry, ...]:
    """Return the files of `tree` (a commit or a tree of the whole repository) below `directory`, as stored.

    Neither line ends nor filters, ``export-ignore`` or ``export-subst`` change them. Sorted by path.
    """
    listed = []
    for line in _split(git(directory, "ls-tree", "-r", "-z", tree, ".", environment=environment)):
        described, path = line.split("\t", 1)
        mode, _, name = described.split()
        listed.append((path, mode, name))
    # A submodule's commit is an object of another repository.
    wanted = "".join(f"{name}\n" for _, mode, name in listed if mode != _SUBMODULE)
    blobs = _blobs(git(directory, "cat-file", "--batch", stdin=wanted.encode(), environment=environment))
    found = [Entry(path, mode, b"" if mode == _SUBMODULE else next(blobs)) for path, mode, _ in listed]
    return tuple(sorted(found, key=lambda entry: entry.path))


@contextmanager
def work_tree(directory: Path) -> Iterator[WorkTree]:
    """Record the files below `directory` beside HEAD, in an index and an object store that are removed afterwards.

    Nothing is written into the repository. Its index and the flags in it (``assume-unchanged``) have no effect.
    Untracked files are ignored only if a ``.gitignore`` of the repository names them, because the user's own list of
    ignored files may hide one that Terraform loads.
    """
    store, prefix = os.fsdecode(git(directory, "rev-parse", "--git-path", "objects", "--show-prefix")).split("\n")[:2]
    marked = (entry.split(" ", 1) for entry in _split(git(directory, "ls-files", "-t", "-z")))
    sparse = {path for mark, path in marked if mark == "S" and not os.path.lexists(directory / path)}
    with tempfile.TemporaryDirectory(prefix="fargate-ops-git-") as scratch:
        environment = {
            "GIT_INDEX_FILE": f"{scratch}/index",
            "GIT_OBJECT_DIRECTORY": f"{scratch}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(Path(directory, store).absolute()),
        }
        Path(scratch, "objects").mkdir()
        git(directory, "read-tree", "HEAD", environment=environment)
        tracked = _split(git(directory, "ls-files", "-z", environment=environment))
        untracked = _split(
            git(directory, "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", environment=environment)
        )
        repositories = tuple(path for path in untracked if path.endswith("/"))
        # In this order: a file that became a folder is removed before the folder's files are added.
        present = [path for path in (*tracked, *untracked) if path not in sparse and path not in repositories]
        _record(directory, present, environment, "--info-only")
        compare = ["diff-index", "--cached", "--name-only", "--no-renames", "-z", "HEAD", "--", "."]
        changed = _split(git(directory, *compare, environment=environment))
        changed += [prefix + path for path in repositories]
        yield WorkTree(directory, tuple(changed), repositories, present, environment)


def _record(directory: Path, present: Iterable[str], environment: Mapping[str, str], *options: str) -> None:
    """Replace the files below `directory` by those `present` in the index of `environment`."""
    update = ["update-index", "-z", "--add", "--remove", "--replace", *options, "--stdin"]
    git(directory, *update, stdin=os.fsencode("".join(f"{path}\0" for path in present)), environment=environment)


def repository(directory: Path) -> str:
    """Return the root of the work tree that contains `directory`."""
    return os.fsdecode(git(directory, "rev-parse", "--show-toplevel")).rstrip("\n")


def path_in_repository(directory: Path, path: str) -> str:
    """Return `path`, which is relative to `directory`, from the repository's root."""
    return os.fsdecode(git(directory, "rev-parse", "--show-prefix")).rstrip("\n") + path


def git(directory: Path, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
    """Return the output of a git command. Raises ProblemError with git's own message."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # With optional locks a read would write into the index. Messages are matched, so they stay English.
    own = {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(environment or {})}
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = ["git", "-C", str(directory), "--no-replace-objects", *settings, *arguments]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, check=True, env={**inherited, **own})
    except FileNotFoundError as error:
        raise ProblemError("git is not installed.", "PATH", "install git, then repeat the command") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise ProblemError(f"git {arguments[0]} failed: {said}", str(directory), _next_step(said)) from error
    return done.stdout


def _next_step(said: str) -> str:
    """Return the command that helps, given what git `said`."""
    if trust := re.search(r"git config --global --add safe\.directory .+", said):
        return trust[0]
    if "not a git repository" in said:
        return "run this from a git clone of the project"
    if re.search("bad revision 'HEAD'|ambiguous argument 'HEAD'|Needed a single revision", said):
        return "git add --all && git commit"
    return "correct it (git status; git fsck), then repeat the command"


def _split(output: bytes) -> list[str]:
    return [os.fsdecode(entry) for entry in output.split(b"\0") if entry]


def _blobs(batch: bytes) -> Iterator[bytes]:
    """Yield the contents in the output of ``git cat-file --batch``: a line ``<name> blob <size>``, then the content."""
    position = 0
    while position < len(batch):
        end = batch.index(b"\n", position)
        name, *described = batch[position:end].decode().split()
        if described[:1] != ["blob"]:
            raise ProblemError(
                f"The repository lacks the object {name}.", "the object store", "git fsck; git fetch --refetch"
            )
        start = end + 1
        position = start + int(described[1]) + 1
        yield batch[start : position - 1]
