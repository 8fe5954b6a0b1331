"""What a terminal, a pipe or GitHub can show."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, kw_only=True)
class Look:
    """How lines are drawn."""

    #: Columns; 0 if lines may have any length.
    width: int = 0
    colour: bool = False
    ascii: bool = False
    #: A line that is redrawn shows the current step.
    live: bool = False
    #: A step's details are a group, which GitHub folds.
    #: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#grouping-log-lines
    github: bool = False

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str], *, colour: bool) -> Look:
        """Return what `stream` can show. `colour`: whether Ansible would colour it."""
        github = environment.get("GITHUB_ACTIONS") == "true"
        terminal = stream.isatty() and environment.get("TERM") != "dumb" and not github
        return cls(
            width=shutil.get_terminal_size().columns if terminal else 0,
            colour=colour,
            ascii=not _shows_unicode(stream, environment),
            live=terminal,
            github=github,
        )


def _shows_unicode(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the marks can be shown.

    Ansible runs in a UTF-8 locale only, so the Makefile passes the locale of the shell as ``SHELL_LOCALE``.
    """
    locale = environment.get("SHELL_LOCALE", "")
    if locale and "utf" not in locale.lower():
        return False
    try:
        "✓⟳✗…".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
