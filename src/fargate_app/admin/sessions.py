"""`sessions`: list the server's sessions, and terminate unused ones, in an incident.

It connects as the master user, because a full server has only the slots reserved for it left, and because only
pg_monitor sees the statements of others.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.exc import DBAPIError

from fargate_app.admin.connection import connect_when_not_full, master_engine
from fargate_app.settings import AdminSettings

Record = dict[str, Any]

#: The longest time for our own queries: they must not add to the server's load.
_STATEMENT_TIMEOUT = "20s"
_GONE_SECONDS = 5.0
#: How many idle sessions each process keeps. Its pool hands out the most recently used one next, and a request fails
#: if that session is terminated at the same moment.
_KEPT = 2
_TEXT = 400  # characters of a statement

_SERVER = text(
    "SELECT current_setting('max_connections')::int AS max_connections,"
    " current_setting('superuser_reserved_connections')::int"
    " + coalesce(current_setting('reserved_connections', true), '0')::int"
    " + coalesce(current_setting('rds.rds_superuser_reserved_connections', true), '0')::int AS reserved,"
    " current_setting('server_version') AS version"
)
# pg_blocking_pids takes all locks of the lock manager: it is called only for sessions that wait for a lock.
_SESSION = (
    "SELECT pid, usename AS user, application_name AS application, host(client_addr) AS address,"
    " coalesce(state, backend_type) AS state, query,"
    " extract(epoch FROM clock_timestamp() - backend_start)::float8 AS age_seconds,"
    " extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_seconds,"
    " extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_seconds,"
    " CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END AS blocked_by"
    " FROM pg_stat_activity"
)
_SESSIONS = text(
    f"{_SESSION} WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start, pid"
)
_BLOCKERS = text(f"{_SESSION} WHERE pid = ANY(pg_blocking_pids(:pid)) ORDER BY xact_start, pid")
# pg_blocking_pids gives 0 for a prepared transaction, which belongs to no session.
_PREPARED = text("SELECT 0 = ANY(pg_blocking_pids(:pid))")
_TOP = text(
    "SELECT query, calls, total_exec_time / 1000 AS total_seconds, mean_exec_time AS mean_ms"
    " FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " ORDER BY total_exec_time DESC LIMIT 10"
)
# Every condition is in the statement that terminates, and holds at that moment: only users of the application that are
# no superusers and do not replicate; no session of our own; only these states. MATERIALIZED, because conditions beside
# one another are evaluated in any order, and the one that terminates must come last. NULL is no limit.
_END = text(
    "WITH unused AS MATERIALIZED (SELECT pid FROM (SELECT a.pid, a.state_change, row_number() OVER"
    " (PARTITION BY a.client_addr, a.application_name ORDER BY a.state_change DESC) AS recency"
    " FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid"
    " WHERE a.usename = ANY(:roles) AND a.usename <> current_user AND a.usename <> 'rdsadmin'"
    " AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()"
    " AND NOT r.rolsuper AND NOT r.rolreplication"
    " AND a.state = ANY(:states) AND a.state_change < clock_timestamp() - make_interval(secs => :seconds)"
    " AND (CAST(:addresses AS text[]) IS NULL OR host(a.client_addr) = ANY(CAST(:addresses AS text[])))) candidates"
    " WHERE recency > :kept ORDER BY state_change LIMIT CAST(:most AS bigint))"
    " SELECT pid FROM unused WHERE pg_terminate_backend(pid)"
)
_REMAINING = text("SELECT count(*) FROM pg_stat_activity WHERE pid IN :pids").bindparams(
    bindparam("pids", expanding=True)
)
_COUNT = text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")

# One expression, because the token that begins first decides how the following text is read.
_VALUE = re.compile(
    r"(?P<comment>/\*.*?(?:\*/|$)|--[^\n]*)"
    r"|(?:\bE)?'(?:[^']|'')*(?:'|$)"
    r"|\$(?P<quote>[a-z_]*)\$.*?(?:\$(?P=quote)\$|$)"
    r"|(?<![\w$])[-+]?\d[\w.]*",
    re.DOTALL | re.IGNORECASE,
)

IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")
_ALL_STATES = ("active", "idle", *IN_TRANSACTION, "fastpath function call", "disabled")


@dataclass(frozen=True)
class EndLimits:
    """Which sessions count as unused, and from which addresses; none means from any.

    First those idle in a transaction for longer than `idle_in_transaction_seconds`. While `idle_above` of the server's
    connections are in use, also those idle for longer than `idle_seconds`. Then, until fewer are in use, the longest
    idle of those idle for longer than `spare_seconds`: a pool that grew under load keeps sessions that no request uses,
    and opens others when it needs them. Each process keeps the most recently used ones, because its next request takes
    one of them.
    """

    idle_in_transaction_seconds: float
    idle_seconds: float
    idle_above: float
    spare_seconds: float = 5.0
    addresses: Sequence[str] = ()


def tag_of(statement: str) -> str:
    """Return the endpoint in a statement's comment (`fargate_app.database`), such as `get_item /items/{item_id}`."""
    comment = re.search(r"/\*(.*?)\*/", statement, re.DOTALL)
    found = dict(re.findall(r"(\w+)='([^']*)'", comment[1])) if comment else {}
    return " ".join(found[key] for key in ("action", "route") if key in found)


