"""Engines that the application makes itself, and the database of an asynchronous service."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from fargate_app.async_database import AsyncDatabase, async_pooled_engine
from fargate_app.database import Database, engine_url, pooled_engine
from fargate_app.driver import choose
from fargate_app.service import Service
from fargate_app.settings import DatabaseSettings, EngineSettings, Settings
from fargate_app.watch import watch
from tests.fargate_app.conftest import Log
from tests.fargate_app.test_health import outage, wait_for_lock
from tests.support.databases import TestDatabase
from tests.support.ports import closed_port

TIGHT = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
QUERY = text("SELECT query, application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")


def own_engine(database: TestDatabase, **options: Any) -> Engine:
    """Make an engine as an application does that does not know the library."""
    return create_engine(**arguments(database, options))


def own_async_engine(database: TestDatabase, **options: Any) -> AsyncEngine:
    return create_async_engine(**arguments(database, options))


def arguments(database: TestDatabase, options: dict[str, Any]) -> dict[str, Any]:
    settings: DatabaseSettings = database.settings()
    chosen = settings.database_driver or "psycopg"
    url = engine_url(settings, chosen, settings.database_user, settings.database_password)
    tls = {"sslmode": settings.database_sslmode, "sslrootcert": settings.database_ca_file}
    return {"url": url, "connect_args": tls} | options


def application(engine: Engine | AsyncEngine) -> FastAPI:
    """An application with sessions of SQLAlchemy's ORM on an engine of its own."""
    service = Service("shop")
    app = FastAPI(lifespan=service.lifespan)

    @app.get("/mine")
    def read() -> dict[str, Any]:
        with Session(engine) as session:
            return dict(session.execute(QUERY).mappings().one())

    @app.get("/full")
    def fill() -> dict[str, Any]:
        with Session(engine) as session:
            session.execute(QUERY)
            return read()

    @app.get("/async/mine")
    async def read_asynchronously() -> dict[str, Any]:
        async with AsyncSession(engine) as session:
            return dict((await session.execute(QUERY)).mappings().one())

    @app.get("/async/full")
    async def fill_asynchronously() -> dict[str, Any]:
        async with AsyncSession(engine) as session:
            await session.execute(QUERY)
            return await read_asynchronously()

    service.install(app, engine=engine)
    return app


@pytest.fixture
def make_engine(engine: str) -> Callable[..., Engine | AsyncEngine]:
    """Make an engine of each kind."""
    return own_async_engine if engine == "asynchronous" else own_engine


@pytest.fixture
def prefix(engine: str) -> str:
    """The path of the endpoints for each kind."""
    return "/async" if engine == "asynchronous" else ""


def test_an_engine_of_the_application_is_watched_and_is_the_only_pool(
    database: TestDatabase, make_engine: Callable[..., Any], prefix: str, log: Log
) -> None:
    engine = make_engine(database, **TIGHT)
    for _ in range(2):  # an engine of a module outlives an application of a test
        with TestClient(application(engine)) as client:
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz").json() == {"status": "ready", "schema_revision": "0001"}
            mine = client.get(f"{prefix}/mine").json()
            assert mine["query"].count("/*action='read") == 1
            assert f"route='{prefix}/mine'*/ SELECT query" in mine["query"]
            assert mine["application_name"].startswith("shop-api@")
            full = client.get(f"{prefix}/full")
            assert (full.status_code, full.headers["Retry-After"]) == (503, "1")
            assert full.json()["type"] == "urn:problem-type:shop:database-pool-exhausted"
            with database.superuser() as connection:
                count = text("SELECT count(*) FROM pg_stat_activity WHERE usename = :role AND datname = :name")
                assert connection.scalar(count, {"role": database.role, "name": database.name}) == 1
    first, second = log.entries("database pool")
    for entry in (first, second):
        assert {name: entry[name] for name in ("PoolSize", "PoolInUse", "PoolTimeouts")} == {
            "PoolSize": 1,
            "PoolInUse": 1,
            "PoolTimeouts": 1,
        }


