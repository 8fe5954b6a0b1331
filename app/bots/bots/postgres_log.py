"""Find slow statements in the log of RDS for PostgreSQL, as CloudWatch Logs delivers it.

RDS fixes ``log_line_prefix`` as ``%t:%r:%u@%d:[%p]:``. A record of several lines is one event, and its further lines
begin with a tab; they are also accepted as events of their own. A line without the tab that looks like a record is one:
no statement can write such a line.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

#: The most that is unpacked. CloudWatch Logs sends a few hundred KB; more is a decompression bomb.
UNPACKED_BYTES = 16 * 1024 * 1024

_PREFIX = re.compile(
    r"""^
    (?P<time>\d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d(?:\.\d{1,6})?\ (?:[A-Za-z]{1,8}|[+-]\d\d(?::?\d\d)?)):
    (?P<host>\[local\]|[0-9A-Za-z.:%_-]{0,300}(?:\(\d{1,5}\))?):
    (?P<user>[^\n]{0,128}?)@(?P<database>[^\n]{0,128}?):
    \[(?P<pid>\d{1,10})\]:
    (?P<level>[A-Z]{1,10}\d?):\s{1,4}
    """,
    re.VERBOSE | re.MULTILINE,
)
_DURATION = re.compile(
    r"duration:\ (?P<duration>\d{1,15}(?:\.\d{1,6})?)\ ms"
    r"(?:\ \ (?:statement|(?:parse|bind|execute)\ [^\n:]{1,300}|fastpath\ function\ call):\ (?P<statement>.*))?\s*\Z",
    re.DOTALL,
)


class Unreadable(Exception):
    """An event is no batch of CloudWatch Logs; the message says why, without repeating its content."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One event of the log: its id, unique in the log group, and its text."""

    id: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The log events of one invocation."""

    group: str
    stream: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class SlowStatement:
    """One execution that took ``milliseconds``. ``statement`` is empty if the line does not contain it."""

    event: str
    at: datetime | None
    host: str
    user: str
    database: str
    milliseconds: Decimal
    statement: str


def read_batch(event: Any) -> Batch | None:
    """Return the batch of a Lambda event, or None for CloudWatch Logs' test of the subscription.

    Raises:
        Unreadable: the event is no batch, or the batch is too large.
    """
    try:
        packed = base64.b64decode(event["awslogs"]["data"], validate=True)
    except (TypeError, KeyError, IndexError, ValueError, binascii.Error):
        raise Unreadable("it has no awslogs.data in base64") from None
    try:
        data = json.loads(_unpack(packed))
    except (ValueError, RecursionError):
        raise Unreadable("its data is no JSON") from None
    if not isinstance(data, dict):
        raise Unreadable("its data is no object")
    if data.get("messageType") == "CONTROL_MESSAGE":
        return None
    entries = data.get("logEvents")
    if not isinstance(entries, list):
        raise Unreadable("its data has no logEvents")
    return Batch(
        group=str(data.get("logGroup", "")), stream=str(data.get("logStream", "")), lines=tuple(_lines(entries))
    )


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # gzip
    try:
        content = unpacker.decompress(packed, UNPACKED_BYTES)
    except zlib.error:
        raise Unreadable("its data is no gzip") from None
    if unpacker.unconsumed_tail:
        raise Unreadable(f"its data is larger than {UNPACKED_BYTES} bytes unpacked")
    if not unpacker.eof:
        raise Unreadable("its data is cut short")
    return content


def _lines(entries: Iterable[Any]) -> Iterator[Line]:
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("message"), str):
            yield Line(id=str(entry.get("id", "")), message=entry["message"])


def slow_statements(lines: Iterable[Line], threshold: Decimal) -> Iterator[SlowStatement]:
    """Yield each execution of at least ``threshold`` milliseconds, in order."""
    slow: SlowStatement | None = None
    rest: list[str] = []
    for line in lines:
        records = list(_PREFIX.finditer(line.message))
        head = line.message[: records[0].start()] if records else line.message
        # The rest of the previous record, as an event of its own.
        if slow and slow.statement and head.strip():
            rest.append(_untabbed(head))
        ends = [record.start() for record in records[1:]] + [len(line.message)]
        for record, end in zip(records, ends, strict=False):
            if slow:
                yield _joined(slow, rest)
            slow, rest = _slow(line.id, record, line.message[record.end() : end], threshold), []
    if slow:
        yield _joined(slow, rest)


def _joined(slow: SlowStatement, rest: list[str]) -> SlowStatement:
    return replace(slow, statement="\n".join([slow.statement, *rest])) if rest else slow


def _slow(event: str, record: re.Match[str], text: str, threshold: Decimal) -> SlowStatement | None:
    # Decimal, because 2999.999 must not be rounded to 3000.
    found = _DURATION.match(text) if record["level"] == "LOG" else None
    if not found or (milliseconds := Decimal(found["duration"])) < threshold:
        return None
    return SlowStatement(
        event=event,
        at=_moment(record["time"]),
        host=record["host"].partition("(")[0],
        user=record["user"],
        database=record["database"],
        milliseconds=milliseconds,
        statement=_untabbed(found["statement"] or "").strip(),
    )


def _untabbed(text: str) -> str:
    return text.strip("\n").replace("\n\t", "\n").removeprefix("\t")


def _moment(text: str) -> datetime | None:
    """Return the time of a record in UTC, the zone of RDS's log (``log_timezone``); None for another zone."""
    stamp, _, zone = text.rpartition(" ")
    if zone not in ("UTC", "GMT"):
        return None
    try:
        return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    except ValueError:
        return None
