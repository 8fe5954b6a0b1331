"""The diagnosis: the case, its reasons and the next commands. A pure function of the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fargate_ops.database.incident.evidence import Database, Evidence, Logs

#: The share of the application's connections from which on the server counts as full.
FULL = 0.9
#: The share of connections that a cause must hold to be diagnosed.
SHARE = 0.25


class Case(StrEnum):
    """The possible diagnoses."""

    LEAKED_SESSIONS = "leaked sessions"
    SLOW_QUERIES = "slow queries hold the sessions"
    SERVER_FULL = "the server is full"
    POOLS_GREW = "a release that opens more connections"
    TOO_SMALL = "too small an instance for the configured tasks"
    CLIENT_POOLS_FULL = "the pools are full, the server is not"
    NOTHING = "nothing holds the connections now"
    UNKNOWN = "not known"


#: Cases in which unused sessions block new ones.
ENDING_HELPS = frozenset({Case.LEAKED_SESSIONS, Case.SERVER_FULL, Case.POOLS_GREW, Case.TOO_SMALL})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The seconds after which a session counts as leaked, unused or slow."""

    idle_in_transaction_seconds: float
    idle_seconds: float
    slow_seconds: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The case, its reasons, and exact commands, most urgent first."""

    case: Case
    why: Sequence[str]
    next: Sequence[str]

    @property
    def ending_helps(self) -> bool:
        return self.case in ENDING_HELPS


def diagnose(seen: Evidence, limits: Limits) -> Verdict:
    """Diagnose the case. Cases are tried in the order of how quickly they can be resolved."""
    if seen.database is None:
        why = ["the database could not be queried, so the cause is not known", *_from_outside(seen)]
        return Verdict(case=Case.UNKNOWN, why=why, next=_next(Case.UNKNOWN, seen))
    case, why = _diagnose(seen, seen.database, limits)
    return Verdict(case=case, why=[*why, *_beside(seen, case)], next=_next(case, seen))


def _diagnose(seen: Evidence, database: Database, limits: Limits) -> tuple[Case, list[str]]:
    taken, room = len(database.sessions), database.room
    full = taken >= FULL * room
    leaked = [item for item in database.sessions if item.is_leaked(limits.idle_in_transaction_seconds)]
    slow = [item for item in database.sessions if item.is_slow(limits.slow_seconds)]
    count = f"{taken} of {room} connections are taken"
    busy = _busy_tasks(seen, database)
    logs = seen.logs or Logs()
    starved = bool(busy or logs.pool_timeouts or logs.leaks)
    if leaked and ((len(leaked) >= SHARE * taken and (full or starved)) or len(leaked) >= SHARE * room):
        oldest = max(filter(None, (item.state_seconds for item in leaked)))
        return Case.LEAKED_SESSIONS, [
            f"{count}; {len(leaked)} are idle in a transaction for more than {limits.idle_in_transaction_seconds:g} s, "
            f"the oldest for {oldest:.0f} s",
            *_origins("opened by", [item.origin for item in leaked]),
        ]
    if slow and len(slow) >= SHARE * taken and (full or starved):
        return Case.SLOW_QUERIES, [
            f"{count}; {len(slow)} are busy with one statement for more than {limits.slow_seconds:g} s, or wait for "
            "a lock",
            *_origins("for", [item.origin for item in slow]),
            *_blockers(database),
        ]
    if full:
        return _full(seen, database, count)
    if starved:
        why = [f"{count}: the server has room"]
        if busy:
            why.append(f"every connection of {busy} of {len(seen.tasks)} tasks is busy")
        if logs.pool_timeouts:
            why.append(
                f"{logs.pool_timeouts} requests of the last {seen.minutes} min found no free connection in their "
                "worker's pool: ending sessions on the server does not free the pool"
            )
        why += [f"held too long by {endpoint}: {number} times" for endpoint, number in logs.leaks.items()]
        return Case.CLIENT_POOLS_FULL, why
    why = [f"{count}; {len(leaked)} are idle in a transaction, {len(slow)} are slow"]
    return Case.NOTHING, why


def _busy_tasks(seen: Evidence, database: Database) -> int:
    """Return the number of tasks whose pools have no free connection, as the server sees it.

    An application need not log that its pools are full.
    """
    if seen.serving is None:
        return 0
    busy = Counter(item.address for item in database.sessions if item.state != "idle")
    addresses = [task.address for task in seen.tasks if task.revision == seen.serving.revision]
    return sum(busy[address] >= seen.serving.connections for address in addresses)


def _full(seen: Evidence, database: Database, count: str) -> tuple[Case, list[str]]:
    """Diagnose a full server without leaked or slow sessions: the demand exceeds its connections."""
    demanded = _demanded(seen)
    if seen.serving and seen.before and seen.serving.connections >= 1.5 * seen.before.connections:
        before = seen.before
        return Case.POOLS_GREW, [
            f"{count}; a task of {seen.serving.revision} may hold {seen.serving.connections}, one of {before.revision} "
            f"held {before.connections} at most",
        ]
    if demanded is not None and demanded > database.room:
        return Case.TOO_SMALL, [f"{count}; {_demand(seen)}"]
    return Case.SERVER_FULL, [
        count,
        *_origins(
            "taken by", [f"{item.user or '?'} ({item.application or 'without a name'})" for item in database.sessions]
        ),
    ]


def _demanded(seen: Evidence) -> int | None:
    """Return the connections that the maximum number of tasks may open during a rolling update."""
    if seen.serving is None:
        return None
    return seen.max_tasks * seen.maximum_percent // 100 * seen.serving.connections


def _demand(seen: Evidence) -> str:
    assert seen.serving is not None  # noqa: S101 - for the type checker; the callers look
    return (
        f"{seen.max_tasks} tasks x {seen.maximum_percent} % x {seen.serving.connections} connections may open "
        f"{_demanded(seen)}"
    )


def _origins(what: str, names: Sequence[str], most: int = 5) -> list[str]:
    counted = Counter(names).most_common()
    lines = [f"{what} {name}: {number}" for name, number in counted[:most]]
    rest = counted[most:]
    return lines + ([f"and {sum(number for _, number in rest)} of {len(rest)} others"] if rest else [])


def _blockers(database: Database) -> list[str]:
    blocked = [item for item in database.sessions if item.blocked_by]
    roots = Counter(pid for item in blocked for pid in item.blocked_by)
    return [f"{len(blocked)} wait for a lock; most for pid {roots.most_common()[0][0]}"] if blocked else []


def _beside(seen: Evidence, case: Case) -> list[str]:
    """Return further findings that need action later."""
    found = []
    database, demanded = seen.database, _demanded(seen)
    if database and demanded is not None and demanded > database.room and case is not Case.TOO_SMALL:
        found.append(f"in addition, the pools do not fit: {_demand(seen)}, the database has {database.room}")
    if database and database.max_connections != seen.max_connections:
        found.append(
            f"max_connections is {database.max_connections} on the server and {seen.max_connections} in Terraform: "
            "a restart is pending"
        )
    return found


def _from_outside(seen: Evidence) -> list[str]:
    found = []
    connections = [value for value in seen.series.get("connections", ()) if value is not None]
    if connections:
        found.append(f"CloudWatch counted {connections[-1]:.0f} of {seen.max_connections} connections last")
    if seen.instance:
        found.append(f"RDS says that the instance is {seen.instance.get('status', '?')}")
    if seen.logs and seen.logs.pool_timeouts:
        found.append(f"{seen.logs.pool_timeouts} requests found no free connection in their worker's pool")
    if seen.logs and seen.logs.refused:
        found.append(f"{seen.logs.refused} requests could not use the database")
    return found


def _next(case: Case, seen: Evidence) -> list[str]:
    at, files = f"ENV={seen.environment}", f"inventory/{seen.environment}/group_vars/all"
    end = f"make incident-db {at} ARGS='-e end_idle=true'   # ends unused sessions; without end_idle it changes nothing"
    rollback = f"make rollback {at}   # to the previous release"
    proxy = f"rds_proxy_enabled: true in {files}/database.yml, then make plan {at} && make deploy {at}   # RDS Proxy"
    size = (
        f"database_instance_class and database_max_connections in {files}/database.yml, then make deploy {at}   "
        "# a larger instance; restarts it"
    )
    now = seen.serving
    numbers = f"   # now {now.workers} workers x ({now.pool_size} + {now.max_overflow})" if now else ""
    names = "app_workers, app_pool_size, app_max_overflow, app_max_tasks"
    pools = f"{names} in {files}/app.yml, then make deploy {at}{numbers}"
    leaks = f"make logs {at} SINCE=1h FILTER='\"held too long\"'   # which endpoint keeps its session"
    commands = {
        Case.LEAKED_SESSIONS: [end, leaks, rollback, proxy],
        Case.SLOW_QUERIES: [
            f"make logs {at} SINCE=1h FILTER='\"held too long\"'   # which endpoint waits",
            rollback,
            size,
        ],
        Case.SERVER_FULL: [end, proxy, size],
        Case.POOLS_GREW: [rollback, end, pools, proxy],
        Case.TOO_SMALL: [end, pools, proxy, size],
        Case.CLIENT_POOLS_FULL: [leaks, pools, rollback],
        Case.NOTHING: [f"make status {at}"],
        Case.UNKNOWN: [
            f"make status {at}",
            f"make logs {at} SINCE=15m FILTER='\"cannot be used\"'   # the database's errors in the application's log",
            f"make incident-db {at}   # again, once the database answers",
        ],
    }
    return commands[case]
