"""Reading a log group: every event once, in order, across pages and reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.ecs.logs import LogsError, Query, Seen, parse_since, query, read

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        (" 2h ", NOW - timedelta(hours=2)),
        ("1d", NOW - timedelta(days=1)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-01-31T08:00:00", NOW - timedelta(hours=1)),
        ("2026-01-31T18:00:00+09:00", NOW.astimezone(timezone(timedelta(hours=9)))),
    ],
)
def test_since(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "15", "-5m", "99999999999w"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(LogsError, match="is not a time: 90s, 15m"):
        parse_since(text, NOW)


def event(second: int, message: str, **fields: Any) -> dict[str, Any]:
    at = int(NOW.timestamp() * 1000) + second * 1000
    return {"timestamp": at, "message": message, "logStreamName": "api/api/0123456789", **fields}


def ask(**changed: str) -> Query:
    return query("/ecs/app", **{"since": "10m", "pattern": "", "request": "", **changed}, now=NOW)


def test_a_request_is_read_from_the_time_in_its_id() -> None:
    identifier = "1-697dc44f-0123456789abcdef01234567"
    received = datetime.fromtimestamp(0x697DC44F, UTC)
    assert ask(request=identifier) == Query(
        group="/ecs/app", since=received - timedelta(minutes=1), pattern=f'"{identifier}"'
    )
    assert ask(request="mine").since == NOW - timedelta(minutes=10)
    assert ask(pattern="ERROR") == Query(group="/ecs/app", since=NOW - timedelta(minutes=10), pattern="ERROR")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"request": 'x" OR "'}, "is not the id of a request, .*x-request-id"),
        ({"request": "x" * 65}, "is not the id of a request"),
        ({"request": "1-697dc44f-0", "pattern": "ERROR"}, "leave FILTER or REQUEST out"),
    ],
)
def test_what_is_no_request_is_refused(changed: dict[str, str], message: str) -> None:
    with pytest.raises(LogsError, match=message):
        ask(**changed)


def test_overlapping_looks_show_each_event_once() -> None:
    seen = Seen()
    first, twin, later = event(1, "same"), event(1, "same"), event(2, "later")
    assert list(seen.new([first, twin])) == [first, twin]
    assert list(seen.new([first, twin, later])) == [later]
    with_id = event(1, "same", eventId="e1")
    assert list(seen.new([later, with_id])) == [with_id]


class Logs:
    """One group whose pages a test sets for each read."""

    class exceptions:
        class ResourceNotFoundException(Exception):
            pass

        class InvalidParameterException(ClientError):
            pass

    def __init__(self, *looks: list[list[dict[str, Any]]] | None) -> None:
        self.looks = list(looks)
        self.requests: list[dict[str, Any]] = []

    def get_paginator(self, _: str) -> Logs:
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        self.requests.append(request)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if look is None:
            raise self.exceptions.ResourceNotFoundException
        if ":" in request.get("filterPattern", ""):
            error = {"Error": {"Code": "InvalidParameterException", "Message": "Invalid filter pattern"}}
            raise self.exceptions.InvalidParameterException(error, "FilterLogEvents")
        yield from ({"events": page} for page in look)


class Shown:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __call__(self, event: Mapping[str, Any]) -> bool:
        self.messages.append(event["message"])
        return True


def test_only_what_is_shown_is_counted() -> None:
    logs = Logs([[event(1, "one"), event(2, "metrics")]])
    asked = Query(group="/ecs/app", since=NOW)
    assert read(logs, asked, follow=False, limit_seconds=0, show=lambda event: event["message"] == "one") == 1


def test_every_page_is_read_even_behind_an_empty_one() -> None:
    logs = Logs([[event(1, "one")], [], [event(2, "two")]])
    shown = Shown()
    asked = Query(group="/ecs/app", since=NOW, pattern="ERROR")
    assert read(logs, asked, follow=False, limit_seconds=0, show=shown) == 2
    assert shown.messages == ["one", "two"]
    assert logs.requests == [
        {"logGroupName": "/ecs/app", "startTime": int(NOW.timestamp() * 1000), "filterPattern": "ERROR"}
    ]


def test_following_goes_on_until_its_time_is_over() -> None:
    one, two, three = event(1, "one"), event(40, "two"), event(39, "three")
    logs = Logs([[one]], [[one, two]], [[two, three]])
    seconds = iter(range(100))
    shown = Shown()
    rests: list[float] = []
    count = read(
        logs,
        Query(group="/ecs/app", since=NOW),
        follow=True,
        limit_seconds=9,
        show=shown,
        clock=lambda: float(next(seconds)),
        sleep=rests.append,
    )
    assert count == 3
    assert len(set(rests[:5])) == 5
    assert all(2.25 <= rest <= 3.75 for rest in rests[:5]), "slowly, and never in step"
    assert rests[-1] <= 1, "it ends in time"
    assert shown.messages == ["one", "two", "three"]
    # It reads again from before the newest event, but never from before the start.
    starts = [request["startTime"] - int(NOW.timestamp() * 1000) for request in logs.requests]
    assert starts[:3] == [0, 0, 25_000]


def test_a_missing_group_is_named() -> None:
    with pytest.raises(LogsError, match="there is no log group /ecs/app"):
        read(Logs(None), Query(group="/ecs/app", since=NOW), follow=False, limit_seconds=0, show=Shown())


def test_a_pattern_that_aws_refuses_is_told_how_to_quote() -> None:
    asked = Query(group="/ecs/app", since=NOW, pattern="duration:")
    with pytest.raises(
        LogsError, match=r"the filter pattern duration:: Invalid filter pattern\. Next: .*double quotes"
    ):
        read(Logs([[]]), asked, follow=False, limit_seconds=0, show=Shown())
