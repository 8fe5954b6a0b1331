"""Which schema this image needs.

Revisions are numbered `0001`, `0002`, … in one line, so that an image can tell that a database is *later* than
itself although it has never heard of that revision: a rolled-back image must call it ready.
Migrations only expand before a release and contract after it, which is what makes "later" acceptable.
"""

from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text

MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def schema_head() -> str:
    """The newest revision in this image, for example `0001`."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def schema_revision(connection: Connection) -> str | None:
    """The revision that the database is at; None when it was never migrated."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def is_current(revision: str | None) -> bool:
    """Whether a database at this revision serves this image: at its head or later."""
    return revision is not None and revision >= schema_head()
