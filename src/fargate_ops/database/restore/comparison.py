"""Compare a restored database with its source: rows that are back, and rows lost by a switch, to the second."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Table:
    """Row counts of a table. ``after``, ``first`` and ``last``: rows written after the restored point."""

    name: str
    rows: int
    newest: datetime | None
    after: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, kw_only=True)
class TableStats:
    """The output of the admin command's ``survey`` for one database."""

    head: str | None
    tables: Mapping[str, Table]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``restored`` and ``source``. Later rows in the restored database are new: it serves, or has served."""

    restored: TableStats
    source: TableStats

    @property
    def lost(self) -> int:
        """The number of rows written to the source after the restored point."""
        return sum(table.after for table in self.source.tables.values())

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The times of the first and last lost row."""
        firsts = [table.first for table in self.source.tables.values() if table.first]
        lasts = [table.last for table in self.source.tables.values() if table.last]
        return (min(firsts), max(lasts)) if firsts and lasts else None

    def back(self, name: str) -> int:
        """Return the number of rows from before the point that the source no longer has."""
        source, restored = self.source.tables.get(name), self.restored.tables[name]
        return max(0, restored.rows - restored.after - (source.rows - source.after if source else 0))

    def to_plain(self) -> dict[str, Any]:
        """Return the comparison as plain values, for an Ansible fact."""
        span = self.span
        return {
            "lost": self.lost,
            "from": second(span[0]) if span else "",
            "to": second(span[1]) if span else "",
            "tables": {name: self._table(name) for name in sorted(self.restored.tables)},
            "schema_head": self.restored.head,
        }

    def _table(self, name: str) -> dict[str, Any]:
        source = self.source.tables.get(name)
        return {
            "rows": self.restored.tables[name].rows,
            "back": self.back(name),
            "lost": source.after if source else 0,
            "from": second(source.first) if source and source.first else "",
            "to": second(source.last) if source and source.last else "",
        }


def parse_table_stats(lines: Iterable[str]) -> TableStats:
    """Parse the task's output. Raises ValueError if it has no statistics."""
    head: str | None = None
    schema_seen = False
    tables: dict[str, Table] = {}
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        kind = record.get("kind") if isinstance(record, dict) else None
        if kind == "schema":
            head, schema_seen = record["head"], True
        elif kind == "table":
            tables[record["name"]] = Table(
                name=record["name"],
                rows=record["rows"],
                after=record["after"],
                **{name: _time(record[name]) for name in ("newest", "first", "last")},
            )
    if not schema_seen:
        raise ValueError("the task's output has no table statistics")
    return TableStats(head=head, tables=tables)


def second(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def loss(comparison: Comparison, *, serves: bool) -> str:
    """Summarize the loss in one sentence."""
    verb = "lost" if serves else "would be lost"
    if not comparison.span:
        return f"nothing {verb}: the source has no later rows"
    first, last = (second(time) for time in comparison.span)
    rows = f"{comparison.lost} row{'' if comparison.lost == 1 else 's'}"
    return f"{rows} {verb}: written from {first} to {last}, and still in the source"


def lines(comparison: Comparison, *, serves: bool) -> list[str]:
    """Return the comparison for the screen."""
    found = [f"  schema {comparison.restored.head or '(none)'}, the source's is {comparison.source.head or '(none)'}"]
    for name, table in sorted(comparison.restored.tables.items()):
        source = comparison.source.tables.get(name)
        newest = second(table.newest) if table.newest else "none"
        found.append(
            f"  {name}: {table.rows} rows, the newest of {newest}; the source has {source.rows if source else 0}, "
            f"{source.after if source else 0} of them later; {comparison.back(name)} are back"
        )
    if comparison.restored.head != comparison.source.head:
        found.append(
            "  ! the schema is older: the release that switches to this database migrates it again. If a migration was "
            "the cause, release a version without it instead (-e image_build_version=<hash>)"
        )
    return [*found, f"  {loss(comparison, serves=serves)}"]


def markdown(title: Sequence[str], comparison: Comparison, *, serves: bool, next_command: str) -> str:
    """Return the report as Markdown."""
    rows = [
        f"| {name} | {table.rows} | {second(table.newest) if table.newest else ''} "
        f"| {comparison.source.tables[name].rows if name in comparison.source.tables else 0} "
        f"| {comparison.source.tables[name].after if name in comparison.source.tables else 0} "
        f"| {comparison.back(name)} |"
        for name, table in sorted(comparison.restored.tables.items())
    ]
    return "\n".join(
        [
            f"# {title[0]}",
            "",
            *(f"- {line}" for line in title[1:]),
            f"- schema {comparison.restored.head or '(none)'}; the source's {comparison.source.head or '(none)'}",
            f"- **{loss(comparison, serves=serves)}**",
            "",
            "| table | rows restored | newest | rows in the source | of these later | back |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            f"Next: `{next_command}`",
            "",
        ]
    )
