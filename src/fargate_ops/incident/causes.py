"""The causes, and the evidence of each: pure functions of the signals.

A rule returns its evidence, and none if the cause is not there. A source that was not read gives no evidence. The order
of `RULES` is that of directness: what stops a task comes before the release that it fails, and a lost zone before the
database that its tasks do not reach. What only failed a release that ECS has undone comes after what goes on now.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fargate_ops.aws.alarms import IN_ALARM
from fargate_ops.core.application import CANNOT_BE_USED, HELD_TOO_LONG, NO_FREE_CONNECTION
from fargate_ops.ecs.failure_report import ABSENT_IMAGE, ABSENT_SECRET, failed_by_themselves
from fargate_ops.ecs.tasks import Stop, short
from fargate_ops.incident.signals import Entry, Signals, Target, Task
from fargate_ops.state.ledger import Kind, Outcome, Release

_PASSWORD_REFUSED = "password authentication failed"  # noqa: S105 - PostgreSQL's message
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
_OUT_OF_MEMORY = re.compile(r"OutOfMemory")
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
_NO_CAPACITY = re.compile(
    r"unable to place a task|capacity is unavailable|insufficient capacity|RESOURCE:|insufficient ?free ?addresses"
    r"|reached the limit on the number of",
    re.IGNORECASE,
)
#: The event, and the reason of the stop, of a task whose health checks timed out.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
_TIMED_OUT = re.compile(r"is unhealthy in .*request timed out", re.IGNORECASE)
_FAILED_CHECKS = "failed ELB health checks"
_DEPLOYMENT_FAILED = re.compile(r"deployment failed", re.IGNORECASE)
#: States in which an instance takes no connection.
#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html#Overview.DBInstance.Status
DOWN = frozenset(
    {"creating", "deleting", "failed", "inaccessible-encryption-credentials", "incompatible-network"}
    | {"incompatible-restore", "insufficient-capacity", "rebooting", "renaming", "restore-error", "starting"}
    | {"inaccessible-encryption-credentials-recoverable", "stopped", "stopping", "storage-full", "upgrading"}
)
#: What a driver says of a server that takes no connection. A connection that was ended is no sign of that.
_UNREACHABLE = re.compile(
    r"connection refused|timeout expired|could not translate host name|no route to host|network is unreachable"
    r"|the database system is (?:starting up|shutting down|in recovery mode)|name or service not known",
    re.IGNORECASE,
)
#: What PostgreSQL says when it has no connection left.
#: https://www.postgresql.org/docs/current/runtime-config-connection.html
_SERVER_FULL = re.compile(
    r"too many clients already|remaining connection slots|too many connections for", re.IGNORECASE
)
_LOCK_WAIT = re.compile(r"process \d+ still waiting for \w+ on .*? after [\d.]+ ms")
_DURATION = re.compile(r"duration: ([\d.]+) ms")
_STATEMENT_TIMEOUT = "canceling statement due to statement timeout"
#: The alarms, after the environment's name, that a release can set off.
_OF_THE_SERVICE = ("error-rate", "errors-5xx", "no-healthy-targets", "unhealthy-targets", "tasks-missing")
#: Percent of the tasks' CPU that is the limit, and how many minutes in a row.
CPU_LIMIT = 90.0
CPU_MINUTES = 3
#: A report shows this much of one line.
_LONGEST = 240


class Name(StrEnum):
    """The causes that are known."""

    MISSING_IMAGE = "missing image"
    WRONG_SECRET = "wrong secret"  # noqa: S105 - a cause
    ZONE_LOST = "zone lost"
    DATABASE_DOWN = "database down"
    NO_CAPACITY = "no capacity"
    OUT_OF_MEMORY = "out of memory"
    LOCK_WAIT = "lock wait"
    SLOW_QUERY = "slow query"
    POOL_EXHAUSTED = "pool exhausted"
    CPU_LIMIT = "CPU at its limit"
    BAD_RELEASE = "bad release"
    BOTS_UNDELIVERED = "bots undelivered"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One fact, and when it was last seen."""

    at: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A cause with its evidence, the next command and the runbook."""

    name: Name
    evidence: Sequence[Evidence]
    next: str
    runbook: str


def causes(seen: Signals) -> list[Cause]:
    """Return the causes that the signals show, the first of which is *the* cause. Without evidence there is none."""
    found = [
        Cause(name=rule.name, evidence=evidence, next=rule.next(seen), runbook=rule.runbook)
        for rule in RULES
        if (evidence := rule.find(seen))
    ]
    return sorted(found, key=lambda cause: (cause.name is Name.BOTS_UNDELIVERED, _is_over(seen, cause)))


def _is_over(seen: Signals, cause: Cause) -> bool:
    """Return whether all evidence is from before the end of a release that failed."""
    newest = seen.newest_release
    end = newest.ended if newest and newest.outcome is Outcome.FAILED else None
    return end is not None and all(item.at <= end for item in cause.evidence)


# -- tasks that do not start or do not stay --------------------------------------------------------------------------


def _missing_image(seen: Signals) -> list[Evidence]:
    """A task could not start because its image does not exist, and none has started since."""
    return _of_stops(stop for stop in _not_started(seen) if ABSENT_IMAGE.search(str(stop)))


def _wrong_secret(seen: Signals) -> list[Evidence]:
    """A task could not read its secret, or the database refused the password that it has."""
    unread = _of_stops(stop for stop in _not_started(seen) if ABSENT_SECRET.search(str(stop)))
    return unread + _of_lines(_log(seen), lambda line: _PASSWORD_REFUSED in line.text)


def _no_capacity(seen: Signals) -> list[Evidence]:
    """ECS found no place for a task, and none has started since."""
    stops = _of_stops(stop for stop in _not_started(seen) if _NO_CAPACITY.search(str(stop)))
    events = [event for event in _events(seen) if not _started_since(seen, event.at)]
    return stops + _of_lines(events, lambda event: bool(_NO_CAPACITY.search(event.text)))


def _out_of_memory(seen: Signals) -> list[Evidence]:
    """A container was killed because of its memory, also if another task has taken its place."""
    return _of_stops(stop for stop in _relevant(seen) if _OUT_OF_MEMORY.search(str(stop)))


@dataclass(frozen=True, kw_only=True)
class _Zone:
    """One availability zone: its tasks that answer, that are silent now, and that were replaced for being silent."""

    name: str
    answering: Sequence[Task]
    silent: Sequence[Task]
    replaced: Sequence[Stop]


def _zone_lost(seen: Signals) -> list[Evidence]:
    """All tasks of one zone are silent to the load balancer, or were replaced for it, and those of the others answer.

    ECS replaces silent tasks before an alarm tells of them. So what it has stopped counts too.
    """
    zone = _lost_zone(seen)
    if zone is None:
        return []
    answering = sum(len(other.answering) for other in _zones(seen))
    at = max((stop.stopped for stop in zone.replaced if stop.stopped), default=seen.now)
    parts = [f"{_counted(len(zone.silent), 'task')} without an answer"] if zone.silent else []
    parts += [f"{_counted(len(zone.replaced), 'task')} replaced after time-outs"] if zone.replaced else []
    text = f"zone {zone.name}: {', '.join(parts)}; in the other zones {_counted(answering, 'task')} with answers"
    return [Evidence(at=seen.now if zone.silent else at, text=text)]


def _lost_zone(seen: Signals) -> _Zone | None:
    """Return the only zone with silent tasks, if none of its tasks answers and no task elsewhere is unhealthy."""
    zones = _zones(seen)
    suspects = [zone for zone in zones if zone.silent or zone.replaced]
    if len(suspects) != 1 or suspects[0].answering:
        return None
    lost = suspects[0]
    elsewhere = {task.revision for zone in zones for task in zone.answering}
    # A definition whose tasks answer nowhere is at fault itself.
    if not {task.revision for task in lost.silent} | {stop.revision for stop in lost.replaced} <= elsewhere:
        return None
    silent = {task.address for task in lost.silent}
    unhealthy = {target.address for target in seen.targets if target.state == "unhealthy"}
    return lost if unhealthy <= silent else None


def _zones(seen: Signals) -> list[_Zone]:
    """Return the zones of the tasks that run, or were replaced because the load balancer's checks timed out."""
    healthy = {target.address for target in seen.targets if target.state == "healthy"}
    silent = {target.address for target in seen.targets if _is_silent(target)}
    timed_out = any(_TIMED_OUT.search(event.text) for event in _events(seen))
    replaced = [stop for stop in _relevant(seen) if timed_out and stop.zone and _FAILED_CHECKS in stop.reason]
    names = {task.zone for task in seen.tasks if task.zone} | {stop.zone for stop in replaced}
    return [
        _Zone(
            name=name,
            answering=[task for task in seen.tasks if task.zone == name and task.address in healthy],
            silent=[task for task in seen.tasks if task.zone == name and task.address in silent],
            replaced=[stop for stop in replaced if stop.zone == name],
        )
        for name in sorted(names)
    ]


