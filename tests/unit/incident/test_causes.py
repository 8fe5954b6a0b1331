"""Each cause: with its evidence, with something that only looks like it, and with evidence that is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fargate_ops.ecs.tasks import Stop
from fargate_ops.incident.causes import Name, causes
from fargate_ops.incident.signals import Database, Signals
from fargate_ops.state.ledger import Kind, Outcome
from tests.unit.incident.conftest import (
    NEW,
    OLD,
    ago,
    alarm,
    deployment,
    killed,
    line,
    released,
    service,
    stop,
    target,
    task,
)

Healthy = Callable[..., Signals]

NO_IMAGE = "CannotPullContainerError: pull image manifest has been retried 1 time(s): shop:1: not found"
NO_SECRET = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable "
    "to retrieve secret from asm: Secrets Manager can't find the specified secret."
)
NO_REGISTRY = (
    "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve ecr registry auth: "
    "AccessDeniedException: not authorized to perform: ecr:GetAuthorizationToken"
)
NO_PLACE = "(service shop-staging) was unable to place a task. Reason: Capacity is unavailable at this time."
REFUSED = 'database check failed: connection to server at "10.0.1.1", port 5432 failed: Connection refused'
PASSWORD = 'database check failed: FATAL:  password authentication failed for user "shop"'
POOL = "no free database connection in this process's pool: QueuePool limit of size 5 reached, connection timed out"
FULL = "the database cannot be used: FATAL:  sorry, too many clients already"
LOG = "2026-01-31 08:59:00 UTC:10.0.0.1(5):shop@shop:[7]:LOG:  "
WAITS = f"{LOG}process 7 still waiting for RowShareLock on relation 1 of database 2 after 1000.1 ms"
SLOW = f"{LOG}duration: 4200.5 ms  statement: SELECT 'Kim', pg_sleep(4)"
CANCELLED = "…:ERROR:  canceling statement due to statement timeout STATEMENT:  SELECT 1"
#: A service whose newest task starts after the evidence.
REPLACED = {"tasks": [task("a", "10.0.0.1", 5), task("c", "10.0.0.2")]}
#: One of two tasks is missing.
SHORT = {"service": service(running=1), "tasks": [task("a", "10.0.0.1")], "targets": [target("10.0.0.1")]}
SILENT = target("10.0.0.2", "unhealthy", "Target.Timeout")
TIMED_OUT = service(events=(line("(port 8000) is unhealthy in (target-group t) due to (reason Request timed out)."),))
TIMED_OUT_IN_ROLLOUT = replace(
    TIMED_OUT, deployments=(deployment(NEW, "IN_PROGRESS"), deployment(OLD, status="ACTIVE"))
)
#: ECS has replaced the only task of zone c.
IN_OTHER_ZONES = {"tasks": [task("a", "10.0.0.1"), task("b", "10.0.0.2", 5)], "service": TIMED_OUT}


def silent(seconds: float = 60, **changes: Any) -> Stop:
    """Return a task of zone c that ECS stopped because its health checks failed."""
    reason = "Task failed ELB health checks in (target-group t)"
    values = {"code": "ServiceSchedulerInitiated", "zone": "c", "reason": reason}
    return stop(seconds=seconds, **values | changes)


CASES: list[tuple[Name, dict[str, Any]]] = [
    (Name.MISSING_IMAGE, SHORT | {"stops": [stop(NO_IMAGE)]}),
    (Name.MISSING_IMAGE, SHORT | {"stops": [stop("CannotPullImageManifestError: manifest unknown")]}),
    (Name.WRONG_SECRET, SHORT | {"stops": [stop(NO_SECRET)]}),
    (Name.WRONG_SECRET, {"application_log": [line(PASSWORD)]}),
    (Name.DATABASE_DOWN, {"database": Database(identifier="d", status="stopped")}),
    (Name.DATABASE_DOWN, {"application_log": [line(REFUSED)]}),
    (Name.DATABASE_DOWN, {"application_log": [line("database check failed: connection timeout expired")]}),
    (Name.ZONE_LOST, {"targets": [target("10.0.0.1"), SILENT]}),
    (Name.ZONE_LOST, IN_OTHER_ZONES | {"stops": [silent()]}),
    (
        Name.ZONE_LOST,
        IN_OTHER_ZONES | {"stops": [silent()], "targets": [target("10.0.0.1"), target("10.0.0.2", "initial")]},
    ),
    (Name.NO_CAPACITY, SHORT | {"service": service(running=1, events=(line(NO_PLACE),))}),
    (Name.NO_CAPACITY, SHORT | {"stops": [stop("Capacity is unavailable at this time.")]}),
    (Name.OUT_OF_MEMORY, {"stops": [killed()]}),
    (Name.OUT_OF_MEMORY, REPLACED | {"stops": [killed()]}),
    (Name.LOCK_WAIT, {"database_log": [line(WAITS)]}),
    (Name.SLOW_QUERY, {"database_log": [line(SLOW)]}),
    (Name.SLOW_QUERY, {"database_log": [line(CANCELLED)]}),
    (Name.POOL_EXHAUSTED, {"application_log": [line(POOL)]}),
    (Name.POOL_EXHAUSTED, {"application_log": [line(FULL)]}),
    (Name.POOL_EXHAUSTED, {"database_log": [line("…:FATAL:  remaining connection slots are reserved")]}),
    (Name.CPU_LIMIT, {"cpu": [(ago(240), 20.0), (ago(180), 95.0), (ago(120), 99.0), (ago(60), 90.0)]}),
    (Name.BAD_RELEASE, {"releases": [released(Outcome.FAILED, ended=600, why="exit code 1: boom")]}),
    (Name.BAD_RELEASE, {"service": service(deployment(NEW, "FAILED"), deployment(OLD, status="ACTIVE"))}),
    (Name.BAD_RELEASE, {"service": service(events=(line("(deployment ecs-svc/2) deployment failed: x."),))}),
    (
        Name.BAD_RELEASE,
        {
            "releases": [released(ended=0)],
            "service": service(deployment(NEW, "IN_PROGRESS"), deployment(OLD, status="ACTIVE")),
            "stops": [stop("Essential container in task exited", NEW, 10, code="EssentialContainerExited")],
        },
    ),
    (
        Name.BAD_RELEASE,
        {"releases": [released(Outcome.SUCCEEDED, ended=600)], "alarms": [alarm("errors-5xx", 300)]},
    ),
    (Name.BOTS_UNDELIVERED, {"undelivered": 2}),
]


@pytest.mark.parametrize(("cause", "seen"), CASES)
def test_a_cause_is_named_with_its_evidence(healthy: Healthy, cause: Name, seen: dict[str, Any]) -> None:
    (found,) = causes(healthy(**seen))
    assert found.name is cause
    assert all(item.text and item.at <= healthy().now for item in found.evidence)
    assert found.runbook.startswith("docs/")
    assert "staging" in found.next or found.next.startswith("aws rds start-db-instance")


def test_each_cause_has_a_case() -> None:
    assert {name for name, _ in CASES} == set(Name)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({}, id="healthy"),
        # Tasks
        pytest.param(
            SHORT | {"stops": [stop("CannotPullContainerError: i/o timeout")]}, id="no answer of the registry"
        ),
        pytest.param(SHORT | {"stops": [stop(NO_IMAGE, seconds=301)]}, id="missing image, long ago"),
        pytest.param(REPLACED | {"stops": [stop(NO_IMAGE)]}, id="missing image, and a task has started since"),
        pytest.param(SHORT | {"stops": [stop(NO_REGISTRY)]}, id="the registry's password, which is no secret of ours"),
        pytest.param({"stops": [stop(NO_SECRET, NEW)]}, id="wrong secret of a definition that is gone"),
        pytest.param(REPLACED | {"stops": [stop(NO_SECRET)]}, id="wrong secret, and a task has started since"),
        pytest.param({"application_log": [line(PASSWORD, 301)]}, id="wrong password, long ago"),
        pytest.param(
            {"application_log": [line(PASSWORD)], "releases": [released(Outcome.SUCCEEDED, ended=30)]},
            id="wrong password, before the last success",
        ),
        pytest.param({"stops": [killed(container_reason="")]}, id="killed, but not because of memory"),
        pytest.param({"stops": [killed(301)]}, id="out of memory, long ago"),
        pytest.param(REPLACED | {"service": service(events=(line(NO_PLACE),))}, id="no capacity, and started since"),
        pytest.param({"service": service(events=(line("has reached a steady state."),))}, id="an event of every day"),
        # Zones
        pytest.param(
            {"targets": [target("10.0.0.1", "unhealthy", "Target.Timeout"), SILENT]}, id="all zones are silent"
        ),
        pytest.param(
            {
                "tasks": [task("a", "10.0.0.1"), task("c", "10.0.0.2"), task("d", "10.0.0.3")],
                "targets": [target("10.0.0.1", "unhealthy", "Target.Timeout"), SILENT, target("10.0.0.3")],
            },
            id="two of three zones are silent",
        ),
        pytest.param({"targets": [target("10.0.0.1", "initial"), SILENT]}, id="the other zone is not healthy either"),
        pytest.param(
            {"targets": [target("10.0.0.1"), target("10.0.0.2", "unhealthy", "Target.ResponseCodeMismatch")]},
            id="a task that answers wrongly",
        ),
        pytest.param(
            {
                "tasks": [task("a", "10.0.0.1"), task("c", "10.0.0.2"), task("c", "10.0.0.3")],
                "targets": [target("10.0.0.1"), SILENT, target("10.0.0.3")],
            },
            id="one silent task of two in a zone",
        ),
        pytest.param(
            {
                "tasks": [task("c", "10.0.0.1"), task("c", "10.0.0.2")],
                "targets": [target("10.0.0.1", "unhealthy", "Target.Timeout"), SILENT],
            },
            id="only one zone is in use",
        ),
        pytest.param(
            {
                "tasks": [task("a", "10.0.0.1"), task("c", "10.0.0.2", revision=NEW)],
                "targets": [target("10.0.0.1"), SILENT],
            },
            id="a definition that answers nowhere",
        ),
        pytest.param(
            IN_OTHER_ZONES | {"stops": [silent(revision=NEW)], "service": TIMED_OUT_IN_ROLLOUT},
            id="a new definition, whose task was replaced",
        ),
        pytest.param(IN_OTHER_ZONES | {"stops": [silent(301)]}, id="a zone's task was silent long ago"),
        pytest.param(
            IN_OTHER_ZONES | {"stops": [silent()], "service": service()}, id="a task that answered wrongly, replaced"
        ),
        pytest.param({"service": TIMED_OUT, "stops": [silent()]}, id="a task in the zone answers again"),
        pytest.param(
            IN_OTHER_ZONES | {"stops": [silent(), silent(zone="d")]}, id="silent tasks of two zones were replaced"
        ),
        pytest.param(
            IN_OTHER_ZONES | {"stops": [silent(), silent(zone="a")]}, id="a silent task of another zone, replaced there"
        ),
        pytest.param(
            IN_OTHER_ZONES | {"stops": [silent(reason="Scaling activity initiated by (deployment ecs-svc/1)")]},
            id="a zone's only task was scaled in",
        ),
        pytest.param(
            {
                "tasks": [task("a", "10.0.0.1"), task("c", "10.0.0.2"), task("a", "10.0.0.3")],
                "targets": [target("10.0.0.1"), SILENT, target("10.0.0.3", "unhealthy", "Target.ResponseCodeMismatch")],
            },
            id="a task of another zone is unhealthy too",
        ),
        # Database
        pytest.param({"database": Database(identifier="d", status="backing-up")}, id="a backup"),
        pytest.param({"database": None}, id="no database"),
        pytest.param({"application_log": [line(REFUSED, 301)]}, id="database down, long ago"),
        pytest.param(
            {
                "application_log": [
                    line("the database cannot be used: terminating connection due to administrator command")
                ]
            },
            id="a session that was ended on purpose",
        ),
        pytest.param({"application_log": [line("a session is held too long: GET /v1/export")]}, id="one long session"),
        pytest.param({"database_log": [line(WAITS, 301)]}, id="lock wait, long ago"),
        pytest.param({"database_log": [line("…:LOG:  process 7 acquired RowShareLock after 3 ms")]}, id="a lock"),
        pytest.param({"database_log": [line(SLOW, 301)]}, id="slow query, long ago"),
        pytest.param({"alarms": [alarm("database-connections")]}, id="many connections, and none is refused"),
        pytest.param({"application_log": [line(POOL, 301)]}, id="pool exhausted, long ago"),
        # Service
        pytest.param({"cpu": [(ago(180), 99.0), (ago(120), 60.0), (ago(60), 99.0)]}, id="a minute below the limit"),
        pytest.param({"cpu": [(ago(120), 99.0), (ago(60), 99.0)]}, id="two minutes only"),
        pytest.param({"cpu": [(ago(500), 99.0), (ago(440), 99.0), (ago(380), 99.0)]}, id="CPU, long ago"),
        # Releases
        pytest.param({"releases": [released(Outcome.SUCCEEDED, ended=600)]}, id="a release that succeeded"),
        pytest.param({"releases": [released(ended=0)]}, id="a release in progress"),
        pytest.param({"releases": [released(Outcome.STOPPED, ended=60)]}, id="a release that somebody stopped"),
        pytest.param({"releases": [released(Outcome.FAILED, ended=1801)]}, id="a release that failed long ago"),
        pytest.param(
            {"releases": [released(Outcome.SUCCEEDED, ended=600)], "alarms": [alarm("errors-5xx", 700)]},
            id="an alarm from before the release",
        ),
        pytest.param(
            {"releases": [released(Outcome.SUCCEEDED, ended=1900)], "alarms": [alarm("errors-5xx", 60)]},
            id="an alarm long after the release",
        ),
        pytest.param(
            {"releases": [released(Outcome.SUCCEEDED, ended=600)], "alarms": [alarm("undelivered", 60)]},
            id="an alarm that is not of the service",
        ),
        pytest.param(
            {
                "releases": [released(Outcome.SUCCEEDED, ended=200)],
                "service": service(deployment(NEW)),
                "stops": [
                    stop("Scaling activity initiated by (deployment ecs-svc/2)", NEW, code="ServiceSchedulerInitiated")
                ],
            },
            id="a task that was scaled in",
        ),
    ],
)
def test_without_evidence_nothing_is_claimed(healthy: Healthy, seen: dict[str, Any]) -> None:
    assert causes(healthy(**seen)) == []


def test_the_most_direct_cause_comes_first(healthy: Healthy) -> None:
    """A lock makes statements slow, these fill the pools, and that fails the release."""
    seen = healthy(
        releases=[released(Outcome.FAILED, ended=60)],
        application_log=[line(POOL), line("a session is held too long: GET /v1/export")],
        database_log=[line(WAITS), line(SLOW), line(SLOW.replace("4200.5", "9100.5"))],
        undelivered=1,
        alarms=[alarm("database-connections")],
    )
    found = causes(seen)
    names = [Name.LOCK_WAIT, Name.SLOW_QUERY, Name.POOL_EXHAUSTED, Name.BAD_RELEASE, Name.BOTS_UNDELIVERED]
    assert [cause.name for cause in found] == names
    slow, pool = found[1].evidence[0].text, [item.text for item in found[2].evidence]
    assert slow == "2 slow statements, the longest of 9.1 s: statement: SELECT '?', pg_sleep(4)"
    assert pool[1:] == [
        "a session is held too long: GET /v1/export",
        "alarm shop-staging-database-connections: It is bad.",
    ]


def test_a_lost_zone_comes_before_the_database_that_its_tasks_do_not_reach(healthy: Healthy) -> None:
    found = causes(healthy(**IN_OTHER_ZONES, stops=[silent()], application_log=[line(REFUSED)]))
    assert [cause.name for cause in found] == [Name.ZONE_LOST, Name.DATABASE_DOWN]


def test_the_tasks_of_a_failed_release_say_why_although_ecs_has_undone_it(healthy: Healthy) -> None:
    failed = released(Outcome.FAILED, ended=600, why="never started")
    found = causes(healthy(releases=[failed], stops=[stop(NO_SECRET, NEW, 620), stop(NO_SECRET, NEW, 610)]))
    assert [cause.name for cause in found] == [Name.WRONG_SECRET, Name.BAD_RELEASE]
    (evidence,) = found[0].evidence
    assert evidence.at == ago(610)
    assert evidence.text.startswith("2 tasks of shop-staging:2: never started; ResourceInitializationError")


def test_what_goes_on_now_comes_before_a_failure_that_was_undone(healthy: Healthy) -> None:
    failed = released(Outcome.FAILED, ended=200, why="never started")
    seen = healthy(releases=[failed], stops=[stop(NO_SECRET, NEW, 210)], database_log=[line(WAITS)], undelivered=1)
    names = [Name.LOCK_WAIT, Name.WRONG_SECRET, Name.BAD_RELEASE, Name.BOTS_UNDELIVERED]
    assert [cause.name for cause in causes(seen)] == names


def test_what_was_before_a_failed_release_is_not_its_failure(healthy: Healthy) -> None:
    failed = released(Outcome.FAILED, ended=30, why="exit code 1")
    assert [cause.name for cause in causes(healthy(releases=[failed], application_log=[line(PASSWORD, 100)]))] == [
        Name.BAD_RELEASE
    ]
    assert causes(healthy(releases=[failed], application_log=[line(PASSWORD, 80)]))[0].name is Name.WRONG_SECRET


def test_a_source_that_was_not_read_is_no_cause(healthy: Healthy) -> None:
    unread = {"service": None, "tasks": [], "targets": [], "alarms": [], "database": None, "cpu": [], "read": []}
    assert causes(healthy(**unread)) == []


@pytest.mark.parametrize(
    ("seen", "command"),
    [
        ({"stops": [killed()]}, "make logs ENV=staging"),
        (
            {
                "stops": [killed(revision=NEW)],
                "releases": [released(Outcome.SUCCEEDED, ended=200)],
                "service": service(deployment(NEW)),
            },
            "make rollback ENV=staging",
        ),
        ({"releases": [released(Outcome.FAILED, ended=60)]}, "make logs ENV=staging"),
        ({"releases": [released(Outcome.FAILED, ended=60, kind=Kind.ROLLBACK)]}, "make rollback ENV=staging"),
        (
            {"database": Database(identifier="d", status="stopped")},
            "aws rds start-db-instance --db-instance-identifier d",
        ),
        ({"application_log": [line(REFUSED)]}, "make incident-db ENV=staging"),
        ({"targets": [target("10.0.0.1"), SILENT]}, "make zone-away ENV=staging ZONE=c"),
        (IN_OTHER_ZONES | {"stops": [silent()]}, "make zone-away ENV=staging ZONE=c"),
    ],
)
def test_the_next_command_fits_what_serves(healthy: Healthy, seen: dict[str, Any], command: str) -> None:
    assert causes(healthy(**seen))[0].next == command


def test_a_lost_zone_counts_what_is_silent_and_what_was_replaced(healthy: Healthy) -> None:
    tasks = [task("a", "10.0.0.1"), task("c", "10.0.0.2"), task("b", "10.0.0.3", 5)]
    targets = [target("10.0.0.1"), SILENT, target("10.0.0.3")]
    seen = healthy(tasks=tasks, targets=targets, stops=[silent(70), silent()], service=TIMED_OUT)
    (evidence,) = causes(seen)[0].evidence
    assert evidence.at == seen.now
    assert evidence.text == (
        "zone c: 1 task without an answer, 2 tasks replaced after time-outs; in the other zones 2 tasks with answers"
    )
    (evidence,) = causes(healthy(**IN_OTHER_ZONES, stops=[silent(70), silent()]))[0].evidence
    assert evidence.at == ago(60)


def test_a_stop_of_the_revision_that_serves_counts(healthy: Healthy) -> None:
    assert causes(healthy(stops=[killed(revision=NEW)])) == []
    assert causes(healthy(stops=[killed(revision=OLD)]))[0].name is Name.OUT_OF_MEMORY
