"""Logs: one JSON object a line, with the request's identifier."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from settlement.accounts import service
from starlette.testclient import TestClient

from fargate_app.logs import JsonFormatter
from fargate_app.middleware import trace_identifier


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The application's log."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("settlement")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield output
    logger.removeHandler(handler)
    logger.setLevel(level)


def entries(output: io.StringIO) -> list[dict[str, Any]]:
    """Return the entries of the log."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


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


def test_a_request_is_logged_once_with_its_identifier(client: TestClient, log: io.StringIO) -> None:
    account_id = uuid4()
    answer = client.get(f"/v1/accounts/{account_id}?x=secret", headers={"X-Amzn-Trace-Id": "Root=1-abc-def"})
    assert answer.headers["X-Request-Id"] == "1-abc-def"
    assert answer.json()["request_id"] == "1-abc-def"
    [entry] = entries(log)
    assert entry.pop("duration_ms") > 0
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "INFO",
        "logger": "settlement.access",
        "message": "request",
        "request_id": "1-abc-def",
        "method": "GET",
        "path": f"/v1/accounts/{account_id}",
        "route": "/v1/accounts/{account_id}",
        "status": 404,
    }


def test_a_health_check_that_passes_is_not_logged(client: TestClient, log: io.StringIO) -> None:
    assert client.get("/healthz").status_code == 200
    assert entries(log) == []


def test_an_error_of_ours_is_a_problem_and_one_log_entry(
    client: TestClient, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("hush")

    monkeypatch.setattr(service, "get_account", fail)
    answer = client.get(f"/v1/accounts/{uuid4()}")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "hush" not in answer.text
    [error, request] = entries(log)
    assert "ZeroDivisionError" in error["exception"]
    assert error["request_id"] == request["request_id"] == answer.json()["request_id"]
    assert request["status"] == 500
