"""What the platform asks of an application with a database, and how its settings become the platform's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fargate_ops.adopt.code import Code
from fargate_ops.adopt.connection import connection_point
from fargate_ops.adopt.database import Database, Migrations
from fargate_ops.adopt.database_errors import errors_point
from fargate_ops.adopt.entry import Entry
from fargate_ops.adopt.image_points import Context
from fargate_ops.adopt.points import Point, Verdict
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.variables import Variable

_GROUP = "database"
#: The point of the migrations, and how to write the first one without the application's import.
MIGRATIONS = "migrations"
BY_HAND = "docs/your-application.md#the-first-migration"
#: The virtual environment of the Dockerfile that this package writes.
_VENV = "/opt/venv"


@dataclass(frozen=True)
class Administration:
    """The admin command and the schema file of an image, each empty if there is none.

    `to_write` is the file of the library's admin command that the application still has to get; empty if it has one.
    `migrations` are those that the command applies, also if they do not exist yet. `by_library`: it is the library's;
    `names_migrations`: its Service knows their folder.
    """

    command: Sequence[str]
    schema_file: str
    to_write: str
    migrations: Migrations | None
    by_library: bool
    names_migrations: bool

    @property
    def written(self) -> dict[str, str]:
        """The text of the file to write, by its path; empty if there is none."""
        if not self.to_write:
            return {}
        migrations = ""
        if self.migrations:
            folder = os.path.relpath(
                PurePosixPath(self.migrations.versions).parent, PurePosixPath(self.to_write).parent
            )
            migrations = f'migrations=Path(__file__).parent / "{folder}"'
        lines = [
            '"""The admin command: creates the database\'s users and applies the migrations."""',
            "",
            "import sys",
            *(["from pathlib import Path"] if migrations else []),
            "",
            "from fargate_app.service import Service",
            "",
            f"service = Service({migrations})",
            "",
            'if __name__ == "__main__":',
            "    sys.exit(service.admin())",
        ]
        return {self.to_write: "\n".join(lines) + "\n"}


def points(
    context: Context,
    code: Code,
    entry: Entry,
    database: Database,
    variables: Sequence[Variable],
    administration: Administration,
) -> Iterator[Point]:
    """Yield the points of the database; a single one for an application without."""
    if not context.has_database:
        yield from _without(context, database)
        return
    yield _driver(context, database)
    yield connection_point(context, code, database, variables)
    yield errors_point(context, code, database, entry)
    yield from _migrations(context, database, administration)
    yield context.point(_GROUP, "admin command", Verdict.OK, " ".join(administration.command))
    if administration.schema_file:
        yield context.point(_GROUP, "schema file", Verdict.OK, f"/{administration.schema_file} in the image")
    elif database.migrations:
        reason = "none: a rollback cannot know whether the older code works with the newer schema"
        command = " ".join(administration.command)
        if context.dockerfile and context.dockerfile.runs(_VENV):  # it is on the PATH of the last stage only
            command = re.sub(r"^python\b", f"{_VENV}/bin/python", command)
        step = f"RUN {command} schema > {database.migrations.schema}, in the Dockerfile, after the application's files"
        yield context.point(_GROUP, "schema file", Verdict.OPTIONAL, reason, step)


def admin_file(project: Project, module: str) -> str:
    """Return the file for an admin command of the library, beside the application's module."""
    folder = PurePosixPath(module).parent
    names = [str(folder / name) for name in ("admin.py", "service_admin.py")]
    return next((name for name in names if name not in project.paths), names[0])


def _without(context: Context, database: Database) -> Iterator[Point]:
    if database.used or not database.library:
        used = "the inventory has none for it" if database.used else "none is used, and none is created"
        yield context.point(_GROUP, "database", Verdict.OK, f"{used} (app_database: false)")
        return
    yield context.point(
        _GROUP,
        "driver",
        Verdict.OPTIONAL,
        f"{database.library} without a driver for PostgreSQL, so no database is created (app_database: false)",
        "for a database, add psycopg[binary] to its packages, then repeat this command",
    )


def _driver(context: Context, database: Database) -> Point:
    if not database.driver:
        step = "add psycopg[binary] to its packages, and lock again"
        return context.point(_GROUP, "driver", Verdict.TO_DO, "none for PostgreSQL", step)
    kind = "asynchronous" if database.asynchronous or "asyncio" in context.library_extras else "synchronous"
    described = f"{database.driver}, {kind}" + (f", with {database.library}" if database.library else "")
    if database.compiled:
        return context.point(_GROUP, "driver", Verdict.OK, described)
    package = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"}[database.driver]
    reason = f"{described}; this package needs libpq, which the image has not"
    return context.point(_GROUP, "driver", Verdict.TO_DO, reason, f"ask for {package} in its place, and lock again")


def revision_path(database: Database, administration: Administration) -> str:
    """Return the file of the first migration, which creates the tables that the code creates; empty if none is needed.

    The library needs no other file of Alembic.
    """
    wanted = database.creates_tables and administration.by_library and not database.migrations
    return f"{administration.migrations.versions}/0001_tables.py" if wanted and administration.migrations else ""


def _migrations(context: Context, database: Database, administration: Administration) -> Iterator[Point]:
    found = database.migrations
    if path := revision_path(database, administration):
        reason = "none: the application's code creates its tables, which the service's database user may not do"
        place = f"{context.shown}/{database.creates_tables}"
        yield context.point(_GROUP, MIGRATIONS, Verdict.TO_DO, reason, _first_revision(path, administration), place)
    elif found is None:
        reason = "none: nothing creates or changes its tables, which the service's database user may not do"
        yield context.point(_GROUP, MIGRATIONS, Verdict.OPTIONAL, reason, "alembic init migrations")
    elif len(found.heads) > 1:
        reason = f"Alembic, but {found.versions} has {len(found.heads)} heads: {', '.join(found.heads)}"
        yield context.point(
            _GROUP, MIGRATIONS, Verdict.TO_DO, reason, f"(cd {context.shown} && alembic merge heads), then commit it"
        )
    else:
        head = f"head {found.heads[0]}" if found.heads else "no revision yet"
        yield context.point(
            _GROUP, MIGRATIONS, Verdict.OK, f"Alembic, {head}; the admin command's prepare applies them"
        )


def _first_revision(path: str, administration: Administration) -> str:
    """Return how to get a first migration."""
    named = "" if administration.names_migrations else "; pass its folder to Service as migrations"
    return (
        f"WRITE=1 makes {path} from the models: it imports the application, and needs no database{named}. "
        f"By hand: {BY_HAND}"
    )
