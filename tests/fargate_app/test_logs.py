"""Logs: one JSON object a line, with the request's identifier."""

import re
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from fargate_app.middleware import trace_identifier
from tests.fargate_app.conftest import Log
from tests.fargate_app.shop import app


@pytest.mark.parametrize(
    ("header", "identifier"),
    [
        ("Root=1-67891233-abcdef012345678912345678", "1-67891233-abcdef012345678912345678"),
        ("Self=1-a-b;Root=1-67891233-abcdef012345678912345678;Sampled=1", "1-67891233-abcdef012345678912345678"),
        (None, None),
        ("", None),
        ("Root=", None),
        ("Root=<script>", None),
        ("Root=" + "a" * 65, None),
    ],
)
def test_the_identifier_is_the_load_balancers_or_a_new_one(header: str | None, identifier: str | None) -> None:
    found = trace_identifier(header)
    if identifier:
        assert found == identifier
    else:
        assert re.fullmatch(r"1-[0-9a-f]{8}-[0-9a-f]{24}", found)


def test_a_request_is_logged_once_with_its_identifier(client: TestClient, log: Log) -> None:
    item_id = uuid4()
    answer = client.get(f"/items/{item_id}?x=secret", headers={"X-Amzn-Trace-Id": "Root=1-abc-def"})
    assert answer.headers["X-Request-Id"] == "1-abc-def"
    assert answer.json()["request_id"] == "1-abc-def"
    [entry] = log.entries()
    assert entry.pop("duration_ms") > 0
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "INFO",
        "logger": "fargate_app.access",
        "message": "request",
        "request_id": "1-abc-def",
        "method": "GET",
        "path": f"/items/{item_id}",
        "route": "/items/{item_id}",
        "status": 404,
    }


def test_a_health_check_that_passes_is_not_logged(client: TestClient, log: Log) -> None:
    assert client.get("/healthz").status_code == 200
    assert log.entries() == []


def test_an_error_of_ours_is_a_problem_and_one_log_entry(
    client: TestClient, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("hush")

    monkeypatch.setattr(app, "read_item", fail)
    answer = client.get(f"/items/{uuid4()}")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "hush" not in answer.text
    [error, request] = log.entries()
    assert "ZeroDivisionError" in error["exception"]
    assert error["request_id"] == request["request_id"] == answer.json()["request_id"]
    assert request["status"] == 500
