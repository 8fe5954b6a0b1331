"""Fixtures of the library's tests, with an application of a few lines."""

import io
import json
import logging.config
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fargate_app.logs import JsonFormatter
from fargate_app.migrations import Migrations
from fargate_app.service import Service
from tests.fargate_app.shop.app import create_app, service
from tests.support.databases import TestDatabase
from tests.support.databases import make_database as make_database
from tests.support.databases import master as master
from tests.support.databases import server as server


@pytest.fixture(scope="session")
def prepared(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    """A prepared database. Do not write to it: it is the others' template."""
    database = make_database(service)
    database.prepare()
    return database


@pytest.fixture
def database(make_database: Callable[..., TestDatabase], prepared: TestDatabase) -> TestDatabase:
    """A prepared database for one test."""
    return make_database(service, prepared)


@pytest.fixture
def empty_database(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    """An unprepared database for one test, and the name of a role that does not exist."""
    return make_database(service)


@pytest.fixture(params=["psycopg2", "psycopg"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each driver, for every process of the application."""
    monkeypatch.setenv("DATABASE_DRIVER", request.param)
    return str(request.param)


@pytest.fixture(params=["psycopg2", "psycopg", "asynchronous"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each kind of engine of the service."""
    asynchronous = request.param == "asynchronous"
    monkeypatch.setenv("DATABASE_DRIVER", "psycopg" if asynchronous else request.param)
    monkeypatch.setattr(service, "asynchronous", asynchronous)
    return str(request.param)


@pytest.fixture
def client(database: TestDatabase) -> Iterator[TestClient]:
    """A client of the application on `database`."""
    with TestClient(create_app(database.settings())) as test_client:
        yield test_client


@pytest.fixture(autouse=True)
def logging_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The admin command configures the logging of its process, and other tests read what is logged."""
    monkeypatch.setattr(logging.config, "dictConfig", lambda _: None)


class Log:
    """What the library logs."""

    def __init__(self) -> None:
        self.output = io.StringIO()

    def entries(self, message: str | None = None) -> list[dict[str, Any]]:
        """Return the entries, or those with this message."""
        entries = [json.loads(line) for line in self.output.getvalue().splitlines()]
        return [entry for entry in entries if message in (None, entry["message"])]


@pytest.fixture
def log() -> Iterator[Log]:
    """The library's log."""
    log = Log()
    handler = logging.StreamHandler(log.output)
    handler.setFormatter(JsonFormatter())
    levels = {name: logging.getLogger(name).level for name in ("fargate_app", "fargate_app.metrics")}
    logging.getLogger("fargate_app").addHandler(handler)
    for name in levels:
        logging.getLogger(name).setLevel(logging.INFO)
    yield log
    logging.getLogger("fargate_app").removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class Revisions:
    """A copy of the application's revisions, with others beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def migrations(self) -> Migrations:
        """The revisions as they are now."""
        return Migrations(self.folder)

    @property
    def service(self) -> Service:
        """The application's service with these revisions."""
        return Service(
            service.name,
            migrations=self.folder,
            grants=service.grants,
            autocommit=True,
            asynchronous=service.asynchronous,
        )

    def add(self, path: str, revision: Any, after: Any = "0001", *, body: str = "pass", more: str = "") -> None:
        """Write a revision. `path` is below `versions`; `body` is that of its upgrade()."""
        file = self.folder / "versions" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f"revision = {revision!r}\ndown_revision = {after!r}\n{more}\n\ndef upgrade() -> None:\n    "
            + body.strip().replace("\n", "\n    ")
            + "\n"
        )


@pytest.fixture
def revisions(tmp_path: Path) -> Revisions:
    """The application's revisions for one test."""
    assert service.migrations
    folder = tmp_path / "shop/migrations"
    shutil.copytree(service.migrations.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return Revisions(folder)
