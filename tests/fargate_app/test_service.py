"""A Service: what each of its arguments does, and what it does without a database."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from starlette.testclient import TestClient

import fargate_app
from fargate_app.database import Database
from fargate_app.service import Service
from fargate_app.settings import DatabaseSettings, Settings
from tests.fargate_app.conftest import Revisions
from tests.fargate_app.shop.app import create_app
from tests.support.databases import TestDatabase

MakeDatabase = Callable[..., TestDatabase]


def test_the_lines_of_the_readme_need_no_package_of_a_database() -> None:
    readme = (Path(fargate_app.__file__).parent / "README.md").read_text()
    lines = readme.partition("```python\n")[2].partition("```")[0]
    program = f"""
import json, sys
for package in ("alembic", "botocore", "jwt", "psycopg", "psycopg2", "sqlalchemy"):
    sys.modules[package] = None
{lines}
from starlette.testclient import TestClient
with TestClient(app) as client:
    for path in ("/healthz", "/readyz", "/version", "/missing"):
        print(json.dumps([client.get(path).status_code, client.get(path).json()]))
"""
    source = str(Path(fargate_app.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    health, readiness, version, missing = map(json.loads, done.stdout.splitlines())
    assert health == [200, {"status": "healthy"}]
    assert readiness == [200, {"status": "ready", "schema_revision": None}]
    assert (version[0], version[1]["schema_head"]) == (200, None)
    assert (missing[0], missing[1]["title"]) == (404, "Not Found")


def test_the_admin_command_needs_no_package_of_the_service() -> None:
    program = "import sys; sys.modules.update(fastapi=None, starlette=None); import fargate_app.admin.prepare"
    source = str(Path(fargate_app.__file__).parents[1])
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}, check=True)


def test_the_name_is_that_of_the_environment_or_its_own(database: TestDatabase, client: TestClient) -> None:
    path = "/items/00000000-0000-0000-0000-000000000000"
    assert client.get(path).json()["type"] == "urn:problem-type:shop:item-not-found"
    with TestClient(create_app(database.settings(app_name="bazaar"))) as other:
        assert other.get(path).json()["type"] == "urn:problem-type:bazaar:item-not-found"
        with database.superuser() as connection:
            names = connection.scalars(
                text("SELECT application_name FROM pg_stat_activity WHERE usename = :role"), {"role": database.role}
            )
            assert {name.partition("@")[0] for name in names} == {"shop-api", "bazaar-api"}


def test_it_has_a_database_if_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_HOST", raising=False)
    assert type(Service().read_settings()) is Settings
    monkeypatch.setenv("DATABASE_HOST", "db")
    with pytest.raises(ValidationError, match="database_user"):
        Service().read_settings()
    for name in ("NAME", "USER", "PASSWORD"):
        monkeypatch.setenv(f"DATABASE_{name}", "x")
    assert type(Service().read_settings()) is DatabaseSettings


def test_it_has_a_database_if_it_has_migrations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DATABASE_HOST", raising=False)
    with pytest.raises(ValidationError, match="database_host"):
        Service(migrations=tmp_path).read_settings()
    with pytest.raises(TypeError, match="DatabaseSettings"):
        Service(migrations=tmp_path, settings=Settings)


def test_a_larger_body_is_refused() -> None:
    app = FastAPI()

    @app.post("/")
    async def post(numbers: list[int]) -> None: ...

    Service(max_body_bytes=10).install(app)
    with TestClient(app) as client:
        assert client.post("/", json=[11, 22, 33]).status_code == 200
        answer = client.post("/", json=[11, 22, 333])
        assert (answer.status_code, answer.json()["detail"]) == (413, "The limit is 10 bytes.")


def test_a_missing_path_with_a_slash_is_explained_unless_another_one_has_a_slash() -> None:
    app = FastAPI(redirect_slashes=False)
    Service().install(app)
    with TestClient(app) as client:
        assert client.get("/healthz/").json()["detail"] == "No path of this service ends with a slash."
        app.get("/shelf/")(lambda: None)
        assert client.get("/healthz/").json()["detail"] == "Not Found"


def test_without_grants_the_users_may_read_and_write_everything(
    make_database: MakeDatabase, revisions: Revisions
) -> None:
    revisions.add("0002.py", "0002", body='op.execute("CREATE TABLE boxes (id serial PRIMARY KEY, label text)")')
    database = make_database(Service("shop", migrations=revisions.folder))
    assert database.prepare().changed
    assert not database.prepare().changed
    application = Database(database.settings(), autocommit=True)
    try:
        with application.connect() as connection:
            for statement in (
                "INSERT INTO boxes (label) VALUES ('a')",
                "UPDATE boxes SET label = 'b'",
                "DELETE FROM boxes",
                "INSERT INTO items (name) VALUES ('a')",
                "SELECT version_num FROM alembic_version",
            ):
                connection.execute(text(statement))
        for statement in ("DELETE FROM alembic_version", "TRUNCATE boxes", "DROP TABLE boxes"):
            refused = pytest.raises(ProgrammingError, match=r"permission denied|must be owner")
            with refused, application.connect() as connection:
                connection.execute(text(statement))
    finally:
        application.close()


def test_an_application_may_have_a_database_without_migrations(make_database: MakeDatabase) -> None:
    service = Service("bare")
    database = make_database(service)
    done = database.prepare()
    assert (done.schema_head, done.changed) == ("", True)
    with TestClient(create_app(database.settings(), service)) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json() == {"status": "ready", "schema_revision": None}
        assert client.get("/version").json()["schema_head"] is None


def test_it_has_no_schema_without_migrations(capsys: pytest.CaptureFixture[str]) -> None:
    assert Service().admin(["schema"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "this application has no migrations"


def test_an_operation_is_one_transaction(database: TestDatabase) -> None:
    def add_two(connection: Connection, prices: list[int]) -> None:
        for price in prices:
            connection.execute(text("INSERT INTO items (name, price) VALUES ('two', :price)"), {"price": price})

    def rows() -> int:
        with database.superuser() as connection:
            return int(connection.scalars(text("SELECT count(*) FROM items WHERE name = 'two'")).one())

    for autocommit, left in ((False, 0), (True, 1)):
        application = Database(database.settings(), autocommit=autocommit)
        with pytest.raises(IntegrityError):
            asyncio.run(application.run(add_two, [1, -1]))
        assert rows() == left
        asyncio.run(application.run(add_two, [1, 2]))
        assert rows() == left + 2
        application.close()
        with database.superuser() as connection:
            connection.execute(text("DELETE FROM items"))
