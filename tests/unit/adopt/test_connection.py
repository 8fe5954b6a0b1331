"""The lines that connect an application: with them it runs as before here, and on the platform with its database."""

from __future__ import annotations

import ssl
from itertools import takewhile
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from fargate_ops.adopt.edits import Edit, applied
from fargate_ops.adopt.inspection import inspect
from fargate_ops.adopt.points import Point
from fargate_ops.adopt.project import Project
from tests.unit.adopt.projects import SMALL

#: What stands for the driver in the code below.
DRIVER = "psycopg2"
HERE = "postgresql+psycopg2://localhost/mine"
PLATFORM = {
    "DATABASE_HOST": "db",
    "DATABASE_PORT": "5432",
    "DATABASE_NAME": "shop",
    "DATABASE_USER": "me",
    "DATABASE_PASSWORD": "a/b",
    "DATABASE_POOL_SIZE": "3",
}

IN_THE_CALL = f"""\
\"\"\"A shop.\"\"\"
import os
from sqlalchemy import create_engine

engine = create_engine(  # one for all
    os.environ.get("DATABASE_URL", "{HERE}"),
    pool_pre_ping=True,
)
"""
OF_ITS_OWN = f"""\
from sqlalchemy import create_engine
import os as system
from os import getenv

URL: str = getenv("DATABASE_URL", "{HERE}").replace("é", "e")  # é
engine = create_engine(url=URL, max_overflow=1)
"""
IN_A_FUNCTION = f"""\
import os
import sqlalchemy

def address() -> str:
    return os.getenv("DATABASE_URL") or "{HERE}"

def made():
    return sqlalchemy.create_engine(address())

engine = made()
"""
WRITTEN_OUT = f"""\
from sqlalchemy import create_engine
engine = create_engine("{HERE}")
"""
OF_SETTINGS = f"""\
from pydantic_settings import BaseSettings
from sqlalchemy import create_engine

class Settings(BaseSettings):
    debug: bool = False
    database_url: str = "{HERE}"

engine = create_engine(Settings().database_url)
"""
CODE = {
    "in the call": IN_THE_CALL,
    "of its own": OF_ITS_OWN,
    "in a function": IN_A_FUNCTION,
    "written out": WRITTEN_OUT,
    "settings": OF_SETTINGS,
}


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", *PLATFORM):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: cafile)


def connection(text: str, driver: str) -> Point:
    package = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]"}.get(driver, driver)
    files = SMALL | {"requirements.txt": f"sqlalchemy\n{package}\n", "db.py": text}
    points = inspect(Project.of(files), named="", python="3.13", shown="../shop").points
    (found,) = (point for point in points if point.subject == "connection")
    return found


def engine_of(text: str) -> Any:
    names: dict[str, Any] = {"__name__": "db"}
    exec(compile(text, "db.py", "exec", dont_inherit=True), names)  # noqa: S102 - lines of this package
    engine = names["engine"]
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def pasted(text: str, edits: tuple[Edit, ...]) -> str:
    """Return the text after somebody pasted each step's lines, one after the other."""
    lines = text.splitlines()
    for edit in edits:
        title, *code = edit.step.split("\n")
        first = title.removesuffix(":").partition("db.py:")[2].partition(" to line ")
        start = int(first[0]) if first[0] else 1 + len(list(takewhile(lambda line: "import" in line, lines)))
        end = int(first[2] or first[0]) if first[0] else start - 1
        margin = " " * (len(lines[start - 1]) - len(lines[start - 1].lstrip())) if first[0] else ""
        lines[start - 1 : end] = [margin + line.removeprefix("  ") for line in code]
    return "\n".join(lines) + "\n"


