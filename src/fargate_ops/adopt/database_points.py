"""What the platform asks of an application with a database, and how its settings become the platform's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fargate_ops.adopt.database import Database, Migrations
from fargate_ops.adopt.image_points import Context
from fargate_ops.adopt.points import Point, Verdict
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.variables import PARTS, Variable

_GROUP = "database"
_CA_FILE = "/etc/ssl/rds/ca.pem"
#: The virtual environment of the Dockerfile that this package writes.
_VENV = "/opt/venv"
#: Preflight counts these connections of each worker.
_POOL = (
    'pool_size=int(os.environ.get("DATABASE_POOL_SIZE", "5"))',
    'max_overflow=int(os.environ.get("DATABASE_MAX_OVERFLOW", "10"))',
)
_TLS = f'ssl.create_default_context(cafile="{_CA_FILE}")'
#: asyncpg takes no TLS from the URL, and the library does not check its connections.
_ASYNCPG = (f'connect_args={{"ssl": {_TLS}}} if "DATABASE_HOST" in os.environ else {{}}', "pool_pre_ping=True")


@dataclass(frozen=True)
class Administration:
    """The admin command and the schema file of an image, each empty if there is none.

    `to_write` is the file of the library's admin command that the application still has to get; empty if it has one.
    `migrations` are those that the command applies, also if they do not exist yet. `by_library`: it is the library's.
    """

    command: Sequence[str]
    schema_file: str
    to_write: str
    migrations: Migrations | None
    by_library: bool


def points(
    context: Context, database: Database, variables: Sequence[Variable], administration: Administration
) -> Iterator[Point]:
    """Yield the points of the database; a single one for an application without."""
    if not context.has_database:
        yield from _without(context, database)
        return
    yield _driver(context, database)
    yield _connection(context, database, variables)
    yield from _migrations(context, database, administration)
    if not administration.to_write:
        yield context.point(_GROUP, "admin command", Verdict.OK, " ".join(administration.command))
    else:
        yield context.point(
            _GROUP,
            "admin command",
            Verdict.TO_DO,
            "none: nothing migrates the schema and creates the application's database users",
            _admin_module(administration),
        )
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


def _admin_module(administration: Administration) -> str:
    """Return the lines of an admin command with the library."""
    migrations = ""
    if administration.migrations:
        folder = PurePosixPath(administration.to_write).parent
        path = os.path.relpath(PurePosixPath(administration.migrations.versions).parent, folder)
        migrations = f'migrations=Path(__file__).parent / "{path}"'
    return "\n".join(
        [
            f"write {administration.to_write}:",
            "  import sys",
            *(["  from pathlib import Path"] if migrations else []),
            "  from fargate_app.service import Service",
            f"  service = Service({migrations})",
            '  if __name__ == "__main__":',
            "      sys.exit(service.admin())",
        ]
    )


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


def _connection(context: Context, database: Database, variables: Sequence[Variable]) -> Point:
    """Return how the application finds its database: the platform sets a variable for each part of the address."""
    if context.has_its_routes or any(set(PARTS) & {variable.name, *variable.names} for variable in variables):
        return context.point(_GROUP, "connection", Verdict.OK, "DATABASE_HOST and the variables beside it")
    urls = [variable for variable in variables if variable.is_url]
    parts = [variable for variable in variables if variable.part]
    given = ", ".join(PARTS)
    if urls:
        reason = f"it reads {urls[0].name}; the platform sets {given}"
        step = _address(database, urls[0])
        return context.point(_GROUP, "connection", Verdict.TO_DO, reason, step, f"{context.shown}/{urls[0].where}")
    if parts:
        reason = f"it reads {', '.join(part.name for part in parts)}; the platform sets {given}"
        lines = "\n".join(f"  {_renamed(part)}" for part in parts)
        step = f"read the platform's names first:\n{lines}\n{_verification(database)}"
        return context.point(_GROUP, "connection", Verdict.TO_DO, reason, step, f"{context.shown}/{parts[0].where}")
    reason = f"no variable for its address was found; the platform sets {given}"
    return context.point(_GROUP, "connection", Verdict.TO_DO, reason, _address(database, None))


def _renamed(variable: Variable) -> str:
    """Return the line that reads the platform's name before the application's own."""
    if variable.field:
        return f'{variable.field}: … = Field(validation_alias=AliasChoices("{variable.part}", "{variable.name}"))'
    return f'os.environ.get("{variable.part}") or os.environ["{variable.name}"]'


def _address(database: Database, url: Variable | None) -> str:
    """Return the lines that connect to the platform's database. `url` is the variable with the address elsewhere."""
    if not database.library:
        unless = f", unless {url.name} is set" if url else ""
        return "\n".join([f"connect with them{unless}:", *_indented(_driver_call(database))])
    asyncpg = database.driver == "asyncpg"
    verified = [] if asyncpg else [f'    query={{"sslmode": "verify-full", "sslrootcert": "{_CA_FILE}"}},']
    made = [
        "sqlalchemy.URL.create(",
        f'    "postgresql+{database.driver}",',
        *(f"    {line}," for line in _parts("username", "database")),
        *verified,
        ").render_as_string(hide_password=False)",
    ]
    if url and url.field:
        title = f"have the settings build the URL unless {url.name} is set:"
        lines = ["def platform_url() -> str:", f"    return {made[0]}", *(f"    {line}" for line in made[1:])]
        lines.append(f"{url.field}: … = Field(default_factory=platform_url)")
    elif url:
        title, lines = (
            f"build the URL unless {url.name} is set:",
            [f'os.environ.get("{url.name}") or {made[0]}', *made[1:]],
        )
    else:
        title, lines = "build the URL from them:", made
    create = "create_async_engine" if database.asynchronous else "create_engine"
    given = [*(_ASYNCPG if asyncpg else ()), *_POOL]
    return "\n".join([title, *_indented(lines), f"and pass {create}:", *_indented(f"{line}," for line in given)])


