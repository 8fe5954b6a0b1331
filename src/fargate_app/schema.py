"""The schema that this image needs, and whether a database has it.

The image's build reads the revisions with Alembic (`settlement.revisions`) and stores them beside this file, so the
service knows its head without importing Alembic. A checkout has no such file and reads the revisions when needed.

A database at a revision that this image does not know was migrated by a later image. A rolled-back image must accept
it. That is safe because migrations only expand before a release and contract after it.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import settlement
from sqlalchemy import Connection, text

BUILT = Path(settlement.__file__).parent / "schema.json"


@dataclass(frozen=True)
class Schema:
    """The revisions of an image.

    `head` is the newest; `revisions` are all. `compatible` are those whose code still works with a database at `head`:
    their history contains every migration with `contract = True`.
    """

    head: str
    compatible: tuple[str, ...]
    revisions: tuple[str, ...]


@cache
def schema() -> Schema:
    """Return the schema of this image. Raises settlement.revisions.RevisionsError outside an image."""
    if BUILT.exists():
        built = json.loads(BUILT.read_text())
        return Schema(built["head"], tuple(built["compatible"]), tuple(built["revisions"]))
    from fargate_app import revisions  # not above: the service must not import Alembic

    return revisions.read()


def database_revisions(connection: Connection) -> tuple[str, ...]:
    """Return the database's revisions, sorted: one; none if it was never migrated; several below a merge."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return ()
    return tuple(connection.scalars(text("SELECT version_num FROM alembic_version ORDER BY version_num")))


def is_current(revisions: Collection[str]) -> bool:
    """Return whether a database at these revisions is at this image's head or later."""
    return schema().head in revisions or any(revision not in schema().revisions for revision in revisions)
