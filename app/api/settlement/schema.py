"""Which schema this image needs, and whether a database has it.

The image's build reads the revisions once, with Alembic (`settlement.revisions`), and leaves what it found beside this
file: the service knows its head without importing Alembic. A checkout has no such file and reads them when asked.

A database at a revision that this image has never heard of was migrated by a later image: a rolled-back image must call
it ready. Migrations only expand before a release and contract after it, which is what makes "later" acceptable.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, text

BUILT = Path(__file__).parent / "schema.json"


@dataclass(frozen=True)
class Schema:
    """The revisions of an image.

    `head` is the newest; `compatible` are those whose code still works once the database is at `head`: they include
    every migration that says `contract = True`; `revisions` are all.
    """

    head: str
    compatible: tuple[str, ...]
    revisions: tuple[str, ...]


@cache
def schema() -> Schema:
    """The schema of this image. Raises settlement.revisions.RevisionsError outside an image."""
    if BUILT.exists():
        built = json.loads(BUILT.read_text())
        return Schema(built["head"], tuple(built["compatible"]), tuple(built["revisions"]))
    from settlement import revisions  # not above: the service must not import Alembic

    return revisions.read()


def database_revisions(connection: Connection) -> tuple[str, ...]:
    """The revisions that the database is at, sorted: one, none when it was never migrated, several below a merge."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return ()
    return tuple(connection.scalars(text("SELECT version_num FROM alembic_version ORDER BY version_num")))


def is_current(revisions: Collection[str]) -> bool:
    """Whether a database at these revisions serves this image: at its head or later."""
    return schema().head in revisions or any(revision not in schema().revisions for revision in revisions)