def _is_silent(target: Target) -> bool:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html"""
    return target.state == "unhealthy" and target.reason == "Target.Timeout"


# -- the database ----------------------------------------------------------------------------------------------------


def _database_down(seen: Signals) -> list[Evidence]:
    """RDS says that the instance takes no connection, or the application cannot reach it."""
    found = []
    if seen.database and seen.database.status in DOWN:
        found.append(Evidence(at=seen.now, text=f"RDS: {seen.database.identifier} is {seen.database.status}"))
    return found + _of_lines(_log(seen), lambda line: bool(_UNREACHABLE.search(line.text)))


def _lock_wait(seen: Signals) -> list[Evidence]:
    """PostgreSQL logs each wait for a lock that lasts a second (log_lock_waits).

    https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-LOCK-WAITS
    """
    return _of_database(_recent(seen, seen.database_log), _LOCK_WAIT, "waits for a lock")


def _slow_query(seen: Signals) -> list[Evidence]:
    """PostgreSQL logs each statement that took longer than database_slow_query_milliseconds, or was cancelled."""
    lines = _recent(seen, seen.database_log)
    slow = [(float(match[1]), line) for line in lines if (match := _DURATION.search(line.text))]
    found = []
    if slow:
        longest, line = max(slow, key=lambda item: item[0])
        number = f"{len(slow)} slow statements, the longest" if len(slow) > 1 else "a statement"
        statement = _redacted(line.text[line.text.index("duration: ") :].partition(" ms ")[2].strip())
        found.append(Evidence(at=line.at, text=_cut(f"{number} of {longest / 1000:.1f} s: {statement}")))
    return found + _of_database(lines, re.compile(_STATEMENT_TIMEOUT), "statements cancelled at their time limit")


def _pool_exhausted(seen: Signals) -> list[Evidence]:
    """A request found no free connection in its pool, or the server had none left."""
    log = _log(seen)
    found = _of_lines(log, lambda line: NO_FREE_CONNECTION in line.text)
    found += _of_lines(log, lambda line: CANNOT_BE_USED in line.text and bool(_SERVER_FULL.search(line.text)))
    found += _of_database(_recent(seen, seen.database_log), _SERVER_FULL, "connections refused by the full server")
    if found:
        found += _of_lines(log, lambda line: HELD_TOO_LONG in line.text)
        found += _alarm(seen, "database-connections")
    return found


# -- the service -----------------------------------------------------------------------------------------------------


def _cpu_limit(seen: Signals) -> list[Evidence]:
    """The tasks used nearly all their CPU in each of the last minutes."""
    last = seen.cpu[-CPU_MINUTES:]
    if len(last) < CPU_MINUTES or min(value for _, value in last) < CPU_LIMIT or last[-1][0] < seen.since:
        return []
    tasks = f", {seen.service.running} tasks run" if seen.service else ""
    return [Evidence(at=last[-1][0], text=f"CPU {last[-1][1]:.0f} % for {CPU_MINUTES} minutes or more{tasks}")]


def _bad_release(seen: Signals) -> list[Evidence]:
    """The newest release failed; or its tasks do; or what the alarms see began with it."""
    return [*_failed(seen), *_fails_after(seen)]


def _failed(seen: Signals) -> list[Evidence]:
    """The newest release, or a deployment that nobody released, has failed."""
    newest = seen.newest_release
    if newest and newest.outcome is Outcome.FAILED:
        return [Evidence(at=newest.ended or newest.started, text=_cut(f"{_named(newest)} failed: {newest.why}"))]
    deployments = seen.service.deployments if seen.service else ()
    failed = [item for item in deployments if item.rollout_state == "FAILED"]
    found = [
        Evidence(at=seen.now, text=_cut(f"the deployment of {item.revision_name} failed: {item.reason}"))
        for item in failed
    ]
    return found or _of_lines(_events(seen), lambda event: bool(_DEPLOYMENT_FAILED.search(event.text)))


def _fails_after(seen: Signals) -> list[Evidence]:
    """Since the newest release began, its tasks have failed or an alarm of the service has gone on."""
    newest = seen.newest_release
    if newest is None or newest.outcome not in (*_IN_PROGRESS, Outcome.SUCCEEDED):
        return []
    stops = [stop for stop in failed_by_themselves(_relevant(seen)) if stop.revision == newest.revision]
    alarms = [item for name in _OF_THE_SERVICE for item in _alarm(seen, name) if item.at >= newest.started]
    found = [*_of_stops(stops), *alarms]
    return [Evidence(at=newest.ended or newest.started, text=f"before it: {_named(newest)}"), *found] if found else []


_IN_PROGRESS = (Outcome.IN_PROGRESS, Outcome.PREPARED, Outcome.BAKING, Outcome.UNVERIFIED)


def _named(release: Release) -> str:
    return f"the {release.kind} of {release.name} ({release.revision_name}) by {release.by}"


def _bots_undelivered(seen: Signals) -> list[Evidence]:
    """Messages that a bot could not post to Slack wait in the queue."""
    if not seen.undelivered:
        return []
    number = "1 message waits" if seen.undelivered == 1 else f"{seen.undelivered} messages wait"
    return [Evidence(at=seen.now, text=f"{number} in the queue {seen.scope.name}-undelivered")]


# -- what the rules share --------------------------------------------------------------------------------------------


def _relevant(seen: Signals) -> list[Stop]:
    """Return the recent stops, and those of a release that failed, although ECS has undone it."""
    newest = seen.newest_release
    failed = newest if newest and newest.outcome is Outcome.FAILED else None

    def counts(stop: Stop) -> bool:
        if stop.stopped is None:
            return False
        if failed and stop.revision == failed.revision and stop.stopped >= failed.started:
            return True
        is_current = seen.service is None or stop.revision in seen.service.revisions
        return is_current and stop.stopped >= seen.since_release

    return [stop for stop in seen.stops if counts(stop)]


def _not_started(seen: Signals) -> list[Stop]:
    """Return the stops of tasks that could not start, while no later one could."""
    return [
        stop
        for stop in _relevant(seen)
        if stop.code == "TaskFailedToStart" and stop.stopped and not _started_since(seen, stop.stopped, stop.revision)
    ]


def _started_since(seen: Signals, moment: datetime, revision: str = "") -> bool:
    """Return whether the service is whole, and a task (of this revision) has started since then."""
    started = [task.started for task in seen.tasks if task.started and revision in ("", task.revision)]
    return seen.is_whole and any(at >= moment for at in started)


def _recent(seen: Signals, lines: Iterable[Entry]) -> list[Entry]:
    return [line for line in lines if line.at >= seen.since]


def _log(seen: Signals) -> list[Entry]:
    """Return the application's lines that the newest release leaves."""
    return [line for line in seen.application_log if line.at >= seen.since_release]


