"""Run a program that takes long, and keep its last words for the error."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from roles.local_cloud.python.errors import CommandError

Progress = Callable[[str], None]
"""Prints one line at once; the caller decides where."""

#: Long steps show at this interval, in seconds, that they are alive.
HEARTBEAT_SECONDS = 20.0
_LAST_LINES = 12


def run(
    command: Sequence[str],
    *,
    what: str,
    progress: Progress,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run `command` to its end, and say every `HEARTBEAT_SECONDS` that `what` is still going on.

    Raises:
        CommandError: it exited with another status than 0, or cannot be started; the message has its last lines.
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
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise CommandError(f"{what}: cannot run {command[0]}: {error}") from error
    try:
        while True:
            try:
                output, _ = process.communicate(timeout=HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                progress(f"{what}: still at it ({time.monotonic() - started:.0f} s)")
    except BaseException:  # an interrupt must not leave it running
        process.terminate()
        process.wait()
        raise
    if process.returncode != 0:
        raise CommandError(f"{what} failed: {command[0]} ended with {process.returncode}:\n{last_lines(output)}")


def last_lines(text: str, count: int = _LAST_LINES) -> str:
    """The last `count` lines of `text`, indented for an error message."""
    return "\n".join(f"  {line}" for line in text.splitlines()[-count:]) or "  (no output)"