def _driver_call(database: Database) -> list[str]:
    """Return the call that connects without SQLAlchemy."""
    if database.driver == "asyncpg":
        given = [*_parts("user", "database"), f"ssl={_TLS}", 'max_size=int(os.environ["DATABASE_POOL_SIZE"])']
        return ["asyncpg.create_pool(", *(f"    {line}," for line in given), ")"]
    given = [*_parts("user", "dbname"), 'sslmode="verify-full"', f'sslrootcert="{_CA_FILE}"']
    return [f"{database.driver}.connect(", *(f"    {line}," for line in given), ")"]


def _parts(user: str, name: str) -> list[str]:
    """Return the arguments with the parts of the address. Drivers differ in the names of two of them."""
    return [
        f'{user}=os.environ["DATABASE_USER"]',
        'password=os.environ["DATABASE_PASSWORD"]',
        'host=os.environ["DATABASE_HOST"]',
        'port=int(os.environ["DATABASE_PORT"])',
        f'{name}=os.environ["DATABASE_NAME"]',
    ]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]


def _verification(database: Database) -> str:
    if database.driver == "asyncpg" and database.library:
        return "\n".join(["and pass create_async_engine:", *_indented(f"{line}," for line in _ASYNCPG)])
    if database.driver == "asyncpg":
        return f"and verify the server: ssl={_TLS}"
    return f"and verify the server: ?sslmode=verify-full&sslrootcert={_CA_FILE} at the end of the URL"


def _migrations(context: Context, database: Database, administration: Administration) -> Iterator[Point]:
    found = database.migrations
    if found is None and database.creates_tables and administration.by_library and administration.migrations:
        reason = "none: the application's code creates its tables, which the service's database user may not do"
        step = _first_revision(administration.migrations)
        place = f"{context.shown}/{database.creates_tables}"
        yield context.point(_GROUP, "migrations", Verdict.TO_DO, reason, step, place)
    elif found is None:
        reason = "none: nothing creates or changes its tables, which the service's database user may not do"
        yield context.point(_GROUP, "migrations", Verdict.OPTIONAL, reason, "alembic init migrations")
    elif len(found.heads) > 1:
        reason = f"Alembic, but {found.versions} has {len(found.heads)} heads: {', '.join(found.heads)}"
        yield context.point(
            _GROUP, "migrations", Verdict.TO_DO, reason, f"(cd {context.shown} && alembic merge heads), then commit it"
        )
    else:
        head = f"head {found.heads[0]}" if found.heads else "no revision yet"
        by = (
            "the admin command will apply them"
            if administration.to_write
            else "the admin command's prepare applies them"
        )
        yield context.point(_GROUP, "migrations", Verdict.OK, f"Alembic, {head}; {by}")


def _first_revision(migrations: Migrations) -> str:
    """Return the lines of a first migration. The library needs no other file of Alembic."""
    return "\n".join(
        [
            f"write {migrations.versions}/0001_tables.py with every column of each table, and pass Service its folder:",
            "  import sqlalchemy as sa",
            "  from alembic import op",
            '  revision = "0001"',
            "  down_revision = None",
            "  def upgrade() -> None:",
            '      op.create_table("item", sa.Column("id", sa.Integer, primary_key=True), …)',
        ]
    )