def masked(statement: str) -> str:
    """Return a statement without comments and without values, which are customers' data. Both may be cut off."""
    bare = _VALUE.sub(lambda found: " " if found["comment"] else "?", statement)
    return " ".join(bare.split())[:_TEXT]


def sessions(settings: AdminSettings, limits: EndLimits | None) -> Iterator[Record]:
    """List the server's sessions; with `limits`, terminate the application's unused ones instead.

    Raises SQLAlchemyError.
    """
    with connect_when_not_full(master_engine(settings)).execution_options(isolation_level="AUTOCOMMIT") as connection:
        _limit_statement_time(connection)
        if limits is None:
            yield from list_sessions(connection)
            yield {"kind": "end", "app_users": settings.app_users}
        else:
            yield from end_unused(connection, settings.app_users, limits)


def list_sessions(connection: Connection) -> Iterator[Record]:
    """Yield one record after the other: each becomes a line of the log, and a line has a maximum length.

    Kinds: `server` once, `session` for each session but our own, `statement` for those with the highest total time, if
    the extension pg_stat_statements is installed.
    """
    yield {"kind": "server", **connection.execute(_SERVER).mappings().one()}
    yield from (_record(row) for row in connection.execute(_SESSIONS).mappings())
    if connection.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'")) is None:
        return
    try:
        statements = connection.execute(_TOP).mappings().all()
    except DBAPIError:  # the extension is installed, but the server was started without its library
        return
    for row in statements:
        yield {
            "kind": "statement",
            "calls": row["calls"],
            "total_seconds": round(row["total_seconds"], 1),
            "mean_ms": round(row["mean_ms"], 1),
            "tag": tag_of(row["query"]),
            "statement": masked(row["query"]),
        }


def _record(row: Mapping[Any, Any]) -> Record:
    session = dict(row)
    query = session.pop("query") or ""
    for name in ("age_seconds", "state_seconds", "transaction_seconds"):
        session[name] = None if session[name] is None else round(session[name], 1)
    return {"kind": "session", **session, "tag": tag_of(query), "statement": masked(query)}


def blockers(connection: Connection, pid: int) -> list[str]:
    """Return a sentence for each session that blocks the session `pid` now, the oldest first."""
    found = [_blocker(_record(row)) for row in connection.execute(_BLOCKERS, {"pid": pid}).mappings()]
    if connection.scalar(_PREPARED, {"pid": pid}):
        found.append("a prepared transaction holds the lock: SELECT * FROM pg_prepared_xacts")
    return found


def _blocker(session: Record) -> str:
    whose = f"{session['application'] or 'unnamed'}, user {session['user'] or 'none'}"
    age = session["transaction_seconds"]
    parts = [
        f"session {session['pid']} ({whose}, from {session['address'] or 'the server itself'}) holds the lock",
        session["state"],
        "" if age is None else f"in a transaction of {age} s",
        session["tag"],
        session["statement"] and f"last statement: {session['statement']}",
    ]
    return "; ".join(part for part in parts if part)


def end_unused(connection: Connection, roles: Sequence[str], limits: EndLimits) -> Iterator[Record]:
    """Terminate the unused sessions of `roles`. Yields a record `ended` for each, then `end` with the counts."""
    seen = {record["pid"]: record for record in list_sessions(connection) if record["kind"] == "session"}
    before = connection.scalars(_COUNT).one()
    allowed = connection.execute(_SERVER).mappings().one()["max_connections"]
    end = partial(_end, connection, roles, addresses=limits.addresses)
    ended = end(IN_TRANSACTION, limits.idle_in_transaction_seconds)
    after = connection.scalars(_COUNT).one()
    if after >= limits.idle_above * allowed:
        ended += end(("idle",), limits.idle_seconds)
        after = connection.scalars(_COUNT).one()
    if (surplus := after - ceil(limits.idle_above * allowed) + 1) > 0:
        ended += end(("idle",), limits.spare_seconds, kept=_KEPT, most=surplus)
        after = connection.scalars(_COUNT).one()
    for pid in ended:
        yield {"kind": "ended", "pid": pid, **{k: v for k, v in seen.get(pid, {}).items() if k not in ("kind", "pid")}}
    yield {"kind": "end", "before": before, "after": after, "ended": len(ended)}


def end_all(connection: Connection, role: str) -> int:
    """Terminate every session of `role` in any state, and return how many there were."""
    return len(_end(connection, [role], _ALL_STATES, seconds=-1))


def _end(
    connection: Connection,
    roles: Sequence[str],
    states: tuple[str, ...],
    seconds: float,
    *,
    addresses: Sequence[str] = (),
    kept: int = 0,
    most: int | None = None,
) -> list[int]:
    """Terminate sessions, the longest in their state first, and wait until they are gone: the server answers earlier.

    `kept`: how many each process keeps, the shortest in their state; `most`: how many are terminated at most.
    """
    guards = {"roles": list(roles), "states": list(states), "seconds": seconds, "kept": kept, "most": most}
    pids = list(connection.scalars(_END, guards | {"addresses": list(addresses) or None}))
    deadline = time.monotonic() + _GONE_SECONDS
    while pids and connection.scalar(_REMAINING, {"pids": pids}) and time.monotonic() < deadline:
        time.sleep(0.05)
    return pids


def _limit_statement_time(connection: Connection) -> None:
    """Limit the time of this session's statements."""
    connection.execute(text("SELECT set_config('statement_timeout', :limit, false)"), {"limit": _STATEMENT_TIMEOUT})
