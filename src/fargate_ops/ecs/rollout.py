"""Watch one deployment of an ECS service, and only that one, to its end.

An ECS service can become stable again by rolling back, so "the service is stable" is not success. The wait is pinned
to the deployment that our own UpdateService call started: it succeeds when *this* deployment is PRIMARY and COMPLETED
and no task of another deployment is left. Rollout states:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html

For seconds after UpdateService, DescribeServices may return the state before it, even after it has returned the new
deployment once: https://github.com/kayac/ecspresso/pull/28, https://github.com/CityOfBoston/digital/pull/256.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol

from fargate_ops.aws.pace import JITTER, POLL_SECONDS, jittered
from fargate_ops.aws.retry import TransientErrors
from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError
from fargate_ops.ecs.tasks import short
from fargate_ops.ecs.traffic import target_health

Say = Callable[[str], None]

#: Print a progress line at least this often, in seconds, even if nothing changes.
PROGRESS_SECONDS = 10.0
#: Seconds between two inspections of the tasks: ECS's own count of failures restarts with each healthy task.
COUNT_FAILURES_SECONDS = 5.0
#: The order in which target states are printed; others follow by name.
TARGET_STATES = ("healthy", "initial", "unhealthy", "draining")
#: A poll takes longer the more tasks there are (0.2 s of CPU at 5,000): rest twice as long, within a limit.
REST_FACTOR = 2.0
LONGEST_REST_SECONDS = 2.0
#: For so many seconds after an update, ECS may not list the deployment that it started.
UNLISTED_SECONDS = 60.0


class ServiceError(OperationsError):
    """The service does not exist, or it is not in a state for a release."""

    kind = Kind.REFUSED


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment of a service, as DescribeServices returns it."""

    id: str
    status: str
    revision: str
    desired: int
    pending: int
    running: int
    failed: int
    rollout_state: str
    reason: str
    created: datetime | None = None

    @property
    def revision_name(self) -> str:
        return short(self.revision)

    @property
    def tasks(self) -> int:
        return self.pending + self.running


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The service and the states of its targets at one time."""

    service: Mapping[str, Any]
    targets: Mapping[str, int]

    @property
    def deployments(self) -> list[Deployment]:
        return [
            Deployment(
                id=item["id"],
                status=item["status"],
                revision=item["taskDefinition"],
                desired=item.get("desiredCount", 0),
                pending=item.get("pendingCount", 0),
                running=item.get("runningCount", 0),
                failed=item.get("failedTasks", 0),
                rollout_state=item.get("rolloutState", "IN_PROGRESS"),
                reason=item.get("rolloutStateReason", ""),
                created=item.get("createdAt"),
            )
            for item in self.service["deployments"]
        ]

    @property
    def primary(self) -> Deployment:
        """Return the PRIMARY deployment.

        Raises:
            ServiceError: there is none.
        """
        for deployment in self.deployments:
            if deployment.status == "PRIMARY":
                return deployment
        raise ServiceError(f"the service {self.service['serviceName']} has no PRIMARY deployment")

    def tasks_beside(self, deployment_id: str) -> int:
        """Return the number of running and starting tasks of other deployments."""
        return sum(item.tasks for item in self.deployments if item.id != deployment_id)

    def deployment(self, deployment_id: str) -> Deployment | None:
        return next((item for item in self.deployments if item.id == deployment_id), None)


class Verdict(Enum):
    WAIT = auto()
    COMPLETED = auto()
    FAILED = auto()
    REPLACED = auto()
    FLAPPING = auto()
    CANNOT_START = auto()
    #: A check of one of its stages failed.
    REJECTED = auto()
    #: It goes on, and this run does not wait for its end.
    LEFT = auto()
    TIMED_OUT = auto()


@dataclass(frozen=True)
class Judgement:
    """The state of a deployment, and the reason that ECS gives. ``known``: no evidence names the cause better."""

    verdict: Verdict
    reason: str = ""
    known: bool = False


@dataclass(frozen=True)
class Failures:
    """Tasks that failed since a wait began. ``cannot_start`` is why no further task can start; empty while one may."""

    count: int = 0
    cannot_start: str = ""


def judge(snapshot: Snapshot, deployment_id: str) -> Judgement:
    """Return the state of one deployment in a snapshot."""
    ours = snapshot.deployment(deployment_id)
    primary = snapshot.primary
    if ours is not None and ours.rollout_state == "FAILED":
        return Judgement(Verdict.FAILED, ours.reason or "ECS gave the deployment up")
    if ours is None or ours.status != "PRIMARY":
        return Judgement(
            Verdict.REPLACED,
            f"another deployment ({primary.id}, {primary.revision_name}) took the place of {deployment_id}",
        )
    if ours.rollout_state == "COMPLETED" and snapshot.tasks_beside(deployment_id) == 0:
        return Judgement(Verdict.COMPLETED, ours.reason)
    return Judgement(Verdict.WAIT)


class Stages(Protocol):
    """Follows a deployment by the stages of its strategy, beside its tasks."""

    def judge(self, snapshot: Snapshot, judgement: Judgement) -> Judgement:
        """Return the judgement of a look, given that of the tasks."""

    def line(self, snapshot: Snapshot) -> str:
        """Return one line about the stage of the last look; empty if there is nothing to say."""


class _Rolling:
    """The only stage of a rolling deployment."""

    def judge(self, _: Snapshot, judgement: Judgement) -> Judgement:
        return judgement

    def line(self, _: Snapshot) -> str:
        return ""


def flapping(failures: int) -> Judgement:
    """Return the judgement that too many tasks failed while ECS keeps replacing them."""
    return Judgement(Verdict.FLAPPING, f"{failures} of its tasks failed, some after they were healthy")


def flapping_limit(desired: int) -> int:
    """Return how many failed tasks fail a deployment although ECS goes on: two above the circuit breaker's threshold.

    That threshold is half of the desired tasks, at least 3, at most 200. The circuit breaker restarts its count
    whenever a task becomes healthy, so tasks that become healthy and then fail never trip it.
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
    """
    return min(200, max(3, (desired + 1) // 2)) + 2


def progress(snapshot: Snapshot, deployment_id: str) -> str:
    """Return one line with the tasks of the new and the old definitions and the targets' health."""
    ours = snapshot.deployment(deployment_id)
    others = [item for item in snapshot.deployments if item.id != deployment_id]
    parts = [f"new {_tasks([ours] if ours else [])}", f"old {_tasks(others)}"]
    if snapshot.targets:
        parts.append("targets " + ", ".join(f"{count} {state}" for state, count in _in_order(snapshot.targets)))
    if ours and ours.failed:
        parts.append(f"{ours.failed} failed")
    return " · ".join(parts)


