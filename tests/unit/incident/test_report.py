"""The answer: the cause first, what else was seen, what was looked at and what was not."""

from __future__ import annotations

from collections.abc import Callable

from fargate_ops.incident.causes import causes
from fargate_ops.incident.report import outcome, result, text
from fargate_ops.incident.signals import Change, Signals, Source
from tests.unit.incident.conftest import ago, alarm, killed

Healthy = Callable[..., Signals]


def test_a_cause_with_all_that_belongs_to_it(healthy: Healthy) -> None:
    seen = healthy(
        stops=[killed()],
        undelivered=1,
        alarms=[alarm("tasks-missing", 24 * 3600)],
        changes=[Change(at=ago(90), call="UpdateService", by="ann")],
        unread={Source.CPU: "AccessDenied: no"},
    )
    assert text(seen, causes(seen)).splitlines() == [
        "staging: the cause: out of memory",
        "    08:59:00  1 task of shop-staging:1: exit code 137; Essential container in task exited; OutOfMemoryError: "
        "Container killed due to memory usage",
        "    next     make logs ENV=staging",
        "    runbook  docs/runbooks/incident.md#out-of-memory",
        "  also seen  bots undelivered",
        "    09:00:00  1 message waits in the queue shop-staging-undelivered",
        "    next     make test-page ENV=staging",
        "    runbook  docs/monitoring.md#undelivered",
        "  in ALARM   shop-staging-tasks-missing since 2026-01-30 09:00:00",
        "  changed    08:58:30  UpdateService by ann",
        f"  looked at  {', '.join(Source)}; the last 5 min",
        "  ! not read: the tasks' CPU: AccessDenied: no",
    ]
    ended = outcome(seen, causes(seen))
    assert (ended.what, ended.next) == ("the cause: out of memory", "make logs ENV=staging")
    assert ended.cause.startswith("1 task of shop-staging:1: exit code 137")
    assert ended.facts["also seen"] == "bots undelivered"
    assert ended.facts["not read"] == "the tasks' CPU"
    found = result(seen, causes(seen))
    assert (found["cause"], found["also_seen"]) == ("out of memory", ["bots undelivered"])
    assert found["not_read"] == {"the tasks' CPU": "AccessDenied: no"}


def test_nothing_found_says_what_was_looked_at(healthy: Healthy) -> None:
    seen = healthy(read=[Source.ALARMS, Source.TASKS])
    ended = outcome(seen, [])
    assert ended.what == "nothing found; looked at: alarms, tasks"
    assert (ended.cause, ended.next, result(seen, [])["cause"]) == ("", "", "")


def test_an_alarm_without_a_known_cause_is_not_passed_over(healthy: Healthy) -> None:
    seen = healthy(alarms=[alarm("database-memory")], read=[Source.ALARMS])
    ended = outcome(seen, causes(seen))
    assert ended.what == "no known cause; in ALARM: shop-staging-database-memory; looked at: alarms"
    assert ended.next == "make status ENV=staging"


def test_before_the_first_deployment(healthy: Healthy) -> None:
    assert outcome(healthy(service=None, is_missing=True), []).what == "nothing was deployed here yet"
