"""`survey`: table statistics, to compare a restored database with its source.

They cover every table of the application with a `created_at`, the time at which a row's transaction began. An older
schema may have fewer tables.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, DateTime, column, func, select, table, text

from fargate_app.database import database_revisions

Record = dict[str, Any]

_TABLES = text(
    "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
    " AND a.attname = 'created_at' AND NOT a.attisdropped ORDER BY c.relname"
)


def table_stats(connection: Connection, after: datetime) -> Iterator[Record]:
    """Yield the schema, then a record for each table, all from one point in time. Raises SQLAlchemyError.

    Each record also counts the rows created later than `after`, with the first and the last of their times.
    """
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    yield {"kind": "schema", "head": ", ".join(database_revisions(connection)) or None}
    for name in connection.scalars(_TABLES).all():
        created_at = column("created_at", DateTime(timezone=True))
        later = created_at > after
        found = connection.execute(
            select(
                func.count().label("rows"),
                func.max(created_at).label("newest"),
                func.count().filter(later).label("after"),
                func.min(created_at).filter(later).label("first"),
                func.max(created_at).filter(later).label("last"),
            ).select_from(table(name, created_at))
        ).one()
        times = {key: found._mapping[key] for key in ("newest", "first", "last")}
        yield {
            "kind": "table",
            "name": name,
            "rows": found.rows,
            "after": found.after,
            **{key: time.isoformat() if time else None for key, time in times.items()},
        }
