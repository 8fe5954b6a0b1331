"""A restored database beside the one that it came from: what is back, and what serving it would lose, to the second."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of a table. ``after``, ``first`` and ``last`` are of those that came later than the restored point."""

    name: str
    rows: int
    newest: datetime | None
    after: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, kw_only=True)
class TableStats:
    """What `settlement.admin survey` told of a database."""

    head: str | None
    tables: Mapping[str, Table]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``restored`` beside ``source``. Rows that came to the restored one later are new: it serves, or has served."""

    restored: TableStats
    source: TableStats

    @property
    def lost(self) -> int:
        """Rows that were written to the source after the restored point."""
        return sum(table.after for table in self.source.tables.values())

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """The first and the last of them."""
        firsts = [table.first for table in self.source.tables.values() if table.first]
        lasts = [table.last for table in self.source.tables.values() if table.last]
        return (min(firsts), max(lasts)) if firsts and lasts else None

    def back(self, name: str) -> int:
        """Rows of before the point that the source has no more, and the restored database has."""
        source, restored = self.source.tables.get(name), self.restored.tables[name]
        return max(0, restored.rows - restored.after - (source.rows - source.after if source else 0))

    def to_plain(self) -> dict[str, Any]:
        """For a fact."""
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
    """From the task's output. Raises ValueError when it is not there whole."""
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
        raise ValueError("the task told nothing of the database")
    return TableStats(head=head, tables=tables)


def second(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def loss(comparison: Comparison, *, serves: bool) -> str:
    """The one sentence that decides."""
    verb = "lost" if serves else "would be lost"
    if not comparison.span:
        return f"nothing {verb}: the source has no row that was written later"
    first, last = (second(time) for time in comparison.span)
    rows = f"{comparison.lost} row{'' if comparison.lost == 1 else 's'}"
    return f"{rows} {verb}: written from {first} to {last}, and still in the source"


def lines(comparison: Comparison, *, serves: bool) -> list[str]:
    """For the screen."""
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
            "  ! the schema is older: the release that lets this one serve migrates it again. If a migration was the "
            "accident, release a version without it instead (-e image_build_version=<hash>)"
        )
    return [*found, f"  {loss(comparison, serves=serves)}"]


def markdown(title: Sequence[str], comparison: Comparison, *, serves: bool, next_command: str) -> str:
    """The report."""
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
