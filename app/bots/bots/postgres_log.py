"""Find slow statements in the log of RDS for PostgreSQL, as CloudWatch Logs delivers it.

RDS allows two values of ``log_line_prefix``: ``%t:%r:%u@%d:[%p]:``, its default, and
``%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a``
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Concepts.PostgreSQL.overview.parameter-groups.html).
A record of several lines is one event, and its further lines begin with a tab; they are also accepted as events of
their own. Anything else without the tab is a record, or the event is not understood.

A client chooses user, database and application name, and PostgreSQL writes them into the prefix as they are, before it
checks a password. A name may contain the text of a whole record. So a line that can be read in two ways is not
understood, and neither is a line with a part of a record: what is not understood is never a statement.
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


def _record(shortest: str) -> re.Pattern[str]:
    """Return the pattern of a record's beginning, with names as long as possible, or as short as possible (``?``).

    A name has at most 63 bytes. ``%a`` is the last, with four characters for each byte that is not ASCII.
    """
    time = r"\d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d(?:\.\d{1,6})?\ (?:[A-Za-z]{1,8}|[+-]\d\d(?::?\d\d)?)"
    return re.compile(
        rf"""
        (?P<time>{time}):
        (?P<host>\[local\]|[0-9A-Za-z.:%_-]{{1,300}}\(\d{{1,5}}\)|):
        (?P<user>.{{0,63}}{shortest})@(?P<database>.{{0,63}}{shortest}):
        \[\d{{1,10}}\]:
        (?:\d{{1,10}}:[0-9A-Z]{{5}}:{time}:(?:-?\d+/\d+)?:\d*:[0-9a-f]+\.[0-9a-f]+:.{{0,252}}{shortest})?
        (?P<level>LOG|ERROR|FATAL|PANIC|WARNING|NOTICE|INFO|DEBUG|DETAIL|HINT|QUERY|CONTEXT|LOCATION|BACKTRACE|STATEMENT)
        :[ ]{{2}}
        """,
        re.VERBOSE,
    )


_SHORTEST, _LONGEST = _record("?"), _record("")
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


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Slow statements, in order, and the events with ``duration:`` that are not understood."""

    slow: tuple[SlowStatement, ...]
    unknown: tuple[Line, ...]


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


class _Unknown(Exception):
    """An event is not understood."""


def read_log(lines: Iterable[Line], threshold: Decimal) -> Reading:
    """Return each execution of at least ``threshold`` milliseconds, and what is not understood."""
    slow: list[SlowStatement] = []
    unknown: list[Line] = []
    rest: dict[int, list[str]] = {}
    continues = False  # whether a line that begins with a tab belongs to the newest slow statement
    for line in lines:
        if line.message.startswith("\t"):
            if continues:
                rest.setdefault(len(slow) - 1, []).append(_untabbed(line.message))
            continue
        continues = False
        try:
            found = [_slow(line.id, record, threshold) for record in _records(line.message)]
        except _Unknown:
            if "duration:" in line.message:
                unknown.append(line)
            continue
        slow += filter(None, found)
        continues = bool(found and found[-1] and found[-1].statement)
    joined = (replace(one, statement="\n".join([one.statement, *rest.get(at, [])])) for at, one in enumerate(slow))
    return Reading(slow=tuple(joined), unknown=tuple(unknown))


def _records(message: str) -> list[re.Match[str]]:
    """Return the records of an event, each as a match of its beginning. Raises `_Unknown`."""
    records = []
    for text in re.split(r"\n(?!\t)", message.strip("\n")):
        shortest, longest = _SHORTEST.match(text), _LONGEST.match(text)
        if not shortest or not longest or shortest.end() != longest.end():
            raise _Unknown
        records.append(shortest)
    return records


def _slow(event: str, record: re.Match[str], threshold: Decimal) -> SlowStatement | None:
    """Return the record's statement, or None if it is of another kind or not slow. Raises `_Unknown`."""
    text = record.string[record.end() :]
    if record["level"] != "LOG" or not text.startswith("duration:"):
        return None
    found = _DURATION.match(text)
    if not found:
        raise _Unknown
    # Decimal, because 2999.999 must not be rounded to 3000.
    if (milliseconds := Decimal(found["duration"])) < threshold:
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