def _tasks(deployments: Sequence[Deployment]) -> str:
    pending = sum(item.pending for item in deployments)
    running = sum(item.running for item in deployments)
    return f"{pending} pending, {running} running"


def _in_order(targets: Mapping[str, int]) -> list[tuple[str, int]]:
    def order(state: str) -> tuple[int, str]:
        return (TARGET_STATES.index(state) if state in TARGET_STATES else len(TARGET_STATES), state)

    return [(state, targets[state]) for state in sorted(targets, key=order) if targets[state]]


def describe_service(ecs: Any, cluster: str, service: str) -> Mapping[str, Any]:
    """Return the service now.

    Raises:
        ServiceError: it is missing or being deleted.
    """
    services = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not services or services[0]["status"] != "ACTIVE":
        state = services[0]["status"].lower() if services else "missing"
        raise ServiceError(f"the service {service} in the cluster {cluster} is {state}")
    found: Mapping[str, Any] = services[0]
    return found


def count_targets(health: Mapping[str, Any]) -> Mapping[str, int]:
    """Return how many targets are in each state, from the answer of DescribeTargetHealth."""
    return Counter(item["TargetHealth"]["State"] for item in health["TargetHealthDescriptions"])


class Watch:
    """Polls a service and prints what changes. ``jitter``, ``clock`` and ``sleep`` are there for tests."""

    def __init__(
        self,
        ecs: Any,
        elbv2: Any,
        *,
        cluster: str,
        service: str,
        target_groups: Sequence[str],
        say: Say,
        poll_seconds: float = POLL_SECONDS,
        jitter: float = JITTER,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ecs = ecs
        self._elbv2 = elbv2
        self._cluster = cluster
        self._service = service
        self._target_groups = target_groups
        self._say = say
        self._poll_seconds, self._jitter = poll_seconds, jitter
        self._clock = clock
        self._sleep = sleep

    def snapshot(self) -> Snapshot:
        """Return the service and its targets now: a call, and one for each target group, however many tasks there are.

        Raises:
            ServiceError: the service is missing or being deleted.
        """
        service = describe_service(self._ecs, self._cluster, self._service)
        health = target_health(self._elbv2, self._target_groups)
        return Snapshot(service=service, targets=count_targets(health))

    def until_done(
        self,
        deployment_id: str,
        limit_seconds: float,
        failures: Callable[[], Failures] = Failures,
        *,
        since: datetime | None = None,
        rolled_back: Callable[[], str] = str,
        stages: Stages | None = None,
    ) -> tuple[Judgement, Snapshot]:
        """Wait for one deployment, which began at ``since``, to end.

        ``failures`` returns those of its tasks since it began. It is called when ECS counts one more, and every
        ``COUNT_FAILURES_SECONDS``. ``rolled_back`` returns why ECS rolled the deployment back. It is called when ECS
        does not list the deployment: either it is gone, or it is not listed yet, for up to ``UNLISTED_SECONDS``.
        ``stages`` has the last word on every look.
        """
        stages = stages or _Rolling()
        failed = 0
        counted_at = started = self._clock()
        listed = said = False

        def unlisted(snapshot: Snapshot, judgement: Judgement) -> Judgement:
            nonlocal said
            if reason := rolled_back():
                return Judgement(Verdict.FAILED, reason)
            # A snapshot with a later deployment is newer than the update. Without times, so is every snapshot after the
            # first that listed ours.
            later = any(item.created > since for item in snapshot.deployments if item.created) if since else listed
            if later or self._clock() - started >= UNLISTED_SECONDS:
                return judgement
            if not said:
                said = True
                self._say(f"  ECS does not list {deployment_id} yet: looking again, for {UNLISTED_SECONDS:.0f} s")
            return Judgement(Verdict.WAIT)

        def look(snapshot: Snapshot) -> Judgement:
            nonlocal failed, counted_at, listed
            judgement = judge(snapshot, deployment_id)
            ours = snapshot.deployment(deployment_id)
            listed = listed or ours is not None
            if ours is None:
                judgement = unlisted(snapshot, judgement)
            known = ours.failed if ours else failed
            if known > failed or (self._clock() - counted_at >= COUNT_FAILURES_SECONDS):
                counted_at = self._clock()
                seen, desired = failures(), snapshot.service["desiredCount"]
                if judgement.verdict is Verdict.WAIT and seen.cannot_start:
                    judgement = Judgement(Verdict.CANNOT_START, f"no task can start: {seen.cannot_start}")
                elif judgement.verdict is Verdict.WAIT and seen.count >= flapping_limit(desired):
                    judgement = flapping(seen.count)
            failed = known
            return stages.judge(snapshot, judgement)

        def line(snapshot: Snapshot) -> str:
            return " · ".join(filter(None, (stages.line(snapshot), progress(snapshot, deployment_id))))

        return self._follow(look, line, limit_seconds)

    def until_stable(
        self,
        limit_seconds: float,
        other_than: str | None = None,
        failures: Callable[[Deployment], Failures] = lambda _: Failures(),
    ) -> tuple[Judgement, Snapshot]:
        """Wait until PRIMARY, which must not be the deployment ``other_than``, is no longer in progress.

        ``failures`` returns those of PRIMARY's tasks since the wait began, every ``COUNT_FAILURES_SECONDS``.
        """
        counted_at = self._clock()

        def look(snapshot: Snapshot) -> Judgement:
            nonlocal counted_at
            primary = snapshot.primary
            if primary.id == other_than or primary.rollout_state == "IN_PROGRESS":
                if self._clock() - counted_at >= COUNT_FAILURES_SECONDS:
                    counted_at = self._clock()
                    if cannot_start := failures(primary).cannot_start:
                        return Judgement(Verdict.CANNOT_START, f"no task can start: {cannot_start}")
                return Judgement(Verdict.WAIT)
            if primary.rollout_state == "COMPLETED" and snapshot.tasks_beside(primary.id):
                return Judgement(Verdict.WAIT)
            verdict = Verdict.COMPLETED if primary.rollout_state == "COMPLETED" else Verdict.FAILED
            return Judgement(verdict, primary.reason)

        return self._follow(look, lambda snapshot: progress(snapshot, snapshot.primary.id), limit_seconds)

    def _follow(
        self, look: Callable[[Snapshot], Judgement], line_of: Callable[[Snapshot], str], limit_seconds: float
    ) -> tuple[Judgement, Snapshot]:
        started = self._clock()
        said, said_at = "", started
        errors = TransientErrors(self._say)

        def look_once() -> tuple[Snapshot, Judgement]:
            snapshot = self.snapshot()
            return snapshot, look(snapshot)

        while True:
            looked = self._clock()
            seen = errors.tolerate(look_once)
            now = self._clock()
            longer = min(REST_FACTOR * (now - looked), LONGEST_REST_SECONDS)
            rest = jittered(max(self._poll_seconds, longer), self._jitter)
            if seen is None:
                self._sleep(rest)
                continue
            snapshot, judgement = seen
            line = line_of(snapshot)
            # The next poll would come too late for a progress line.
            if line != said or now - said_at + rest > PROGRESS_SECONDS:
                self._say(f"  {now - started:5.1f} s  {line}")
                said, said_at = line, now
            if judgement.verdict is not Verdict.WAIT:
                return judgement, snapshot
            left = started + limit_seconds - now
            if left <= 0:
                return Judgement(Verdict.TIMED_OUT, f"not done within {limit_seconds:.0f} s"), snapshot
            self._sleep(min(rest, left))
