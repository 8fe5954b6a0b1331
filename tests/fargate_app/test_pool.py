"""Sessions: each is returned, a leak names its origin, statements and metrics name their endpoint and service."""

import logging
import os
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.util import greenlet_spawn
from starlette.testclient import TestClient

from tests.fargate_app.conftest import Log
from tests.fargate_app.shop import app
from tests.fargate_app.shop.app import create_app
from tests.support.databases import TestDatabase

WAIT_SECONDS = 120
pytestmark = pytest.mark.usefixtures("engine")


def until(condition: Callable[[], Any]) -> Any:
    """Wait until the condition gives a result, and return it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


def engine_of(client: TestClient) -> Engine:
    """Return the application's engine, of an asynchronous one the synchronous side."""
    engine = client.app.state.database.engine  # type: ignore[attr-defined]
    return getattr(engine, "sync_engine", engine)


def call(client: TestClient, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the application's engine or of a connection, of either kind."""
    assert client.portal
    return client.portal.call(greenlet_spawn, function, *arguments)


def sessions(database: TestDatabase) -> list[dict[str, Any]]:
    """Return the application's sessions, as the server shows them."""
    with database.superuser() as connection:
        found = connection.execute(
            text("SELECT query, state, application_name FROM pg_stat_activity WHERE datname = :d AND usename = :u"),
            {"d": database.name, "u": database.role},
        )
        return [dict(row) for row in found.mappings()]


def test_every_request_gives_its_session_back(database: TestDatabase, client: TestClient) -> None:
    held = client.app.state.database.watch  # type: ignore[attr-defined]
    item = client.post("/items", json={"name": "a"}).json()["id"]
    answers = [
        client.get(f"/items/{item}"),
        client.get(f"/items/{uuid4()}"),
        client.get("/items/none"),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 422]
    assert held.in_use == 0
    assert {session["state"] for session in sessions(database)} == {"idle"}


def test_a_session_that_an_exception_left_is_given_back(
    database: TestDatabase, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(app, "read_item", fail)
    assert client.get(f"/items/{uuid4()}").status_code == 500
    assert client.app.state.database.watch.in_use == 0  # type: ignore[attr-defined]


def test_a_session_that_the_server_ended_in_use_is_given_back(database: TestDatabase, client: TestClient) -> None:
    connection = call(client, engine_of(client).connect)
    assert client.app.state.database.watch.in_use == 1  # type: ignore[attr-defined]
    pid = call(client, connection.scalar, text("SELECT pg_backend_pid()"))
    with database.superuser() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    with pytest.raises(OperationalError):
        call(client, connection.execute, text("SELECT 1"))
    call(client, connection.close)
    assert client.app.state.database.watch.in_use == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("/items/{item}", "/*action='get_item',route='/items/{item_id}'*/"),
        ("/readyz", "/*action='readyz',route='/readyz'*/"),
    ],
)
def test_the_server_sees_whose_statement_it_is(database: TestDatabase, client: TestClient, path: str, tag: str) -> None:
    item = client.post("/items", json={"name": "a"}).json()["id"]
    assert client.get(path.format(item=item)).status_code == 200
    queries = [session["query"] for session in sessions(database)]
    assert all(query.startswith("/*action=") for query in queries)
    assert any(query.startswith(f"{tag} SELECT ") for query in queries), queries


def test_the_server_sees_whose_session_it_is(database: TestDatabase, client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    assert {session["application_name"].rpartition("/")[2] for session in sessions(database)} == {str(os.getpid())}


def test_a_leak_warns_with_its_endpoint_while_it_is_held(
    database: TestDatabase, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaked: list[Any] = []

    def leak(*_: Any) -> Any:
        leaked.append(engine_of(client).connect())
        raise RuntimeError("after the session was opened")

    monkeypatch.setattr(app, "read_item", leak)
    settings = database.settings(database_session_warning_seconds=0.5)

    def warnings() -> list[dict[str, Any]]:
        # On a busy machine the check at the application's start may take as long.
        return [entry for entry in log.entries("a session is held too long") if entry.get("endpoint")]

    with TestClient(create_app(settings)) as client:
        answer = client.get(f"/items/{uuid4()}")
        assert answer.status_code == 500
        warning = until(warnings)
        assert len(warning) == 1
        assert warning[0]["level"] == "WARNING"
        assert warning[0]["endpoint"] == "GET /items/{item_id}"
        assert warning[0]["of_request"] == answer.headers["X-Request-Id"]
        assert warning[0]["held_seconds"] >= 0.5
        client.app.state.database.watch.warn_of_leaks()  # type: ignore[attr-defined]
        assert len(warnings()) == 1  # once, however long
        call(client, leaked[0].close)
        assert client.app.state.database.watch.in_use == 0  # type: ignore[attr-defined]


def test_metrics_are_in_the_embedded_metric_format(database: TestDatabase, log: Log) -> None:
    settings = database.settings(
        database_pool_size=1,
        database_max_overflow=1,
        database_pool_timeout_seconds=0.05,
        app_name="shop",
        app_environment="test",
        metrics_period_seconds=3600,
    )
    with TestClient(create_app(settings)) as client:
        held = [call(client, engine_of(client).connect) for _ in range(2)]
        with pytest.raises(PoolTimeoutError):
            call(client, engine_of(client).connect)
        for connection in held:
            call(client, connection.close)
    (entry,) = log.entries("database pool")
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    assert abs(entry["_aws"]["Timestamp"] / 1000 - time.time()) < WAIT_SECONDS
    (directive,) = entry["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Shop"
    assert directive["Dimensions"] == [["Service", "Environment"]]
    assert {name: entry[name] for name in directive["Dimensions"][0]} == {
        "Service": "shop",
        "Environment": "test",
    }
    values = {metric["Name"]: entry[metric["Name"]] for metric in directive["Metrics"]}
    assert values.pop("PoolLongestWait") >= 50
    assert values == {
        "PoolSize": 1,
        "PoolInUse": 2,
        "PoolOverflow": 1,
        "PoolWaits": 1,
        "PoolTimeouts": 1,
        "PoolRefused": 0,
    }


def test_metrics_come_once_a_period_whatever_the_level(
    database: TestDatabase, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("fargate_app").setLevel(logging.WARNING)
    started = time.monotonic()
    with TestClient(create_app(database.settings(metrics_period_seconds=0.2))):
        until(lambda: len(log.entries("database pool")) >= 3)
    assert time.monotonic() - started > 0.5