def _events(seen: Signals) -> list[Entry]:
    return [event for event in (seen.service.events if seen.service else ()) if event.at >= seen.since_release]


def _alarm(seen: Signals, name: str) -> list[Evidence]:
    wanted = f"{seen.scope.name}-{name}"
    return [
        Evidence(at=alarm.since, text=f"alarm {alarm.name}: {alarm.meaning}".rstrip(": "))
        for alarm in seen.alarms
        if alarm.name == wanted and alarm.state == IN_ALARM
    ]


def _of_stops(stops: Iterable[Stop]) -> list[Evidence]:
    """Return one fact for all stops of a revision, with how the last one ended."""
    last: dict[str, Stop] = {}
    number: Counter[str] = Counter()
    for stop in stops:
        last[stop.revision] = stop
        number[stop.revision] += 1
    return [
        Evidence(at=stop.stopped, text=_cut(f"{_counted(number[revision], 'task')} of {short(revision)}: {stop}"))
        for revision, stop in last.items()
        if stop.stopped
    ]


def _of_lines(lines: Iterable[Entry], matches: Callable[[Entry], bool]) -> list[Evidence]:
    """Return one fact for all lines that match, with the last one's text."""
    found = [line for line in lines if matches(line)]
    if not found:
        return []
    times = f"{len(found)} times, the last: " if len(found) > 1 else ""
    return [Evidence(at=found[-1].at, text=_cut(f"{times}{found[-1].text}"))]


