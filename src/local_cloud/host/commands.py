"""Run long programs, exclusively if necessary, and show their last lines in errors."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from local_cloud.host.errors import CommandError, LocalCloudError

Progress = Callable[[str], None]
"""Prints one line at once."""

#: Interval in seconds at which long steps print a line.
HEARTBEAT_SECONDS = 20.0
_LAST_LINES = 12
#: How long to wait for another run. An interrupted run may still build images in the background.
_LOCK_WAIT_SECONDS = 600.0


def run(command: Sequence[str], *, what: str, progress: Progress) -> None:
    """Run `command` to its end, and print every `HEARTBEAT_SECONDS` that `what` still runs.

    Raises:
        CommandError: the command failed or cannot be started. The message has its last lines.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise CommandError(f"{what}: cannot run {command[0]}: {error}") from error
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                progress(f"{what}: still running ({time.monotonic() - started:.0f} s)")
    except BaseException:  # an interrupt must not leave it running
        with contextlib.suppress(PermissionError):  # it became root by sudo, and has the terminal's interrupt
            process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        raise CommandError(f"{what} failed: {command[0]} ended with {process.returncode}:\n{last_lines(output)}")


@contextlib.contextmanager
def file_lock(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock file `path`. A second run waits for the first, and then finds everything done.

    Raises:
        LocalCloudError: the other run does not end in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        _retry(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB), f"`fuser -v {path}`", progress)
        yield


@contextlib.contextmanager
def machine_lock(name: str, progress: Progress) -> Iterator[None]:
    """Hold `name` against every other process of this machine, of any user, without a file.

    The name of an abstract socket belongs to one process and is free again when that process ends, unix(7).

    Raises:
        LocalCloudError: the other run does not end in time.
    """
    with socket.socket(socket.AF_UNIX) as holder:
        _retry(lambda: holder.bind(f"\0{name}"), f"`ss -xap | grep {name}`", progress)
        yield


def _retry(take: Callable[[], None], show: str, progress: Progress) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_SECONDS
    waiting = False
    while True:
        try:
            return take()
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EADDRINUSE):
                raise
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"Another run has not ended within {_LOCK_WAIT_SECONDS:.0f} s. "
                f"Next: {show} shows it; end it, then the same command again."
            )
        if not waiting:
            progress("waiting for another run, possibly an interrupted one that still runs in the background")
        waiting = True
        time.sleep(0.5)


def last_lines(text: str, count: int = _LAST_LINES) -> str:
    """Return the last `count` lines of `text`, indented for an error message."""
    return "\n".join(f"  {line}" for line in text.splitlines()[-count:]) or "  (no output)"
