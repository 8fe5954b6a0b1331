"""The log of a run: Ansible's complete default output, readable by its owner only."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

KEPT = 50

_SGR = re.compile(r"\x1b\[[0-9;]*m")


class Log:
    """A new file ``<folder>/<UTC time>-<playbook>.log``. Without one, if the folder cannot be written."""

    def __init__(self, folder: Path, playbook: str) -> None:
        self.path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{playbook}.log"
        #: Why there is no file.
        self.problem = ""
        self._stream: TextIO | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                self.path = self.path.with_suffix(f".{os.getpid()}.log")
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._stream = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", buffering=1)
        except OSError as error:
            self.problem = f"{error.strerror}: {error.filename}"
        else:
            _prune(folder)

    def write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(_SGR.sub("", text))
        except OSError as error:
            self.problem, self._stream = f"{error.strerror}: {self.path}", None

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _prune(folder: Path) -> None:
    """Keep the newest files. Their names begin with their time."""
    for old in sorted(folder.glob("*.log"))[:-KEPT]:
        with suppress(OSError):
            old.unlink()