def _of_database(lines: Iterable[Entry], pattern: re.Pattern[str], what: str) -> list[Evidence]:
    """Return one fact for all lines of the database that match, without PostgreSQL's prefix of the last one."""
    found = [(line, match) for line in lines if (match := pattern.search(line.text))]
    if not found:
        return []
    line, match = found[-1]
    return [Evidence(at=line.at, text=_cut(f"{what}: {len(found)}, the last: {_redacted(line.text[match.start() :])}"))]


def _redacted(text: str) -> str:
    """Return a line of PostgreSQL without the values of its statement, which may be a customer's."""
    return re.sub(r"'(?:[^']|'')*'", "'?'", text)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


# -- what to do ------------------------------------------------------------------------------------------------------

_INCIDENT = "docs/runbooks/incident.md"


def _make(verb: str) -> Callable[[Signals], str]:
    return lambda seen: f"make {verb} ENV={seen.scope.environment}"


def _rollback_or(verb: str) -> Callable[[Signals], str]:
    """Return what puts the previous release back if the newest one may be at fault and serves or is about to."""

    def command(seen: Signals) -> str:
        newest = seen.newest_release
        serves = newest is not None and newest.outcome in (*_IN_PROGRESS, Outcome.SUCCEEDED)
        unfinished = newest is not None and newest.kind is Kind.ROLLBACK
        return _make("rollback" if serves or unfinished else verb)(seen)

    return command


