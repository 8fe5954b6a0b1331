"""Read the result of the admin task that prepares the database, from the last line of its output only.

The line is `{"schema_head": "0002", "changed": true}` after a success, or `{"error": …, "kind": …, "details": […],
"cures": […]}` (docs/your-application.md).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prepared:
    """The database's schema revision now, and whether the task changed anything."""

    schema_head: str
    changed: bool


@dataclass(frozen=True)
class Failure:
    """Why the task failed. ``cures`` are arguments of the admin command that remove the cause."""

    error: str
    kind: str = "other"
    details: tuple[str, ...] = ()
    cures: tuple[str, ...] = ()


def prepared(output: Sequence[str]) -> Prepared | None:
    """Return the result; None if the output has none yet."""
    said = _last(output, "schema_head")
    return Prepared(str(said["schema_head"]), bool(said.get("changed", True))) if said else None


def failure(output: Sequence[str], otherwise: str) -> Failure:
    """Return why it failed. ``otherwise`` is the reason if the output gives none."""
    said = _last(output, "error")
    if said is None:
        return Failure(otherwise)
    details, cures = (tuple(map(str, said.get(name) or ())) for name in ("details", "cures"))
    return Failure(str(said["error"]), str(said.get("kind", "other")), details, cures)


def _last(output: Sequence[str], key: str) -> Mapping[str, Any] | None:
    """Return the last line that is a JSON object with this key."""
    for line in reversed(output):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and key in said:
            return said
    return None


def next_command(
    failed: Failure, admin_command: Sequence[str], environment: str, retry: str, wait_seconds: float
) -> str:
    """Return the command that helps against this kind of failure. A retry alone helps only sometimes."""
    incident = f"make incident-db ENV={environment}"
    match failed.kind:
        case "lock_wait":
            return (
                f"let the session above end ({incident} shows all; {incident} ARGS='-e end_idle=true' ends those of "
                f"the application that are idle in a transaction), then {retry}"
            )
        case "invalid_index":
            commands = [
                f"make run ENV={environment} FAMILY=admin CMD={shlex.quote(f'{shlex.join(admin_command)} {cure}')}"
                for cure in failed.cures
            ]
            ended = "when the session above has ended, " if len(failed.details) > len(failed.cures) else ""
            return f"{ended}{'; '.join(commands)}; then {retry}"
        case "migration":
            return f"correct the migration in a new commit, then {retry}"
        case "time_limit":
            return (
                "make the migration shorter (rows in batches, an index CONCURRENTLY), or raise "
                f"ecs_release_prepare_wait_seconds above {wait_seconds:.0f} in the inventory, then {retry}"
            )
        case "full":
            return f"{incident} ARGS='-e end_idle=true', then {retry}"
        case "unreachable":
            return f"{incident} shows the state of the database; then {retry}"
        case _:
            return retry
