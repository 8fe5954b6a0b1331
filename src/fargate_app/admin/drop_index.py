"""`drop-index`: remove an invalid index that a migration left."""

from dataclasses import dataclass

from fargate_app.admin.connection import exclusive_connection, master_engine
from fargate_app.admin.migrate import drop_index
from fargate_app.settings import AdminSettings


@dataclass(frozen=True)
class Dropped:
    """The result of `drop-index`: the index's name, and whether it existed."""

    index: str
    changed: bool


def drop_invalid_index(settings: AdminSettings, name: str) -> Dropped:
    """Drop an invalid index that a migration left. Raises AdminError, SQLAlchemyError."""
    with exclusive_connection(settings) as connection:
        return Dropped(name, drop_index(connection, master_engine(settings), name))
