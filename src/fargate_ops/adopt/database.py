"""How an application uses a database: its driver, and its migrations."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from fargate_ops.adopt.code import Code, assignment, parsed
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.requirements import Requirements

#: PostgreSQL's drivers: the package, and the name that SQLAlchemy's URLs have for it.
DRIVERS: Mapping[str, str] = {
    "asyncpg": "asyncpg",
    "psycopg": "psycopg",
    "psycopg2": "psycopg2",
    "psycopg2-binary": "psycopg2",
}
_LIBRARIES = ("sqlmodel", "sqlalchemy")


@dataclass(frozen=True)
class Migrations:
    """Alembic's configuration file, the folder of its revisions, and those that no other follows."""

    configuration: str
    versions: str
    heads: tuple[str, ...]

    @property
    def schema(self) -> str:
        """The file beside the folder of the migrations in which the library expects their revisions."""
        return str(PurePosixPath(self.versions).parents[1] / "schema.json")


@dataclass(frozen=True)
class Database:
    """The library and the driver, each empty if there is none. `compiled`: the driver's wheel has all that it needs.

    `creates_tables` is the line of the application's code that creates its tables, ``app/main.py:12``; empty if none.
    """

    library: str
    driver: str
    asynchronous: bool
    compiled: bool
    migrations: Migrations | None
    creates_tables: str = ""

    @property
    def used(self) -> bool:
        """Whether the application uses a PostgreSQL database."""
        return bool(self.driver)


def database(project: Project, code: Code, packages: Requirements) -> Database:
    """Return how the application uses a database."""

    def used(package: str) -> bool:
        return package in packages.extras or code.imports(package.removesuffix("-binary").replace("-", "_"))

    texts = "\n".join(project.files[path] for path in code.modules)
    named = [name for name in ("asyncpg", "psycopg", "psycopg2") if re.search(rf"postgresql\+{name}\b", texts)]
    # An application may have a second driver for its migrations: the one in the URL of its engine counts.
    driver = next(iter([*named, *(DRIVERS[package] for package in DRIVERS if used(package))]), "")
    extras = packages.extras.get("psycopg", frozenset())
    return Database(
        library=next((library for library in _LIBRARIES if used(library)), ""),
        driver=driver,
        asynchronous=driver == "asyncpg" or "create_async_engine" in texts,
        compiled={
            "psycopg": "binary" in extras or packages.has("psycopg-binary"),
            "psycopg2": packages.has("psycopg2-binary"),
        }.get(driver, True),
        migrations=_migrations(project),
        creates_tables=_creates_tables(code),
    )


def _creates_tables(code: Code) -> str:
    for path, module in code.modules.items():
        for node in ast.walk(module.tree):
            # create_all is called, or passed on: connection.run_sync(metadata.create_all)
            if isinstance(node, ast.Attribute) and node.attr == "create_all":
                return f"{path}:{node.lineno}"
    return ""


def _migrations(project: Project) -> Migrations | None:
    configuration = min(
        (path for path in project.files if PurePosixPath(path).name == "alembic.ini"), key=len, default=""
    )
    # The library needs no alembic.ini.
    found = [re.fullmatch(r"((?:.+/)?(?:migrations|alembic))/versions/.+\.py", path) for path in project.paths]
    folders = [match[1] for match in found if match]
    if configuration:
        location = _script_location(project.files[configuration])
        folders = [str(PurePosixPath(configuration).parent / location)]
    if not folders:
        return None
    versions = f"{min(folders, key=len)}/versions"
    return Migrations(configuration, versions, _heads(project, versions))


def _script_location(text: str) -> str:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        location = parser.get("alembic", "script_location", fallback="alembic")
    except configparser.Error:
        location = "alembic"
    return re.sub(r"^%\(here\)s/?", "", location) or "."


def _heads(project: Project, versions: str) -> tuple[str, ...]:
    revisions: dict[str, list[str]] = {}
    for path, text in project.files.items():
        if not path.startswith(f"{versions}/") or not path.endswith(".py"):
            continue
        tree = parsed(text)
        body = dict(filter(None, map(assignment, tree.body if tree else [])))
        if name := _texts(body.get("revision")):
            revisions[name[0]] = _texts(body.get("down_revision"))
    followed = {before for down in revisions.values() for before in down}
    return tuple(sorted(set(revisions) - followed))


def _texts(node: ast.expr | None) -> list[str]:
    """Return the literal text of a node, or those of its elements."""
    nodes = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    return [found.value for found in nodes if isinstance(found, ast.Constant) and isinstance(found.value, str)]