def test_a_connection_that_the_server_ended_is_replaced_in_an_engine_of_the_application(
    database: TestDatabase, make_engine: Callable[..., Any], prefix: str
) -> None:
    with TestClient(application(make_engine(database, **TIGHT))) as client:
        assert client.get(f"{prefix}/mine").status_code == 200
        with database.superuser() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = :role"),
                {"role": database.role},
            )
        assert client.get(f"{prefix}/mine").status_code == 200


def asyncpg_engine(database: TestDatabase, **changes: Any) -> AsyncEngine:
    """Make an engine as `make adopt` shows it."""
    settings: DatabaseSettings = database.settings(**changes)
    return create_async_engine(
        engine_url(settings, "asyncpg", settings.database_user, settings.database_password),
        connect_args={"ssl": ssl.create_default_context(cafile=settings.database_ca_file)},
        pool_pre_ping=True,
        **TIGHT,
    )


def test_an_engine_with_asyncpg_is_watched(database: TestDatabase, log: Log) -> None:
    with TestClient(application(asyncpg_engine(database))) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json() == {"status": "ready", "schema_revision": "0001"}
        mine = client.get("/async/mine").json()
        assert "route='/async/mine'*/ SELECT query" in mine["query"]
        assert mine["application_name"].startswith("shop-api@")
        full = client.get("/async/full")
        assert full.json()["type"] == "urn:problem-type:shop:database-pool-exhausted"
        with outage(database):
            refused = client.get("/async/mine")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert refused.json()["type"] == "urn:problem-type:shop:database-unavailable"
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
        assert client.get("/async/mine").status_code == 200
    (entry,) = log.entries("database pool")
    assert (entry["PoolSize"], entry["PoolTimeouts"]) == (1, 1)


@pytest.mark.parametrize("setting", ["database_port", "database_password"])
def test_asyncpg_without_its_database_is_not_healthy(database: TestDatabase, setting: str) -> None:
    wrong = closed_port() if setting == "database_port" else "wrong"
    with TestClient(application(asyncpg_engine(database, **{setting: wrong}))) as client:
        for path, kind in (("/healthz", "not-seen"), ("/readyz", "unavailable"), ("/async/mine", "unavailable")):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (503, f"urn:problem-type:shop:database-{kind}")


def test_errors_of_asyncpg_are_those_of_the_other_drivers(database: TestDatabase) -> None:
    async def trial() -> None:
        engine = asyncpg_engine(database)
        with watch(engine, EngineSettings()):
            for statement, kind in (
                ("SELECT 1 / 0", DataError),
                ("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)", OperationalError),
                ("SELECT nothing", ProgrammingError),
            ):
                async with engine.connect() as connection:
                    with pytest.raises(kind):
                        await connection.execute(text(statement))
            await engine.dispose()

    asyncio.run(trial())


def test_an_engine_that_is_not_a_services_can_be_watched(database: TestDatabase, log: Log, driver: str) -> None:
    engine = own_engine(database, **TIGHT)
    with watch(engine, EngineSettings(app_name="replica")) as pool:
        with engine.connect() as connection:
            assert pool.in_use == 1
            assert connection.execute(QUERY).one().application_name.startswith("replica-api@")
        engine.dispose()  # the pool is another one from here on
        with engine.connect(), pytest.raises(Exception, match="QueuePool limit"):
            engine.connect()
    engine.dispose()
    with engine.connect() as connection:
        assert connection.execute(QUERY).one().application_name == ""
    engine.dispose()
    (entry,) = log.entries("database pool")
    assert (entry["Service"], entry["PoolTimeouts"]) == ("replica", 1)


def test_a_name_that_the_application_gives_its_sessions_stays(database: TestDatabase, driver: str) -> None:
    options = arguments(database, {})
    options["url"] = options["url"].update_query_dict({"application_name": "mine"})
    engine = create_engine(**options)
    with watch(engine, EngineSettings()), engine.connect() as connection:
        assert connection.execute(QUERY).one().application_name == "mine"
    engine.dispose()


def test_a_pool_without_a_size_is_refused(database: TestDatabase) -> None:
    engine = own_engine(database, poolclass=NullPool)
    with pytest.raises(TypeError, match=r"is a NullPool.*Next: "), watch(engine, EngineSettings()):
        pass


