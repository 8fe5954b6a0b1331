"""The service's log for a reader: each event as one line, an exception's text below it.

The fields are those of `fargate_app.logs`. A line in any other form is shown as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_ACCESS = "fargate_app.access"
#: The field that marks CloudWatch's embedded metrics.
_METRICS = "_aws"
#: Shown in a column of their own, or not at all.
_PLACED = {"time", "level", "logger", "message", "request_id", "exception"}
_ACCESS_PLACED = _PLACED | {"method", "path", "route", "status", "duration_ms"}
_COLORS = {"DEBUG": "dark gray", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


@dataclass(frozen=True)
class Shown:
    """The text of an event, of one or more lines, and its colour (of Ansible's names; None for the terminal's own)."""

    text: str
    color: str | None = None


def show(event: Mapping[str, Any], *, metrics: bool) -> Shown | None:
    """Return what a reader sees of an event of CloudWatch Logs; None for metrics, unless `metrics` asks for them.

    `09:15:02.123 INFO     GET /v1/accounts 200 4.1 ms  1-65b9f0e6-…  3f2a9c1b`: the time in UTC, the level, the request
    or the message with its fields, the request's id, and the beginning of the task's id.
    """
    entry = _entry(event["message"])
    if entry is None:
        return Shown(_line(event, "", event["message"].rstrip(), ""))
    if _METRICS in entry and not metrics:
        return None
    level = str(entry.get("level", ""))
    text = _line(event, level, _said(entry), str(entry.get("request_id", "")))
    if exception := str(entry.get("exception", "")):
        text += "".join(f"\n    {line}" for line in exception.splitlines())
    return Shown(text, _COLORS.get("ERROR" if _failed(entry) else level))


def _entry(message: str) -> dict[str, Any] | None:
    """Return the fields of a line of the application; None for any other line."""
    try:
        entry = json.loads(message)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "message" in entry else None


def _line(event: Mapping[str, Any], level: str, said: str, request: str) -> str:
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    task = str(event.get("logStreamName", "")).rsplit("/", 1)[-1][:8]
    first = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} {level:<8} {said}"
    return "  ".join(part for part in (first, request, task) if part)


def _said(entry: Mapping[str, Any]) -> str:
    if entry.get("logger") != _ACCESS or "status" not in entry:
        return " ".join([str(entry["message"]), *_fields(entry, _PLACED)])
    request = (
        f"{entry.get('method')} {entry.get('path')} {entry['status'] or 'no answer'} {entry.get('duration_ms')} ms"
    )
    return " ".join([request, *_fields(entry, _ACCESS_PLACED)])


def _fields(entry: Mapping[str, Any], placed: set[str]) -> list[str]:
    rest = {name: value for name, value in entry.items() if name not in placed and name != _METRICS}
    return [
        f"{name}={value if isinstance(value, str) and value and ' ' not in value else json.dumps(value)}"
        for name, value in rest.items()
    ]


def _failed(entry: Mapping[str, Any]) -> bool:
    """Return whether the line reports a request that ended without an answer or with a 5xx."""
    return entry.get("logger") == _ACCESS and (entry.get("status") or 500) >= 500
