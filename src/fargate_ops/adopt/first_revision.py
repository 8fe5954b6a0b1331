"""Write the migration that creates an application's tables: ``python first_revision.py <module> <file>``.

It runs with the application's packages, and needs nothing else of this repository. No database is asked: the tables
are those of the models, in PostgreSQL's dialect.
"""

from __future__ import annotations

import functools
import importlib
import os
import ssl
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from alembic.autogenerate import render_python_code
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_HEAD = '''"""Create the tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
'''


def revision(tables: list[Table]) -> str:
    """Return the text of a migration that creates tables with their indexes."""
    steps: list[ops.MigrateOperation] = []
    for table in map(_plain, tables):
        steps.append(ops.CreateTableOp.from_table(table))
        steps += map(ops.CreateIndexOp.from_index, sorted(table.indexes, key=lambda index: str(index.name)))
    context = MigrationContext.configure(dialect_name="postgresql")
    body = render_python_code(ops.UpgradeOps(steps), migration_context=context)
    body = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("# ###"))
    head = _HEAD if "postgresql." in body else _HEAD.replace("from sqlalchemy.dialects import postgresql\n", "")
    return f"{head}    {body.strip()}\n"


def _plain(table: Table) -> Table:
    """Return the table with types of PostgreSQL in the place of the application's own, which may change."""
    copy = table.to_metadata(MetaData(naming_convention=table.metadata.naming_convention))
    for column in copy.columns:
        if isinstance(column.type, TypeDecorator):
            column.type = column.type.load_dialect_impl(_DIALECT)
        for check in list(column.constraints):  # Alembic writes those of the table only
            if isinstance(check, CheckConstraint):
                copy.append_constraint(CheckConstraint(check.sqltext, name=check.name))
    return copy


def tables_of(folder: Path) -> list[Table]:
    """Return the tables that the imported modules in a folder define, each after those that it refers to."""
    found = {id(metadata): metadata for metadata in _metadata(folder)}
    return [table for metadata in found.values() for table in metadata.sorted_tables]


def _metadata(folder: Path) -> Iterator[MetaData]:
    for module in list(sys.modules.values()):
        if (getattr(module, "__file__", None) or "").startswith(f"{folder}{os.sep}"):
            for value in vars(module).values():
                found = getattr(value, "metadata", None) if isinstance(value, type | Table) else value
                if isinstance(found, MetaData):
                    yield found


def _without_missing_files(create: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """Return `create` for a machine without the file of authorities that the image has."""

    @functools.wraps(create)
    def created(*args: Any, cafile: str | None = None, **options: Any) -> ssl.SSLContext:
        return create(*args, cafile=cafile if cafile and Path(cafile).exists() else None, **options)

    return created


def _where(error: BaseException, folder: Path) -> str:
    """Return the last line of the application that an error went through: ``main.py:40: ``; empty if there is none."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)
    ]
    return f"{Path(frames[-1].filename).relative_to(folder)}:{frames[-1].lineno}: " if frames else ""


def main(module: str, written: str) -> int:
    ssl.create_default_context = _without_missing_files(ssl.create_default_context)
    try:
        importlib.import_module(module)
    except Exception as error:
        said = " ".join([type(error).__name__, *str(error).split()])
        print(f"{module} cannot be imported: {_where(error, Path.cwd())}{said}", file=sys.stderr)
        return 1
    tables = tables_of(Path.cwd())
    if not tables:
        print(f"{module} and the modules that it imports define no table", file=sys.stderr)
        return 1
    Path(written).write_text(revision(tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
