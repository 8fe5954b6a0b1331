"""Drivers and migrations, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fargate_ops.adopt.database import Database, database
from fargate_ops.adopt.inspection import inspect
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.requirements import requirements
from tests.unit.adopt.conftest import code
from tests.unit.adopt.projects import SMALL


def found(files: Mapping[str, str]) -> Database:
    project = Project.of(files)
    return database(project, code(files), requirements(project))


def reasons(packages: str, text: str = "", **files: str) -> dict[str, tuple[str, str, str]]:
    """Return what is said about the database of an application with these packages and this code."""
    project = (
        SMALL
        | {"requirements.txt": packages, "db.py": text}
        | {path.replace("__py", ".py").replace("__", "/"): it for path, it in files.items()}
    )
    points = inspect(Project.of(project), named="", python="3.13", shown="../shop").points
    return {
        point.subject: (str(point.verdict), point.reason, point.next_step)
        for point in points
        if point.group == "database"
    }


@pytest.mark.parametrize(
    ("packages", "text", "expected"),
    [
        ("psycopg2-binary\nsqlalchemy\n", "", ("sqlalchemy", "psycopg2", False, True)),
        ("psycopg2\nsqlmodel\n", "", ("sqlmodel", "psycopg2", False, False)),
        (
            "psycopg[binary,pool]\n",
            "from sqlalchemy.ext.asyncio import create_async_engine\n",
            ("sqlalchemy", "psycopg", True, True),
        ),
        ("psycopg\n", "", ("", "psycopg", False, False)),
        ("asyncpg\npsycopg2-binary\nsqlalchemy\n", "", ("sqlalchemy", "asyncpg", True, True)),
        ("asyncpg\npsycopg2-binary\n", "u = 'postgresql+psycopg2://x'\n", ("", "psycopg2", False, True)),
        ("", "import asyncpg\n", ("", "asyncpg", True, True)),
        ("sqlalchemy\n", "u = 'sqlite:///x'\n", ("sqlalchemy", "", False, True)),
        ("", "", ("", "", False, True)),
    ],
)
def test_the_driver(packages: str, text: str, expected: tuple[str, str, bool, bool]) -> None:
    it = found({"requirements.txt": packages, "db.py": text})
    assert (it.library, it.driver, it.asynchronous, it.compiled) == expected
    assert it.used is bool(expected[1])


@pytest.mark.parametrize("location", ["%(here)s/migrations", "migrations"])
def test_migrations_of_alembic(location: str) -> None:
    it = found(
        {
            "alembic.ini": f"[alembic]\nscript_location = {location}\nfile_template = %%(rev)s_%%(slug)s\n",
            "migrations/versions/a.py": "revision = 'a'\ndown_revision = None\n",
            "migrations/versions/b.py": "revision: str = 'b'\ndown_revision: str = 'a'\n",
            "migrations/versions/c.py": "revision = 'c'\ndown_revision = 'a'\n",
            "migrations/versions/broken.py": "revision =\n",
            "migrations/versions/__init__.py": "",
        }
    ).migrations
    assert it
    assert (it.configuration, it.versions, it.heads) == ("alembic.ini", "migrations/versions", ("b", "c"))
    assert it.schema == "schema.json"


def test_migrations_that_were_merged() -> None:
    versions = {"a": "None", "b": "'a'", "c": "'a'", "d": "('b', 'c')"}
    it = found(
        {
            f"shop/migrations/versions/{name}.py": f"revision = '{name}'\ndown_revision = {down}\n"
            for name, down in versions.items()
        }
    ).migrations
    assert it
    assert (it.configuration, it.heads, it.schema) == ("", ("d",), "shop/schema.json")


def test_an_application_without_a_database() -> None:
    assert reasons("fastapi\n")["database"][0] == "OK"
    assert reasons("sqlalchemy\n")["driver"][0] == "optional"


def test_a_driver_that_needs_a_library_of_the_system() -> None:
    verdict, _, step = reasons("psycopg\n")["driver"]
    assert verdict == "TO DO"
    assert "psycopg[binary]" in step
    assert "psycopg2-binary" in reasons("psycopg2\n")["driver"][2]


def test_tables_that_the_code_creates_need_a_migration() -> None:
    assert reasons("asyncpg\n")["migrations"][0] == "optional"
    verdict, reason, step = reasons("asyncpg\n", "import sqlmodel\nsqlmodel.SQLModel.metadata.create_all(e)\n")[
        "migrations"
    ]
    assert (verdict, "the service's database user may not" in reason) == ("TO DO", True)
    assert step.startswith("WRITE=1 makes migrations/versions/0001_tables.py ")
    assert "pass its folder to Service" not in step


def test_an_admin_command_without_migrations_gets_them() -> None:
    admin = "from fargate_app.service import Service\nservice = Service(%s)\nservice.admin()\n"
    create = "import sqlmodel\nsqlmodel.SQLModel.metadata.create_all(e)\n"
    assert "pass its folder to Service" in reasons("asyncpg\n", create, admin__py=admin % "")["migrations"][2]


def test_several_heads_are_to_be_merged() -> None:
    files = {f"migrations__versions__{name}.py": f"revision = '{name}'\ndown_revision = None\n" for name in "ab"}
    verdict, reason, step = reasons("asyncpg\n", **files)["migrations"]
    assert (verdict, "2 heads: a, b" in reason) == ("TO DO", True)
    assert "(cd ../shop && alembic merge heads)" in step


@pytest.mark.parametrize(
    ("text", "verdict", "shown"),
    [
        ("import os\nh = os.environ['DATABASE_HOST']\n", "OK", ""),
        ("import os\nu = os.getenv('DATABASE_URL')\n", "TO DO", "  import asyncpg\n\n  asyncpg.create_pool("),
        (
            "import os\nu = os.getenv('PGHOST', 'me')\n",
            "TO DO",
            "os.environ.get(\"DATABASE_HOST\") or os.getenv('PGHOST', 'me')",
        ),
        ("", "TO DO", "elsewhere as now:\n  import os\n  import ssl\n  import asyncpg\n"),
    ],
)
def test_how_the_application_finds_its_database(text: str, verdict: str, shown: str) -> None:
    said = reasons("asyncpg\n", text)["connection"]
    assert said[0] == verdict
    assert shown in said[2]
    assert verdict == "OK" or "ssl.create_default_context" in said[2]


@pytest.mark.parametrize("python", ["python", "/opt/venv/bin/python"])
def test_the_schema_is_built_with_the_python_that_has_the_packages(python: str) -> None:
    files = {
        "Dockerfile": f"FROM a\nRUN {python} -m compileall .\n",
        "admin.py": "from fargate_app.service import Service\nservice = Service()\nservice.admin()\n",
        "migrations__versions__a.py": "revision = 'a'\n",
    }
    project = SMALL | {"requirements.txt": "psycopg2-binary\n"} | {k.replace("__", "/"): v for k, v in files.items()}
    points = inspect(Project.of(project), named="", python="3.13", shown="../shop").points
    (step,) = (point.next_step for point in points if point.subject == "schema file")
    assert step.startswith(f"RUN {python} -m admin schema > schema.json")


def test_the_pool_is_the_one_that_preflight_counts() -> None:
    assert "DATABASE_POOL_SIZE" in reasons("sqlalchemy\nasyncpg\n")["connection"][2]
    assert 'max_size=int(os.environ["DATABASE_POOL_SIZE"])' in reasons("asyncpg\n")["connection"][2]


def test_a_server_that_libpq_verifies() -> None:
    assert 'query={"sslmode": "verify-full"' in reasons("sqlalchemy\npsycopg[binary]\n")["connection"][2]
    step = reasons("psycopg[binary]\n")["connection"][2]
    assert "  import psycopg\n\n  psycopg.connect(\n" in step
    assert 'sslmode="verify-full"' in step