def test_an_engine_is_watched_once(database: TestDatabase) -> None:
    engine = own_engine(database)
    again = pytest.raises(RuntimeError, match=r"watched already\. Next: ")
    with watch(engine, EngineSettings()), again, watch(engine, EngineSettings()):
        pass
    with watch(engine, EngineSettings()):
        pass


def test_arguments_that_contradict_an_engine_are_refused(database: TestDatabase) -> None:
    with pytest.raises(TypeError, match="isolation_level"):
        Service(autocommit=True).install(FastAPI(), engine=own_engine(database))
    with pytest.raises(TypeError, match="EngineSettings"):
        Service(settings=Settings).install(FastAPI(), engine=own_engine(database))
    with pytest.raises(TypeError, match="DatabaseSettings"):
        Database(EngineSettings())


def test_the_librarys_engine_can_be_made_by_a_module(database: TestDatabase, engine: str) -> None:
    settings = database.settings(database_pool_size=3)
    made: Any = async_pooled_engine(settings) if engine == "asynchronous" else pooled_engine(settings)
    with TestClient(application(made)) as client:
        assert client.get("/readyz").status_code == 200
        assert client.app.state.database.engine is made  # type: ignore[attr-defined]


async def add(connection: AsyncConnection, prices: list[int]) -> int:
    for price in prices:
        await connection.execute(text("INSERT INTO items (name, price) VALUES ('a', :price)"), {"price": price})
    return len(prices)


def test_an_asynchronous_operation_is_one_transaction_unless_each_statement_is(database: TestDatabase) -> None:
    def rows() -> int:
        with database.superuser() as connection:
            return int(connection.scalars(text("SELECT count(*) FROM items")).one())

    async def trial(autocommit: bool) -> None:
        application = AsyncDatabase(database.settings(), autocommit=autocommit)
        try:
            with pytest.raises(IntegrityError):
                await application.run(add, [1, -1])
            assert rows() == (1 if autocommit else 0)
            assert await application.run(add, [1, 2]) == 2
            assert rows() == (3 if autocommit else 2)
        finally:
            await application.close()
        with database.superuser() as connection:
            connection.execute(text("DELETE FROM items"))

    for autocommit in (False, True):
        asyncio.run(trial(autocommit))


def test_a_cancelled_request_ends_its_statement_and_returns_its_connection(database: TestDatabase) -> None:
    async def trial() -> None:
        application = AsyncDatabase(database.settings(database_pool_size=1))
        try:
            with database.superuser() as blocker:
                blocker.execute(text("LOCK TABLE items IN EXCLUSIVE MODE"))
                request = asyncio.create_task(application.run(add, [1]))
                await asyncio.to_thread(wait_for_lock, blocker)
                request.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await request
                assert application.watch.in_use == 0
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = :name AND wait_event_type = 'Lock'"
                assert blocker.scalar(text(waiting), {"name": database.name}) == 0
            assert await application.run(add, [1]) == 1
        finally:
            await application.close()

    asyncio.run(trial())


def test_no_statement_is_prepared_on_the_server(database: TestDatabase) -> None:
    """RDS Proxy would pin the session, and a migration would break the statement."""
    application = Database(database.settings(database_driver="psycopg"))
    try:
        with application.connect() as connection:
            for _ in range(10):
                connection.execute(text("SELECT name FROM items WHERE name = :name"), {"name": "a"})
            assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0
    finally:
        application.close()


def test_the_driver_is_the_one_that_is_wanted_or_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose() == "psycopg"
    assert choose("psycopg2") == "psycopg2"
    assert choose("psycopg", asynchronous=True) == "psycopg"
    with pytest.raises(ModuleNotFoundError, match=r"asynchronous engine needs psycopg 3\. Next: "):
        choose("psycopg2", asynchronous=True)
    installed = {"psycopg2"}
    monkeypatch.setattr("fargate_app.driver.find_spec", lambda name: name in installed)
    assert choose() == "psycopg2"
    for wanted, asynchronous in (("psycopg", False), (None, True)):
        with pytest.raises(ModuleNotFoundError, match=r"Next: install fargate-app\[psycopg"):
            choose(wanted, asynchronous=asynchronous)
    installed.clear()
    with pytest.raises(ModuleNotFoundError, match="psycopg or psycopg2"):
        choose()
