"""The admin command's `survey`: table statistics of a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fargate_app.admin.table_stats import table_stats
from tests.support.databases import TestDatabase

pytestmark = pytest.mark.usefixtures("driver")
POINT = datetime(2026, 11, 24, 10, 15, tzinfo=UTC)


def stats_of(database: TestDatabase, after: datetime = POINT) -> list[dict[str, Any]]:
    with database.superuser_engine().execution_options(isolation_level="READ COMMITTED").begin() as connection:
        return list(table_stats(connection, after))


def test_rows_are_counted_and_those_that_came_later_with_their_span(empty_database: TestDatabase) -> None:
    empty_database.prepare()
    with empty_database.superuser() as connection:
        for seconds in (-60, 0, 4, 90):
            connection.execute(
                text("INSERT INTO items (name, created_at) VALUES ('a', :at)"),
                {"at": POINT + timedelta(seconds=seconds)},
            )
    schema, items, orders = stats_of(empty_database)
    assert schema == {"kind": "schema", "head": "0001"}
    assert (items["name"], items["rows"], items["after"]) == ("items", 4, 2)
    first, last = (datetime.fromisoformat(items[name]) for name in ("first", "last"))
    assert (first - POINT, last - POINT) == (timedelta(seconds=4), timedelta(seconds=90))
    assert items["newest"] == items["last"]
    assert orders == {
        "kind": "table",
        "name": "orders",
        **{"rows": 0, "after": 0, "newest": None, "first": None, "last": None},
    }


def test_a_database_without_a_schema_has_none(empty_database: TestDatabase) -> None:
    assert stats_of(empty_database) == [{"kind": "schema", "head": None}]


def test_it_cannot_write(empty_database: TestDatabase) -> None:
    with empty_database.superuser_engine().execution_options(isolation_level="READ COMMITTED").begin() as connection:
        list(table_stats(connection, POINT))
        with pytest.raises(DBAPIError, match="read-only transaction"):
            connection.execute(text("CREATE TABLE mine (id int)"))
