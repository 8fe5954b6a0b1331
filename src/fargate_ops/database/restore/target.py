"""Choose the target of a restore from the request, the inventory and the restore points. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fargate_ops.core.problem import ProblemError

#: How people name the first database that Terraform created; its key is empty.
ORIGINAL = "original"
_KEY = "%Y%m%d-%H%M%S"
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Restore:
    """One instance beside the original. ``source`` is a key, empty for the original. Has a time or a snapshot."""

    source: str = ""
    time: str | None = None
    snapshot: str | None = None

    def to_plain(self) -> dict[str, str]:
        """Return the value for Terraform's variable."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def text(self) -> str:
        return (
            f"as {self.source or 'the original'} was at {self.time}" if self.time else f"from snapshot {self.snapshot}"
        )


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An available snapshot, and the time of its data."""

    name: str
    instance: str
    time: datetime


@dataclass(frozen=True, kw_only=True)
class RestorePoints:
    """The available restore points. ``window`` is the source's, or None while it has no automated backup."""

    window: tuple[datetime, datetime] | None
    snapshots: Sequence[Snapshot]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The restored databases in the inventory. ``serving`` is a key, empty for the original."""

    restores: Mapping[str, Restore] = field(default_factory=dict)
    serving: str = ""

    @classmethod
    def from_variables(cls, restores: Mapping[str, Mapping[str, str]], serving: str) -> Inventory:
        return cls(restores={str(key): Restore(**value) for key, value in restores.items()}, serving=str(serving))


def with_restore(
    environment: str, inventory: Inventory, points: RestorePoints, *, time: str, snapshot: str
) -> tuple[Inventory, str]:
    """Return the inventory with the requested restore, and its key. An existing restore stays as it is.

    Raises:
        ProblemError: the restore is impossible; nothing was changed.
    """
    if time and snapshot:
        raise ProblemError(
            "Both a time and a snapshot were given; nothing was touched.",
            "restore_time and restore_snapshot",
            f"make restore ENV={environment} lists the restore points; then give one of the two",
        )
    if snapshot:
        key, wanted = _of_snapshot(environment, inventory, points, snapshot)
    else:
        key, wanted = _of_time(environment, inventory, points, time)
    return Inventory(restores={**inventory.restores, key: wanted}, serving=inventory.serving), key


def with_serving(environment: str, inventory: Inventory, serving: str) -> Inventory:
    """Return the inventory in which another database serves. Raises ProblemError if it does not exist."""
    key = "" if serving == ORIGINAL else serving
    if key and key not in inventory.restores:
        known = ", ".join([ORIGINAL, *sorted(inventory.restores)])
        raise ProblemError(
            f"There is no database {serving!r}; nothing was touched.",
            f"restore_serving; known: {known}",
            f"make restore ENV={environment} ARGS='-e restore_serving={ORIGINAL}', or one of the others",
        )
    return Inventory(restores=inventory.restores, serving=key)


def without(environment: str, inventory: Inventory, key: str) -> Inventory:
    """Return the inventory without one restored database. Raises ProblemError if it is unknown or in use."""
    needs = [other for other, restore in inventory.restores.items() if restore.source == key]
    if key in inventory.restores and key != inventory.serving and not needs:
        rest = {other: restore for other, restore in inventory.restores.items() if other != key}
        return Inventory(restores=rest, serving=inventory.serving)
    if key not in inventory.restores:
        why, next_step = (
            f"There is no restored database {key!r}",
            f"make restore ENV={environment} lists them",
        )
    elif needs:
        why, next_step = f"{', '.join(needs)} came from {key}", f"forget that one first: -e restore_forget={needs[0]}"
    else:
        why, next_step = f"{key} serves", f"make restore ENV={environment} ARGS='-e restore_serving={ORIGINAL}' first"
    raise ProblemError(f"{why}; nothing was touched.", "restore_forget", next_step)


def _of_time(environment: str, inventory: Inventory, points: RestorePoints, text: str) -> tuple[str, Restore]:
    wanted = _parsed(environment, text, points.now)
    stamp = f"{wanted:%Y-%m-%dT%H:%M:%SZ}"
    key = f"{wanted:{_KEY}}"
    if (known := inventory.restores.get(key)) and known.time == stamp:
        return key, known
    if wanted > points.now:
        raise _unrestorable(environment, f"{stamp} is in the future (it is {points.now:%Y-%m-%dT%H:%M:%SZ})", points)
    if points.window is None:
        raise _unrestorable(environment, "There is no automated backup yet", points)
    if wanted < points.window[0]:
        raise _unrestorable(environment, f"{stamp} is before the first second that can be restored", points)
    if wanted > points.window[1]:
        raise _unrestorable(
            environment, f"{stamp} cannot be restored yet: RDS stores the log every five minutes", points
        )
    return _free(environment, inventory, key, Restore(source=inventory.serving, time=stamp))


def _of_snapshot(environment: str, inventory: Inventory, points: RestorePoints, name: str) -> tuple[str, Restore]:
    for key, known in inventory.restores.items():
        if known.snapshot == name:
            return key, known
    found = next((item for item in points.snapshots if item.name == name), None)
    if found is None:
        raise _unrestorable(environment, f"There is no snapshot {name}, or it is not available", points)
    return _free(environment, inventory, f"{found.time:{_KEY}}", Restore(source=inventory.serving, snapshot=name))


def _free(environment: str, inventory: Inventory, key: str, wanted: Restore) -> tuple[str, Restore]:
    if known := inventory.restores.get(key):
        raise ProblemError(
            f"{key} exists already ({known.text}); nothing was touched.",
            "database_restores of the inventory",
            f"make restore ENV={environment} ARGS='-e restore_serving={key}', or restore another second",
        )
    return key, wanted


def _parsed(environment: str, text: str, now: datetime) -> datetime:
    try:
        wanted = datetime.fromisoformat(text)
    except ValueError:
        wanted = datetime.min
    if wanted.tzinfo is None or wanted.microsecond or not re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", text):
        example = f"{now:%Y-%m-%dT%H:%M:00Z}"
        raise ProblemError(
            f"{text!r} is not a time to the second with its zone; nothing was touched.",
            "restore_time",
            f"make restore ENV={environment} ARGS='-e restore_time={example}'",
        )
    return wanted.astimezone(UTC)


def _unrestorable(environment: str, what: str, points: RestorePoints) -> ProblemError:
    return ProblemError(
        f"{what}; nothing was touched. {window_text(points)}",
        "restore_time or restore_snapshot",
        f"make restore ENV={environment} lists the restore points, with the commands",
    )


def window_text(points: RestorePoints) -> str:
    if points.window is None:
        return "No second can be restored yet: RDS takes the first backup after it has created an instance."
    first, last = (f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in points.window)
    return f"Any second from {first} to {last} can be restored."


def menu(environment: str, inventory: Inventory, points: RestorePoints) -> list[str]:
    """List the restore points, the restored databases and the serving one, with the exact commands."""
    command = f"make restore ENV={environment} ARGS='-e"
    lines = [f"databases of {environment}; {inventory.serving or 'the original'} serves", f"  {window_text(points)}"]
    if points.window:
        lines.append(f"    {command} restore_time={points.window[1]:%Y-%m-%dT%H:%M:%SZ}'")
    newest = sorted(points.snapshots, key=lambda item: item.time, reverse=True)
    lines += [f"  snapshots: {len(newest)}" + (", the newest first:" if newest else "")]
    for item in newest[:_SHOWN]:
        lines.append(
            f"    {command} restore_snapshot={item.name}'   {item.time:%Y-%m-%dT%H:%M:%SZ}, of {item.instance}"
        )
    for key, restore in sorted(inventory.restores.items()):
        if key != inventory.serving:
            lines += [f"  restored {key}, {restore.text}; to let it serve:", f"    {command} restore_serving={key}'"]
    if inventory.serving:
        lines += ["  the original is kept; to go back to it:", f"    {command} restore_serving={ORIGINAL}'"]
    return lines
