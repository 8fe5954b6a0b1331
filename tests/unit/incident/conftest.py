"""A healthy environment, and what can be seen in it when something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fargate_ops.aws.alarms import Alarm
from fargate_ops.ecs.rollout import Deployment
from fargate_ops.ecs.tasks import Stop
from fargate_ops.incident.signals import Database, Entry, Scope, Service, Signals, Source, Target, Task
from fargate_ops.state.ledger import Event, Kind, Outcome, Release, fold, release_id

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
SCOPE = Scope(
    environment="staging",
    name="shop-staging",
    bucket="state-bucket",
    has_database=True,
    recent=timedelta(minutes=5),
    release=timedelta(minutes=30),
    cloudtrail=True,
)
#: The revision that serves, and the one of a new release.
OLD, NEW = "arn:aws:ecs:x:1:task-definition/shop-staging:1", "arn:aws:ecs:x:1:task-definition/shop-staging:2"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def line(text: str, seconds: float = 60) -> Entry:
    return Entry(at=ago(seconds), text=text)


def stop(reason: str, revision: str = OLD, seconds: float = 60, **changes: Any) -> Stop:
    """Return a task that could not start, unless ``changes`` say otherwise."""
    values: dict[str, Any] = {
        "task_arn": "arn:aws:ecs:x:1:task/shop-staging/1a2b3c",
        "revision": revision,
        "exit_code": None,
        "code": "TaskFailedToStart",
        "reason": reason,
        "container_reason": "",
        "created": ago(seconds + 10),
        "stopped": ago(seconds),
    }
    return Stop(**values | changes)


def killed(seconds: float = 60, **changes: Any) -> Stop:
    """Return a task whose container was killed because of its memory."""
    ended = {"code": "EssentialContainerExited", "exit_code": 137}
    reason = "OutOfMemoryError: Container killed due to memory usage"
    return stop("Essential container in task exited", seconds=seconds, **ended | {"container_reason": reason} | changes)


def deployment(revision: str, state: str = "COMPLETED", status: str = "PRIMARY") -> Deployment:
    return Deployment(
        id=f"ecs-svc/{revision[-1]}",
        status=status,
        revision=revision,
        desired=2,
        pending=0,
        running=2,
        failed=0,
        rollout_state=state,
        reason="tasks failed to start." if state == "FAILED" else "",
    )


def service(*deployments: Deployment, running: int = 2, events: tuple[Entry, ...] = ()) -> Service:
    return Service(desired=2, running=running, deployments=deployments or (deployment(OLD),), events=events)


def task(zone: str, address: str, seconds: float = 3600, revision: str = OLD) -> Task:
    return Task(id=f"task-{address}", revision=revision, zone=zone, address=address, started=ago(seconds))


def target(address: str, state: str = "healthy", reason: str = "") -> Target:
    return Target(address=address, state=state, reason=reason)


def released(*outcomes: Outcome, ended: float, kind: Kind = Kind.RELEASE, why: str = "") -> Release:
    """Return a release of the new revision that began a minute before it ``ended``, in seconds ago."""
    begun = ago(ended + 60)
    events = [
        Event(
            release=release_id("v2", begun),
            outcome=outcome,
            kind=kind,
            service="s",
            version="v2",
            digest="sha256:2",
            revision=NEW,
            by="ann@laptop",
            at=begun if outcome is Outcome.IN_PROGRESS else ago(ended),
            why=why,
        )
        for outcome in (Outcome.IN_PROGRESS, *outcomes)
    ]
    (release,) = fold(events)
    return release


def alarm(name: str, seconds: float = 60, state: str = "ALARM") -> Alarm:
    description = f"It is bad.\nRunbook: docs/monitoring.md#{name}\nNext: make incident ENV=staging"
    return Alarm(name=f"shop-staging-{name}", state=state, since=ago(seconds), description=description)


@pytest.fixture
def healthy() -> Callable[..., Signals]:
    """Return the signals of a service with two healthy tasks in two zones, with these changes."""

    def signals(**changes: Any) -> Signals:
        seen = Signals(
            scope=SCOPE,
            now=NOW,
            service=service(),
            tasks=[task("a", "10.0.0.1"), task("c", "10.0.0.2")],
            targets=[target("10.0.0.1"), target("10.0.0.2")],
            alarms=[alarm("errors-5xx", 9000, "OK")],
            database=Database(identifier="shop-staging", status="available"),
            cpu=[(ago(60 * minute), 20.0) for minute in (5, 4, 3, 2, 1)],
            read=list(Source),
        )
        return replace(seen, **changes)

    return signals
