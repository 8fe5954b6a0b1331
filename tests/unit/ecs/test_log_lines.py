"""The lines of the log that the application writes, as a reader sees them."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_app.logs import JsonFormatter, request_id
from fargate_ops.ecs.log_lines import show

AT = int(datetime(2026, 1, 31, 9, 15, 2, 123_000, tzinfo=UTC).timestamp() * 1000)
REQUEST = "1-697dc44f-0123456789abcdef01234567"


def written(
    name: str, level: int, message: str, *, request: str | None = None, error: bool = False, **extra: Any
) -> str:
    """Return the line that the library's own formatter writes."""
    token = request_id.set(request)
    try:
        failed = sys.exc_info() if error else None
        record = logging.getLogger(name).makeRecord(name, level, "file", 1, message, (), failed, extra=extra)
        return JsonFormatter().format(record)
    finally:
        request_id.reset(token)


def access(status: int | None) -> str:
    return written(
        "fargate_app.access",
        logging.INFO,
        "request",
        request=REQUEST,
        method="GET",
        path="/v1/accounts/7",
        route="/v1/accounts/{id}",
        status=status,
        duration_ms=4.12,
    )


def event(message: str) -> dict[str, Any]:
    return {"timestamp": AT, "message": message, "logStreamName": "api/api/3f2a9c1b22"}


def shown(message: str, *, metrics: bool = False) -> tuple[str, str | None] | None:
    found = show(event(message), metrics=metrics)
    return (found.text, found.color) if found else None


@pytest.mark.parametrize(
    ("status", "said", "color"),
    [(200, "200", None), (404, "404", None), (503, "503", "red"), (None, "no answer", "red")],
)
def test_a_request(status: int | None, said: str, color: str | None) -> None:
    line = f"09:15:02.123 INFO     GET /v1/accounts/7 {said} 4.12 ms  {REQUEST}  3f2a9c1b"
    assert shown(access(status)) == (line, color)


def test_a_message_has_its_fields() -> None:
    message = written(
        "app", logging.WARNING, "a session is held", request=REQUEST, endpoint="GET /x", held_seconds=12.5
    )
    line = f'09:15:02.123 WARNING  a session is held endpoint="GET /x" held_seconds=12.5  {REQUEST}  3f2a9c1b'
    assert shown(message) == (line, "yellow")


def test_an_exception_is_unfolded() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        found = shown(written("app", logging.ERROR, "unhandled exception", error=True))
    assert found
    text, color = found
    lines = text.split("\n")
    assert lines[0] == "09:15:02.123 ERROR    unhandled exception  3f2a9c1b"
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-2:] == ["    ValueError: two", "    lines"]
    assert color == "red"


def test_metrics_are_left_out_unless_asked_for() -> None:
    message = written("fargate_app.metrics", logging.INFO, "database pool", _aws={"Timestamp": AT}, PoolSize=5)
    assert shown(message) is None
    assert shown(message, metrics=True) == ("09:15:02.123 INFO     database pool PoolSize=5  3f2a9c1b", None)


@pytest.mark.parametrize("message", ["Traceback: no JSON", "[1, 2]", '"text"', "{}", '{"half":', "null"])
def test_any_other_line_is_shown_as_it_is(message: str) -> None:
    assert shown(f"{message}\n") == (f"09:15:02.123          {message}  3f2a9c1b", None)


def test_each_shown_line_of_json_keeps_all_its_values() -> None:
    message = json.dumps({"message": "odd", "empty": "", "none": None, "list": [1, "a b"], "level": "INFO"})
    assert shown(message) == ('09:15:02.123 INFO     odd empty="" none=null list=[1, "a b"]  3f2a9c1b', None)
