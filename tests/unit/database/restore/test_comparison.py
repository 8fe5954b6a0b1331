"""The rows that are back and lost, from the statistics of two databases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fargate_ops.database.restore.comparison import Comparison, lines, loss, markdown, parse_table_stats


def stats_output(head: str | None = "0001", **tables: tuple[Any, ...]) -> list[str]:
    """Return a task's lines: for each table its rows, the later rows and their first and last second."""
    records: list[dict[str, Any]] = [{"kind": "schema", "head": head}]
    for name, (rows, after, *span) in tables.items():
        first, last = (f"2026-11-24T10:{text}+00:00" for text in span) if span else (None, None)
        newest = "2026-11-24T10:14:59.5+00:00" if rows else None
        records.append(
            {
                "kind": "table",
                "name": name,
                "rows": rows,
                "newest": newest,
                "after": after,
                "first": first,
                "last": last,
            }
        )
    return ["a log line", *map(json.dumps, records)]


def compared(restored: list[str], source: list[str]) -> Comparison:
    return Comparison(restored=parse_table_stats(restored), source=parse_table_stats(source))


def test_loss_is_the_sources_later_rows_from_the_first_to_the_last_second() -> None:
    found = compared(
        stats_output(accounts=(10, 0), transactions=(50, 0)),
        stats_output(accounts=(8, 3, "15:04.2", "16:00"), transactions=(52, 2, "15:09", "17:41.999")),
    )
    assert loss(found, serves=False) == (
        "5 rows would be lost: written from 2026-11-24T10:15:04Z to 2026-11-24T10:17:41Z, and still in the source"
    )
    assert (found.back("accounts"), found.back("transactions")) == (5, 0)
    assert found.to_plain()["tables"]["accounts"] == {
        "rows": 10,
        "back": 5,
        "lost": 3,
        "from": "2026-11-24T10:15:04Z",
        "to": "2026-11-24T10:16:00Z",
    }


def test_rows_that_came_to_the_restored_one_later_are_not_back_but_new() -> None:
    found = compared(stats_output(accounts=(14, 4, "18:00", "19:00")), stats_output(accounts=(8, 3, "15:04", "16:00")))
    assert found.back("accounts") == 5
    assert "3 rows lost" in loss(found, serves=True)


def test_nothing_lost_is_said() -> None:
    found = compared(stats_output(accounts=(10, 0)), stats_output(accounts=(8, 0)))
    assert loss(found, serves=False) == "nothing would be lost: the source has no later rows"


def test_an_older_schema_is_a_warning_and_its_missing_tables_are_no_error() -> None:
    found = compared(
        stats_output("0001", accounts=(1, 0)), stats_output("0002", accounts=(1, 0), refunds=(2, 2, "16:00", "16:01"))
    )
    text = "\n".join(lines(found, serves=False))
    assert "the schema is older" in text
    assert "2 rows would be lost" in text
    whole = markdown(["title", "fact"], found, serves=False, next_command="make x")
    assert "| accounts | 1 |" in whole
    assert "Next: `make x`" in whole


def test_a_task_that_told_nothing_is_no_empty_database() -> None:
    with pytest.raises(ValueError, match="no table statistics"):
        parse_table_stats(["usage: shop.admin", "{}"])
