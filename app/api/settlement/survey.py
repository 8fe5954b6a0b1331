"""What a database holds: its schema, and how many rows of when. To compare a restored one with what it came from.

For a person who restores: `python -m settlement.admin survey`. Every table of the application whose rows have a
`created_at`, the time at which their transaction began; an older schema may have fewer tables.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from settlement.schema import schema_revision

Record = dict[str, Any]

_TABLES = text(
    "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')"
    " AND a.attname = 'created_at' AND NOT a.attisdropped ORDER BY c.relname"
)


def survey(connection: Connection, after: datetime) -> Iterator[Record]:
    """The schema, then a record for each table; all of one moment. Raises SQLAlchemyError.

    Also counted are the rows that came later than `after`, with the first and the last of their times.
    """
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    yield {"kind": "schema", "head": schema_revision(connection)}
    quote = connection.dialect.identifier_preparer.quote
    for table in connection.scalars(_TABLES).all():
        found = connection.execute(
            text(
                "SELECT count(*) AS rows, max(created_at) AS newest,"
                " count(*) FILTER (WHERE later) AS after,"
                " min(created_at) FILTER (WHERE later) AS first, max(created_at) FILTER (WHERE later) AS last"
                f" FROM (SELECT created_at, created_at > :after AS later FROM {quote(table)}) t"
            ),
            {"after": after},
        ).one()
        times = {name: found._mapping[name] for name in ("newest", "first", "last")}
        yield {
            "kind": "table",
            "name": table,
            "rows": found.rows,
            "after": found.after,
            **{name: time.isoformat() if time else None for name, time in times.items()},
        }
