"""The evidence of an incident, from AWS and from the database, as plain values for the diagnosis."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from fargate_ops.core.problem import OperationsError

IN_TRANSACTION = frozenset({"idle in transaction", "idle in transaction (aborted)"})


class NoListing(OperationsError):
    """The list of sessions is missing or incomplete; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One session of the server. Times in seconds; ``tag`` is the endpoint of its last statement."""

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
        """The endpoint of the session, or else its application name."""
        return self.tag or self.application or "(without a name)"

    def is_leaked(self, seconds: float) -> bool:
        """Return whether it has been idle in a transaction for longer than `seconds`."""
        return self.state in IN_TRANSACTION and (self.state_seconds or 0) > seconds

    def is_slow(self, seconds: float) -> bool:
        """Return whether its statement has run for longer than `seconds` or waits for a lock."""
        return self.state == "active" and ((self.state_seconds or 0) > seconds or bool(self.blocked_by))


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A normalized statement and its cost since the server's statistics began."""

    calls: int
    total_seconds: float
    mean_ms: float
    tag: str
    statement: str


@dataclass(frozen=True, kw_only=True)
class Database:
    """The server's own view. ``reserved`` connections are kept for administration."""

    max_connections: int
    reserved: int
    app_users: Sequence[str]
    sessions: Sequence[Session]
    statements: Sequence[Statement] = ()

    @property
    def room(self) -> int:
        """The connections available to the application."""
        return self.max_connections - self.reserved


@dataclass(frozen=True, kw_only=True)
class Pools:
    """The pools of one task, by its task definition. ``revision`` is ``family:7``."""

    revision: str
    workers: int
    pool_size: int
    max_overflow: int

    @property
    def connections(self) -> int:
        """The connections that one task may hold."""
        return self.workers * (self.pool_size + self.max_overflow)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that ECS runs, and the address of its sessions."""

    id: str
    revision: str
    status: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Logs:
    """Counts of recent log entries. ``leaks``: warnings of sessions held too long, by endpoint."""

    pool_timeouts: int = 0
    refused: int = 0
    leaks: Mapping[str, int] = field(default_factory=dict)
    pool_in_use: int | None = None
    pool_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All evidence. A failed source leaves None or an empty value, and is named in ``missing``."""

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
    """Parse the output of the admin command's ``sessions``: one JSON object a line; other lines are ignored.

    Raises:
        NoListing: the output is an error, or incomplete.
    """
    found = list(_records(lines))
    kinds = {record["kind"]: record for record in found}
    if "server" not in kinds or "end" not in kinds:
        raise NoListing("the task's output is incomplete: its last line is missing")
    server = kinds["server"]
    return Database(
        max_connections=int(server["max_connections"]),
        reserved=int(server["reserved"]),
        # Images built before there were two users have one.
        app_users=list(kinds["end"].get("app_users") or [kinds["end"]["app_user"]]),
        sessions=[_of(Session, record) for record in found if record["kind"] == "session"],
        statements=[_of(Statement, record) for record in found if record["kind"] == "statement"],
    )


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The ended sessions. ``before`` and ``after``: the server's number of sessions."""

    sessions: Sequence[Session]
    before: int
    after: int


def read_ended(lines: Iterable[str]) -> Ended:
    """Parse the output of the same command with ``--end``.

    Raises:
        NoListing: the output is an error, or incomplete.
    """
    found = list(_records(lines))
    end = next((record for record in found if record["kind"] == "end"), None)
    sessions = [_of(Session, record) for record in found if record["kind"] == "ended"]
    if end is None or len(sessions) != end["ended"]:
        raise NoListing("the task's output is incomplete: some sessions may have been ended")
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
