"""Sessions: each is returned, a leak names its origin, statements and metrics name their endpoint and service."""

import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from settlement.accounts import service
from settlement.app import create_app
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.testclient import TestClient

from fargate_app.database import Database
from fargate_app.logs import JsonFormatter
from tests.api.conftest import TestDatabase

WAIT_SECONDS = 10


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The application's log."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(JsonFormatter())
    loggers = {name: logging.getLogger(name).level for name in ("settlement", "settlement.metrics")}
    logging.getLogger("settlement").addHandler(handler)
    for name in loggers:
        logging.getLogger(name).setLevel(logging.INFO)
    yield output
    logging.getLogger("settlement").removeHandler(handler)
    for name, level in loggers.items():
        logging.getLogger(name).setLevel(level)


def until(condition: Callable[[], Any]) -> Any:
    """Wait until the condition gives a result, and return it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


def entries(log: io.StringIO, message: str) -> list[dict[str, Any]]:
    """Return the lines of the log with this message."""
    return [entry for line in log.getvalue().splitlines() if (entry := json.loads(line))["message"] == message]


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
    account = client.post("/v1/accounts", json={"name": "a", "currency": "KRW"}).json()["id"]
    answers = [
        client.get(f"/v1/accounts/{account}"),
        client.get(f"/v1/accounts/{uuid4()}"),
        client.get("/v1/accounts/none"),
        client.get(f"/v1/accounts/{account}/transactions?cursor=wrong"),
        client.post(
            "/v1/transactions",
            json={"account_id": account, "amount": 1, "currency": "USD"},
            headers={"Idempotency-Key": "k"},
        ),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 422, 422, 422]
    assert held.in_use == 0
    assert {session["state"] for session in sessions(database)} == {"idle"}


def test_a_session_that_an_exception_left_is_given_back(
    database: TestDatabase, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(service, "get_account", fail)
    assert client.get(f"/v1/accounts/{uuid4()}").status_code == 500
    assert client.app.state.database.watch.in_use == 0  # type: ignore[attr-defined]


def test_a_session_that_the_server_ended_in_use_is_given_back(database: TestDatabase) -> None:
    application = Database(database.settings())
    with application.connect() as connection:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with database.superuser() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT 1"))
    assert application.watch.in_use == 0
    application.close()


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("/v1/accounts/{account}", "/*action='get_account',route='/v1/accounts/{account_id}'*/"),
        (
            "/v1/accounts/{account}/transactions",
            "/*action='list_transactions',route='/v1/accounts/{account_id}/transactions'*/",
        ),
        ("/v1/statements/2026-01", "/*action='monthly_statements',route='/v1/statements/{month}'*/"),
        ("/readyz", "/*action='readyz',route='/readyz'*/"),
    ],
)
def test_the_server_sees_whose_statement_it_is(
    database: TestDatabase, client: TestClient, account: dict[str, Any], path: str, tag: str
) -> None:
    assert client.get(path.format(account=account["id"])).status_code == 200
    queries = [session["query"] for session in sessions(database)]
    assert all(query.startswith("/*action=") for query in queries)
    assert any(query.startswith(f"{tag} SELECT ") for query in queries), queries


def test_the_server_sees_whose_session_it_is(database: TestDatabase, client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    assert {session["application_name"].rpartition("/")[2] for session in sessions(database)} == {str(os.getpid())}


def test_a_leak_warns_with_its_endpoint_while_it_is_held(
    database: TestDatabase, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaked: list[Any] = []

    def leak(*_: Any) -> Any:
        leaked.append(client.app.state.database.connect())  # type: ignore[attr-defined]
        raise RuntimeError("after the session was opened")

    monkeypatch.setattr(service, "get_account", leak)
    settings = database.settings(database_session_warning_seconds=0.5)

    def warnings() -> list[dict[str, Any]]:
        # On a busy machine the check at the application's start may take as long.
        return [entry for entry in entries(log, "a session is held too long") if entry.get("endpoint")]

    with TestClient(create_app(settings)) as client:
        answer = client.get(f"/v1/accounts/{uuid4()}")
        assert answer.status_code == 500
        warning = until(warnings)
        assert len(warning) == 1
        assert warning[0]["level"] == "WARNING"
        assert warning[0]["endpoint"] == "GET /v1/accounts/{account_id}"
        assert warning[0]["of_request"] == answer.headers["X-Request-Id"]
        assert warning[0]["held_seconds"] >= 0.5
        client.app.state.database.watch.warn_of_leaks()  # type: ignore[attr-defined]
        assert len(warnings()) == 1  # once, however long
        leaked[0].close()
        assert client.app.state.database.watch.in_use == 0  # type: ignore[attr-defined]


def test_metrics_are_in_the_embedded_metric_format(database: TestDatabase, log: io.StringIO) -> None:
    settings = database.settings(
        database_pool_size=1,
        database_max_overflow=1,
        database_pool_timeout_seconds=0.05,
        app_environment="test",
        metrics_period_seconds=3600,
    )
    application = Database(settings)
    with application.connect(), application.connect(), pytest.raises(PoolTimeoutError):
        application.connect()
    application.close()  # which reports
    (entry,) = entries(log, "database pool")
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    assert abs(entry["_aws"]["Timestamp"] / 1000 - time.time()) < WAIT_SECONDS
    (directive,) = entry["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Settlement"
    assert directive["Dimensions"] == [["Service", "Environment"]]
    assert {name: entry[name] for name in directive["Dimensions"][0]} == {
        "Service": "settlement",
        "Environment": "test",
    }
    values = {metric["Name"]: entry[metric["Name"]] for metric in directive["Metrics"]}
    assert values.pop("PoolLongestWait") >= 50
    assert values == {"PoolSize": 1, "PoolInUse": 2, "PoolOverflow": 1, "PoolWaits": 1, "PoolTimeouts": 1}


def test_metrics_come_once_a_period_whatever_the_level(
    database: TestDatabase, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("settlement").setLevel(logging.WARNING)
    started = time.monotonic()
    with TestClient(create_app(database.settings(metrics_period_seconds=0.2))):
        until(lambda: len(entries(log, "database pool")) >= 3)
    assert time.monotonic() - started > 0.5