@pytest.fixture(params=["written", "pasted"])
def having(request: pytest.FixtureRequest) -> Any:
    return {"written": applied, "pasted": pasted}[request.param]


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg", "asyncpg"])
@pytest.mark.parametrize("text", CODE.values(), ids=CODE)
def test_the_lines_run_here_and_on_the_platform(
    driver: str, text: str, having: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text.replace(DRIVER, driver)
    if driver == "asyncpg":
        text = text.replace("create_engine", "create_async_engine")
        text = text.replace("from sqlalchemy import", "from sqlalchemy.ext.asyncio import")
        text = text.replace("import sqlalchemy\n", "import sqlalchemy.ext.asyncio\n")
        text = text.replace("sqlalchemy.create_async", "sqlalchemy.ext.asyncio.create_async")
    found = connection(text, driver)
    assert found.verdict == "TO DO"
    changed = having(text, found.edits)
    here = engine_of(changed)
    assert address(here) == HERE.replace(DRIVER, driver), "the local default stays"
    for name, value in PLATFORM.items():
        monkeypatch.setenv(name, value)
    there = engine_of(changed)
    assert address(there).startswith(f"postgresql+{driver}://me:a%2Fb@db:5432/shop")
    assert there.pool.size() == 3
    if driver != "asyncpg":
        assert address(there).endswith("?sslmode=verify-full&sslrootcert=%2Fetc%2Fssl%2Frds%2Fca.pem")


@pytest.mark.parametrize("name", ["in the call", "of its own", "in a function"])
def test_a_variable_that_is_set_here_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg2://localhost/other")
    text = applied(CODE[name], connection(CODE[name], DRIVER).edits)
    assert address(engine_of(text)).endswith("/other")


def test_what_an_engine_has_already_stays() -> None:
    text = applied(OF_ITS_OWN, connection(OF_ITS_OWN, DRIVER).edits)
    assert "engine = create_engine(\n    url=URL,\n    pool_size=" in text
    assert 'max_overflow=int(os.environ.get("DATABASE_MAX_OVERFLOW", "1"))' in text, "its own number where none is set"
    without_pool = WRITTEN_OUT.replace('mine")', 'mine", poolclass=NullPool)')
    assert "pool_size" not in connection(without_pool, DRIVER).next_step
    in_the_call = applied(IN_THE_CALL, connection(IN_THE_CALL, DRIVER).edits)
    assert in_the_call.startswith('"""A shop."""\nimport os\nfrom sqlalchemy import create_engine\nimport sqlalchemy\n')


def test_a_comment_and_unusual_characters_stay() -> None:
    text = 'TITLE = "\x0c\u2028é"\n' + WRITTEN_OUT.replace('mine")', 'mine")  # ours')
    changed = applied(text, connection(text, DRIVER).edits)
    assert address(engine_of(changed)) == HERE
    assert changed.startswith('TITLE = "\x0c\u2028é"\nfrom sqlalchemy import create_engine\n')
    assert changed.endswith("\n)  # ours\n")
    settings = OF_SETTINGS.replace('mine"', 'mine"  # ours')
    assert "default_factory=platform_url)  # ours\n" in applied(settings, connection(settings, DRIVER).edits)


@pytest.mark.parametrize(
    "line", ["PORT = 1; url = os.environ['DATABASE_URL']", "url = os.environ['DATABASE_URL']; PORT = 1"]
)
def test_a_line_with_several_statements_is_not_replaced(line: str) -> None:
    assert connection(f"import os\n{line}\n", DRIVER).edits == ()


def test_a_pool_of_sqlalchemys_default_size_is_optional() -> None:
    found = connection(
        WRITTEN_OUT.replace(f'"{HERE}"', 'os.environ["DATABASE_HOST"]').replace("f", "import os\nf", 1), DRIVER
    )
    assert found.verdict == "optional"
    assert 'pool_size=int(os.environ.get("DATABASE_POOL_SIZE", "5"))' in found.next_step


def test_arguments_that_are_not_written_out_are_not_given_twice() -> None:
    text = WRITTEN_OUT.replace('mine")', 'mine", **{"pool_size": 2})')
    found = connection(text, DRIVER)
    assert found.next_step.endswith(
        "and pass create_engine:\n"
        '  pool_size=int(os.environ.get("DATABASE_POOL_SIZE", "5")),\n'
        '  max_overflow=int(os.environ.get("DATABASE_MAX_OVERFLOW", "10")),'
    )
    assert engine_of(applied(text, found.edits)).pool.size() == 2


def test_lines_for_code_that_is_not_recognised_are_shown_only() -> None:
    text = "import os\nif url := os.environ['DATABASE_URL']:\n    print(url)\n"
    found = connection(text, DRIVER)
    assert found.edits == ()
    assert "use platform_url() as the address:\n  import os\n  import sqlalchemy\n" in found.next_step
    assert "and pass create_engine:\n  pool_size=" in found.next_step


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        ("", {"connect_args", "pool_pre_ping", "pool_size", "max_overflow"}),
        ("connect_args={}, ", {"connect_args", "pool_pre_ping", "pool_size", "max_overflow"}),
        ("pool_size=50, connect_args=verified(), pool_pre_ping=True, ", {"pool_size", "max_overflow"}),
        ("poolclass=NullPool, connect_args=verified(), pool_pre_ping=True, ", set()),
        ("**options, ", set()),
    ],
)
def test_an_engine_that_ignores_the_platform_is_to_do(given: str, lacking: set[str]) -> None:
    text = (
        "import os\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
        'url = os.environ.get("DATABASE_HOST", "localhost")\n'
        f"engine = create_async_engine(url, {given}echo=False)\n"
    )
    found = connection(text, "asyncpg")
    assert found.verdict == ("TO DO" if lacking else "OK")
    changed = applied(text, found.edits) if found.edits else text
    names = ("connect_args", "pool_pre_ping", "pool_size", "max_overflow")
    assert {name for name in names if f"    {name}=" in changed and "environ" in changed} - (
        {"connect_args", "pool_pre_ping"} - lacking
    ) == lacking
    if lacking:
        assert connection(changed, "asyncpg").verdict == "OK"
        assert '"50"' in changed or "50" not in given


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("POSTGRES_SERVER: str", ""),
        ('POSTGRES_SERVER: str = "db"', '"db", '),
        ("POSTGRES_SERVER: str = Field(min_length=1)", "min_length=1, "),
        ('POSTGRES_SERVER: str = Field("db", alias="DB_SERVER")', '"db", '),
    ],
)
def test_a_part_of_the_address_keeps_its_default(field: str, given: str) -> None:
    text = f"from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    {field}\n"
    step = connection(text.replace("POSTGRES_SERVER", "DB_HOST"), DRIVER).next_step
    assert "in db.py:\n  from pydantic import AliasChoices, Field\n" in step
    assert f'  DB_HOST: str = Field({given}validation_alias=AliasChoices("DATABASE_HOST", ' in step
