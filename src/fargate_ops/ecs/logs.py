"""Read a log group across its streams, once or continuously.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fargate_ops.aws.pace import POLL_SECONDS, jittered
from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError

#: Events may become readable late and out of order: each read goes back this many ms and skips what was shown.
OVERLAP_MS = 15_000

#: The clocks of the load balancer and of a task differ by less.
_EARLIER = timedelta(minutes=1)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class LogsError(OperationsError):
    """A time that cannot be parsed, or a log group that does not exist."""

    kind = Kind.REFUSED


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to read: the log group, the start time, and CloudWatch's filter pattern (empty: everything)."""

    group: str
    since: datetime
    pattern: str = ""

    def request(self, since_ms: int) -> dict[str, Any]:
        request: dict[str, Any] = {"logGroupName": self.group, "startTime": since_ms}
        if self.pattern:
            request["filterPattern"] = self.pattern
        return request


def query(group: str, *, since: str, pattern: str, request: str, now: datetime) -> Query:
    """Return the query for a log since a time, filtered, or for the lines of one request.

    A request's id begins with the time at which the load balancer received it, which replaces `since`:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html

    Raises:
        LogsError: `since` is no time, `request` is no id, or there are a pattern and a request.
    """
    if not request:
        return Query(group=group, since=parse_since(since, now), pattern=pattern)
    if pattern:
        raise LogsError("One request is shown whole. Next: leave FILTER or REQUEST out")
    if not re.fullmatch(r"[0-9A-Za-z-]{1,64}", request):
        raise LogsError(
            f"{request!r} is not the id of a request, which has letters, digits and hyphens. Next: take it from the "
            "answer's header x-request-id, or from a line of the log"
        )
    traced = re.match(r"1-([0-9a-f]{8})-", request)
    start = datetime.fromtimestamp(int(traced[1], 16), UTC) - _EARLIER if traced else parse_since(since, now)
    return Query(group=group, since=start, pattern=f'"{request}"')


def parse_since(text: str, now: datetime) -> datetime:
    """Parse ``90s``, ``15m``, ``2h``, ``1d``, ``1w`` ago, or an ISO 8601 time (UTC unless it has a zone).

    Raises:
        LogsError: it is neither.
    """
    ago = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise LogsError(f"{text!r} is not a time: 90s, 15m, 2h, 1d, 1w, or 2026-01-31T09:00:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass
class Seen:
    """Filters out events that were already shown, because reads overlap."""

    _shown: set[tuple[str, ...]] = field(default_factory=set)

    def new(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Return the events that the previous read did not have. Only that read is kept, so memory is bounded."""
        now: set[tuple[str, ...]] = set()
        same: Counter[tuple[str, ...]] = Counter()
        fresh = []
        for event in events:
            key = _key(event, same)
            now.add(key)
            if key not in self._shown:
                fresh.append(event)
        self._shown = now
        return iter(fresh)


def _key(event: Mapping[str, Any], same: Counter[tuple[str, ...]]) -> tuple[str, ...]:
    if event.get("eventId"):
        return (str(event["eventId"]),)
    # Without an identifier: equal lines of the same millisecond are numbered.
    line = (str(event.get("logStreamName")), str(event["timestamp"]), str(event["message"]))
    same[line] += 1
    return (*line, str(same[line]))


def read(
    logs: Any,
    query: Query,
    *,
    follow: bool,
    limit_seconds: float,
    show: Callable[[Mapping[str, Any]], bool],
    poll_seconds: float = POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Hand each event of the query to ``show``, and return how many it has shown.

    ``follow``: go on for ``limit_seconds`` (0: for ever).
    """
    started = clock()
    seen = Seen()
    since_ms = newest_ms = int(query.since.timestamp() * 1000)
    count = 0
    while True:
        for event in seen.new(_events(logs, query, max(since_ms, newest_ms - OVERLAP_MS))):
            newest_ms = max(newest_ms, event["timestamp"])
            count += show(event)
        left = limit_seconds - (clock() - started) if limit_seconds else math.inf
        if not follow or left <= 0:
            return count
        sleep(min(jittered(poll_seconds), left))


def _events(logs: Any, query: Query, since_ms: int) -> Iterator[Mapping[str, Any]]:
    """Yield the events of all pages: an empty page may be followed by one with events."""
    try:
        for page in logs.get_paginator("filter_log_events").paginate(**query.request(since_ms)):
            yield from page["events"]
    except logs.exceptions.ResourceNotFoundException:
        raise LogsError(f"there is no log group {query.group}") from None
    except logs.exceptions.InvalidParameterException as error:
        if not query.pattern:
            raise
        reason = error.response["Error"]["Message"]
        raise LogsError(
            f"CloudWatch Logs does not take the filter pattern {query.pattern}: {reason}. "
            """Next: put what is not a word into double quotes, such as FILTER='"/v1/accounts"'"""
        ) from None