def _zone_away(seen: Signals) -> str:
    zone = _lost_zone(seen)
    return f"{_make('zone-away')(seen)} ZONE={zone.name if zone else ''}"


def _start_database(seen: Signals) -> str:
    if seen.database and seen.database.status == "stopped":
        return f"aws rds start-db-instance --db-instance-identifier {seen.database.identifier}"
    return _make("incident-db")(seen)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a cause is found, and what then helps."""

    name: Name
    find: Callable[[Signals], list[Evidence]]
    next: Callable[[Signals], str]
    runbook: str


RULES: Sequence[Rule] = (
    Rule(
        name=Name.MISSING_IMAGE,
        find=_missing_image,
        next=_rollback_or("verify"),
        runbook=f"{_INCIDENT}#missing-image",
    ),
    Rule(
        name=Name.WRONG_SECRET,
        find=_wrong_secret,
        next=_make("verify"),
        runbook=f"{_INCIDENT}#wrong-secret",
    ),
    Rule(
        name=Name.ZONE_LOST,
        find=_zone_lost,
        next=_zone_away,
        runbook=f"{_INCIDENT}#zone-lost",
    ),
    Rule(
        name=Name.DATABASE_DOWN,
        find=_database_down,
        next=_start_database,
        runbook=f"{_INCIDENT}#database-down",
    ),
    Rule(
        name=Name.NO_CAPACITY,
        find=_no_capacity,
        next=_make("status"),
        runbook=f"{_INCIDENT}#no-capacity",
    ),
    Rule(
        name=Name.OUT_OF_MEMORY,
        find=_out_of_memory,
        next=_rollback_or("logs"),
        runbook=f"{_INCIDENT}#out-of-memory",
    ),
    Rule(
        name=Name.LOCK_WAIT,
        find=_lock_wait,
        next=_make("incident-db"),
        runbook="docs/runbooks/slow_query.md",
    ),
    Rule(
        name=Name.SLOW_QUERY,
        find=_slow_query,
        next=_make("incident-db"),
        runbook="docs/runbooks/slow_query.md",
    ),
    Rule(
        name=Name.POOL_EXHAUSTED,
        find=_pool_exhausted,
        next=_make("incident-db"),
        runbook="docs/runbooks/database_connections.md",
    ),
    Rule(
        name=Name.CPU_LIMIT,
        find=_cpu_limit,
        next=_rollback_or("status"),
        runbook=f"{_INCIDENT}#cpu-at-its-limit",
    ),
    Rule(
        name=Name.BAD_RELEASE,
        find=_bad_release,
        next=_rollback_or("logs"),
        runbook=f"{_INCIDENT}#bad-release",
    ),
    Rule(
        name=Name.BOTS_UNDELIVERED,
        find=_bots_undelivered,
        next=_make("test-page"),
        runbook="docs/monitoring.md#undelivered",
    ),
)
