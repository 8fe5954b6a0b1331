"""What is known of an incident, from AWS and from inside the database: plain values, which a decision is made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

IN_TRANSACTION = frozenset({"idle in transaction", "idle in transaction (aborted)"})


class NoListing(Exception):
    """The database's half is missing, or is only a part; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One session of the server. Times in seconds; ``tag`` is the endpoint that its last statement was for."""

    pid: int
    user: str | None = None
    application: str = ""
    address: str | None = None
    state: str = "unknown"
    age_seconds: float | None = None
    state_seconds: float | None = None
    transaction_seconds: float | None = None
    tag: str = ""
    statement: str = ""
    blocked_by: Sequence[int] = ()

    @property
    def origin(self) -> str:
        """The endpoint that it was for, or else the program that has it."""
        return self.tag or self.application or "(without a name)"

    def is_leaked(self, seconds: float) -> bool:
        """Whether it is idle in a transaction for longer than that."""
        return self.state in IN_TRANSACTION and (self.state_seconds or 0) > seconds

    def is_slow(self, seconds: float) -> bool:
        """Whether it is busy with one statement for longer than that, or waits for another's lock."""
        return self.state == "active" and ((self.state_seconds or 0) > seconds or bool(self.blocked_by))


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement without its values, and what it took since the server's statistics began."""

    calls: int
    total_seconds: float
    mean_ms: float
    tag: str
    statement: str


@dataclass(frozen=True, kw_only=True)
class Database:
    """The server as it sees itself. ``reserved`` connections are kept for those who look after it."""

    max_connections: int
    reserved: int
    app_users: Sequence[str]
    sessions: Sequence[Session]
    statements: Sequence[Statement] = ()

    @property
    def room(self) -> int:
        """Connections that the application can have."""
        return self.max_connections - self.reserved


@dataclass(frozen=True, kw_only=True)
class Pools:
    """The pools of one task, by its definition. ``revision`` is ``family:7``."""

    revision: str
    workers: int
    pool_size: int
    max_overflow: int

    @property
    def connections(self) -> int:
        """What one task may hold."""
        return self.workers * (self.pool_size + self.max_overflow)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that ECS runs, and where its sessions come from."""

    id: str
    revision: str
    status: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Logs:
    """What the application logged lately. ``leaks`` are the warnings of sessions held too long, by endpoint."""

    pool_timeouts: int = 0
    refused: int = 0
    leaks: Mapping[str, int] = field(default_factory=dict)
    pool_in_use: int | None = None
    pool_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All of it. What could not be had is None, or empty, and named in ``missing``."""

    environment: str
    max_connections: int
    max_tasks: int
    minutes: int
    database: Database | None = None
    series: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    tasks: Sequence[Task] = ()
    maximum_percent: int = 200
    serving: Pools | None = None
    before: Pools | None = None
    releases: Sequence[Mapping[str, Any]] = ()
    instance: Mapping[str, Any] = field(default_factory=dict)
    logs: Logs | None = None
    missing: Sequence[str] = ()


def read_listing(lines: Iterable[str]) -> Database:
    """The output of ``python -m settlement.admin sessions``: a JSON object a line; other lines are somebody else's.

    Raises:
        NoListing: it is an error, or does not come to its end.
    """
    found = list(_records(lines))
    kinds = {record["kind"]: record for record in found}
    if "server" not in kinds or "end" not in kinds:
        raise NoListing("the task's output has no end: the listing is not whole")
    server = kinds["server"]
    return Database(
        max_connections=int(server["max_connections"]),
        reserved=int(server["reserved"]),
        # Of an image that was built before there were two users, the one.
        app_users=list(kinds["end"].get("app_users") or [kinds["end"]["app_user"]]),
        sessions=[_of(Session, record) for record in found if record["kind"] == "session"],
        statements=[_of(Statement, record) for record in found if record["kind"] == "statement"],
    )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What was ended. ``before`` and ``after``: the server's sessions."""

    sessions: Sequence[Session]
    before: int
    after: int


def read_ended(lines: Iterable[str]) -> Ended:
    """The output of the same command with ``--end``.

    Raises:
        NoListing: it is an error, or does not come to its end.
    """
    found = list(_records(lines))
    end = next((record for record in found if record["kind"] == "end"), None)
    sessions = [_of(Session, record) for record in found if record["kind"] == "ended"]
    if end is None or len(sessions) != end["ended"]:
        raise NoListing("the task's output has no end: some sessions may have been ended")
    return Ended(sessions=sessions, before=int(end["before"]), after=int(end["after"]))


def _records(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if not isinstance(record, dict):
            continue
        if "error" in record:
            raise NoListing(str(record["error"]).strip())
        if "kind" in record:
            yield record


def _of(kind: Any, record: Mapping[str, Any]) -> Any:
    known = {item.name for item in fields(kind)}
    return kind(**{name: value for name, value in record.items() if name in known})
