"""Draw a step, its details and the outcome as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from enum import Enum

from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.screen.look import Look

#: Beyond this, a summary is cut where lines may have any length.
SUMMARY_COLUMNS = 120
#: More details than this are in the log only.
DETAILS = 6
DETAILS_OF_A_FAILURE = 30
CAUSE_LINES = 3
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_ASCII = str.maketrans(
    {"✓": "v", "⟳": "~", "\u2013": "-", "✗": "x", "…": "...", "·": "-", "→": "->", "“": '"', "”": '"'}
    | {"├": "|", "└": "`", "│": "|", "─": "-", "\u00d7": "x", "≥": ">=", "≤": "<="}
    | dict(zip(SPINNER, "|/-\\|/-\\|/", strict=True))
)


class State(Enum):
    """How a step ended: its mark and its colour (SGR)."""

    OK = ("✓", "32")
    CHANGED = ("⟳", "33")
    SKIPPED = ("\u2013", "2")
    FAILED = ("✗", "31")


#: What the first line of an outcome says before what happened.
_KINDS = {
    Kind.DONE: "",
    Kind.REFUSED: "refused: ",
    Kind.LOCKED: "locked: ",
    Kind.UNVERIFIED: "unverified: ",
    Kind.FAILED_AND_UNDONE: "failed, and undone: ",
    Kind.FAILED: "failed: ",
}


def duration(seconds: float) -> str:
    """Return ``0.4 s``, ``12 s`` or ``2 min 5 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def shown(text: str, look: Look) -> str:
    """Return `text` with marks and lines that can be shown."""
    return text.translate(_ASCII) if look.ascii else text


def step(look: Look, state: State, name: str, seconds: float, summary: str = "") -> list[str]:
    """Return a step's line; more than one where its name does not fit."""
    mark, colour = state.value
    time = duration(seconds)
    first, *more = _wrapped(f"{mark} {name}  {time}", look, indent="  ")
    room = (look.width or SUMMARY_COLUMNS) - len(first) - 2
    if summary and not more and room >= 12:
        return [_painted(first, colour, look) + shown(f"  {_cut(summary, room)}", look)]
    return [_painted(line, colour, look) for line in (first, *more)]


def details(look: Look, said: Sequence[str], limit: int) -> list[str]:
    """Return the last lines that were said in a step."""
    lines = [line for text in said for line in textwrap.dedent(text).splitlines() if line.strip()]
    if look.github:
        limit = len(lines)
    hidden = len(lines) - limit
    more = [f"  … {hidden} more lines in the log"] if hidden > 0 else []
    return [shown(line, look) for line in (*more, *(f"  {line}" for line in lines[max(hidden, 0) :]))]


def folded(title: Iterable[str], lines: Iterable[str]) -> list[str]:
    """Return a step and its details as a group of GitHub's log."""
    return [f"::group::{' '.join(title)}", *lines, "::endgroup::"]


def live(look: Look, frame: int, name: str, seconds: float, said: str) -> str:
    """Return the line that is redrawn while a step lasts. It never fills the terminal's last column."""
    text = f"{SPINNER[frame % len(SPINNER)]} {name}  {duration(seconds)}"
    return shown(_cut(f"{text}  {said}" if said else text, max(look.width - 1, 1)), look)


def alive(look: Look, name: str, seconds: float, said: str) -> str:
    """Return the sign of life of a step that lasts, where no line is redrawn."""
    return shown(f"  … {name}: {duration(seconds)}{f', {_cut(said, SUMMARY_COLUMNS)}' if said else ''}", look)


def outcome(look: Look, environment: str, ended: Outcome, *, took: str, log: str, dry: bool = False) -> list[str]:
    """Return the last lines of a command. `dry`: check mode."""
    mark, colour = (State.OK if ended.kind is Kind.DONE else State.FAILED).value
    about = f"{environment}: " if environment else ""
    title = f"{mark} {about}{'dry run: ' if dry else ''}{_KINDS[ended.kind]}{ended.what}"
    reasons = {"where": ended.where, "cause": ended.cause, "serves": ended.serves}
    facts = {label: value for label, value in ended.facts.items() if value not in ended.what}
    fields = {**reasons, **facts, "took": took, "next": ended.next, "log": log}
    fields = {label: value for label, value in fields.items() if value}
    column = max(map(len, fields), default=0) + 2
    lines = [_painted(line, colour, look) for line in _wrapped(title, look, indent="  ")]
    for label, value in fields.items():
        head = f"  {label + ':':<{column}}"
        # A command and a path are copied: they stay one line.
        lines += [head + value] if label in ("next", "log") else _field(head, value, look)
    return [shown(line, look) for line in lines]


def _field(head: str, value: str, look: Look) -> list[str]:
    """Return a label with its value, which may have several lines."""
    values = [line.strip() for line in value.splitlines() if line.strip()]
    if len(values) > CAUSE_LINES:
        values = [*values[:CAUSE_LINES], "… the rest is in the log"]
    indent = " " * len(head)
    first, *more = [line for value in values for line in _wrapped(value, look, indent=indent, first=indent)]
    return [head + first[len(head) :], *more]


def _wrapped(text: str, look: Look, indent: str, first: str = "") -> list[str]:
    if not look.width or len(first) + len(text) <= look.width:
        return [first + text]
    return textwrap.wrap(
        text,
        look.width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else f"{text[: max(columns - 1, 0)]}…"


def _painted(text: str, colour: str, look: Look) -> str:
    text = shown(text, look)
    return f"\x1b[{colour}m{text}\x1b[0m" if look.colour else text
