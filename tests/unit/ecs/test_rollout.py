"""Watching one deployment: success, failure, and the progress that is printed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.aws.retry import FAILURES_IN_A_ROW
from fargate_ops.ecs.rollout import (
    Deployment,
    Failures,
    Judgement,
    ServiceError,
    Snapshot,
    Verdict,
    Watch,
    flapping_limit,
    judge,
    progress,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def deployment(name: str, state: str = "IN_PROGRESS", status: str = "ACTIVE", **counts: Any) -> dict[str, Any]:
    return {
        "id": name,
        "status": status,
        "taskDefinition": f"arn:aws:ecs:eu-central-1:123456789012:task-definition/app:{name}",
        "rolloutState": state,
        "rolloutStateReason": counts.pop("reason", ""),
        **counts,
    }


def snapshot(*deployments: dict[str, Any], targets: dict[str, int] | None = None) -> Snapshot:
    service = {"serviceName": "app", "status": "ACTIVE", "deployments": list(deployments)}
    return Snapshot(service=service, targets=targets or {})


@pytest.mark.parametrize(
    ("deployments", "verdict"),
    [
        ([deployment("2", "COMPLETED", "PRIMARY", runningCount=2)], Verdict.COMPLETED),
        ([deployment("2", "IN_PROGRESS", "PRIMARY", runningCount=2)], Verdict.WAIT),
        # Completed, but the old version still runs.
        ([deployment("2", "COMPLETED", "PRIMARY"), deployment("1", "COMPLETED", runningCount=1)], Verdict.WAIT),
        ([deployment("2", "COMPLETED", "PRIMARY"), deployment("1", "COMPLETED", pendingCount=1)], Verdict.WAIT),
        (
            [deployment("2", "COMPLETED", "PRIMARY"), deployment("1", "COMPLETED", pendingCount=1, runningCount=1)],
            Verdict.WAIT,
        ),
        ([deployment("2", "COMPLETED", "PRIMARY"), deployment("1", "FAILED")], Verdict.COMPLETED),
        # The circuit breaker: the service is stable again, but the deployment failed.
        ([deployment("3", "COMPLETED", "PRIMARY"), deployment("2", "FAILED")], Verdict.FAILED),
        ([deployment("2", "FAILED", "PRIMARY")], Verdict.FAILED),
        ([deployment("3", "COMPLETED", "PRIMARY")], Verdict.REPLACED),
        ([deployment("3", "IN_PROGRESS", "PRIMARY"), deployment("2", "IN_PROGRESS")], Verdict.REPLACED),
    ],
)
def test_only_our_own_deployment_succeeds(deployments: list[dict[str, Any]], verdict: Verdict) -> None:
    assert judge(snapshot(*deployments), "2").verdict is verdict


@pytest.mark.parametrize(
    ("deployments", "judgement"),
    [
        ([deployment("2", "COMPLETED", "PRIMARY", reason="all well")], Judgement(Verdict.COMPLETED, "all well")),
        (
            [deployment("2", "FAILED", "PRIMARY", reason="circuit breaker")],
            Judgement(Verdict.FAILED, "circuit breaker"),
        ),
        ([deployment("2", "FAILED", "PRIMARY")], Judgement(Verdict.FAILED, "ECS gave the deployment up")),
        (
            [deployment("3", "IN_PROGRESS", "PRIMARY")],
            Judgement(Verdict.REPLACED, "another deployment (3, app:3) took the place of 2"),
        ),
    ],
)
def test_a_judgement_gives_the_reason_of_ecs_or_another(
    deployments: list[dict[str, Any]], judgement: Judgement
) -> None:
    assert judge(snapshot(*deployments), "2") == judgement


def test_a_deployment_is_as_ecs_describes_it() -> None:
    counts = {"desiredCount": 9, "pendingCount": 2, "runningCount": 4, "failedTasks": 3}
    (seen,) = snapshot(deployment("2", "FAILED", reason="circuit breaker", createdAt=AT, **counts)).deployments
    assert seen == Deployment(
        id="2",
        status="ACTIVE",
        revision="arn:aws:ecs:eu-central-1:123456789012:task-definition/app:2",
        desired=9,
        pending=2,
        running=4,
        failed=3,
        rollout_state="FAILED",
        reason="circuit breaker",
        created=AT,
    )
    assert (seen.revision_name, seen.tasks) == ("app:2", 6)


def test_counts_and_a_state_that_ecs_leaves_out_mean_a_deployment_that_has_only_begun() -> None:
    service = {"deployments": [{"id": "2", "status": "PRIMARY", "taskDefinition": "arn:task-definition/app:2"}]}
    (seen,) = Snapshot(service=service, targets={}).deployments
    assert (seen.desired, seen.pending, seen.running, seen.failed) == (0, 0, 0, 0)
    assert (seen.rollout_state, seen.reason, seen.created) == ("IN_PROGRESS", "", None)


def test_a_service_without_primary_is_an_error() -> None:
    with pytest.raises(ServiceError, match="no PRIMARY"):
        judge(snapshot(deployment("1")), "1")


def test_progress_is_one_line() -> None:
    seen = snapshot(
        deployment("2", "IN_PROGRESS", "PRIMARY", pendingCount=1, runningCount=1, failedTasks=2),
        deployment("1", "COMPLETED", runningCount=2),
        targets={"draining": 1, "healthy": 2, "unused": 1, "initial": 1, "unhealthy": 0},
    )
    assert progress(seen, "2") == (
        "new 1 pending, 1 running · old 0 pending, 2 running · "
        "targets 2 healthy, 1 initial, 1 draining, 1 unused · 2 failed"
    )
    assert progress(seen, "gone").startswith("new 0 pending, 0 running · old 1 pending, 3 running")


class Script:
    """ECS and a load balancer that return one service after the other, and repeat the last."""

    def __init__(
        self,
        *services: list[dict[str, Any]] | str | Exception,
        desired: int = 2,
        targets: Sequence[str] = (),
    ) -> None:
        self.services = list(services)
        self.desired = desired
        self.targets = targets

    def describe_services(self, *, cluster: str, services: list[str]) -> dict[str, Any]:
        assert (cluster, services) == ("c", ["app"])
        now = self.services.pop(0) if len(self.services) > 1 else self.services[0]
        if isinstance(now, Exception):
            raise now
        if isinstance(now, str):
            return {"services": [{"status": now, "deployments": []}] if now else []}
        service = {"serviceName": "app", "status": "ACTIVE", "desiredCount": self.desired, "deployments": now}
        return {"services": [service]}

    def describe_target_health(self, *, TargetGroupArn: str) -> dict[str, Any]:
        assert TargetGroupArn == "tg"
        return {"TargetHealthDescriptions": [{"TargetHealth": {"State": state}} for state in self.targets]}


class Clock:
    """A clock that only sleeping advances, and that did not begin with the wait."""

    BEGAN = 1000.0

    def __init__(self) -> None:
        self.now = self.BEGAN

    @property
    def passed(self) -> float:
        return self.now - self.BEGAN

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def watch(script: Script, said: list[str], clock: Clock | None = None) -> Watch:
    clock = clock or Clock()
    return Watch(
        script,
        script,
        cluster="c",
        service="app",
        target_groups=["tg"],
        say=said.append,
        poll_seconds=1,
        jitter=0,
        clock=clock,
        sleep=clock.sleep,
    )


def test_a_line_for_each_change_and_a_sign_of_life() -> None:
    quiet = [deployment("2", "IN_PROGRESS", "PRIMARY", pendingCount=2)]
    done = [deployment("2", "COMPLETED", "PRIMARY", runningCount=2)]
    said: list[str] = []
    judgement, _ = watch(Script(*[quiet] * 25, done), said).until_done("2", limit_seconds=100)
    assert judgement.verdict is Verdict.COMPLETED
    assert [line.split()[0] for line in said] == ["0.0", "10.0", "20.0", "25.0"]
    assert said[0] == "    0.0 s  new 2 pending, 0 running · old 0 pending, 0 running"


@pytest.mark.parametrize(("look_seconds", "rest_seconds"), [(0.1, 0.4), (0.5, 1.0), (30.0, 2.0)])
def test_the_longer_a_look_takes_the_longer_the_rest(look_seconds: float, rest_seconds: float) -> None:
    clock, rests = Clock(), []

    class Slow(Script):
        def describe_services(self, **request: Any) -> dict[str, Any]:
            clock.now += look_seconds
            return super().describe_services(**request)

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        clock.sleep(seconds)

    script = Slow([deployment("2", "IN_PROGRESS", "PRIMARY")], [deployment("2", "COMPLETED", "PRIMARY")])
    names = {"cluster": "c", "service": "app", "target_groups": ["tg"]}
    Watch(script, script, **names, say=lambda _: None, poll_seconds=0.4, jitter=0, clock=clock, sleep=sleep).until_done(
        "2", 100
    )
    assert rests == [pytest.approx(rest_seconds)]


def test_rests_differ_and_a_slow_pace_keeps_the_signs_of_life_and_the_limit() -> None:
    clock, rests, said = Clock(), list[float](), list[str]()

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        clock.sleep(seconds)

    script = Script([deployment("2", "IN_PROGRESS", "PRIMARY", pendingCount=2)])
    names = {"cluster": "c", "service": "app", "target_groups": ["tg"]}
    watching = Watch(script, script, **names, say=said.append, poll_seconds=4, clock=clock, sleep=sleep)
    judgement, _ = watching.until_done("2", 200)
    assert judgement.verdict is Verdict.TIMED_OUT
    assert clock.passed == pytest.approx(200)
    assert len(set(rests)) == len(rests)
    assert all(3 <= rest <= 5 for rest in rests[:-1])
    signs = [float(line.split()[0]) for line in said]
    assert max(later - earlier for earlier, later in pairwise([*signs, 200])) <= 10.1  # a line has one decimal


def test_failed_tasks_are_counted_as_they_come_and_every_few_seconds() -> None:
    def seen(failed: int, state: str = "IN_PROGRESS") -> list[dict[str, Any]]:
        return [deployment("2", state, "PRIMARY", failedTasks=failed)]

    calls, clock = list[float](), Clock()
    script = Script(seen(0), seen(1), seen(1), *[seen(3)] * 11, seen(3, "FAILED"))

    def look() -> Failures:
        calls.append(clock.passed)
        return Failures()

    judgement, _ = watch(script, [], clock).until_done("2", 100, look)
    assert judgement.verdict is Verdict.FAILED
    assert calls == [1, 3, 8, 13]


def test_failed_tasks_of_a_stable_service_are_counted_every_few_seconds() -> None:
    calls, clock = list[tuple[float, str]](), Clock()
    going, done = ([deployment("2", state, "PRIMARY")] for state in ("IN_PROGRESS", "COMPLETED"))

    def look(primary: Deployment) -> Failures:
        calls.append((clock.passed, primary.id))
        return Failures(99)

    judgement, _ = watch(Script(*[going] * 13, done), [], clock).until_stable(100, failures=look)
    assert judgement.verdict is Verdict.COMPLETED
    assert calls == [(5, "2"), (10, "2")]


def test_more_failed_tasks_than_the_circuit_breaker_takes_are_a_failure() -> None:
    """ECS's own count restarts with each healthy task, so ours is used."""
    counts = iter([1, 5, 6, 7])
    script = Script([deployment("2", "IN_PROGRESS", "PRIMARY")], desired=10)
    judgement, _ = watch(script, []).until_done("2", 100, lambda: Failures(next(counts)))
    assert judgement == Judgement(Verdict.FLAPPING, "7 of its tasks failed, some after they were healthy")
    assert [flapping_limit(desired) for desired in (0, 2, 10, 1000)] == [5, 5, 7, 202]


@pytest.mark.parametrize("failures", [Failures(99), Failures(99, "the secret is gone")])
def test_a_deployment_that_came_to_its_end_did_so_whatever_failed_on_the_way(failures: Failures) -> None:
    script = Script([deployment("2", "COMPLETED", "PRIMARY", runningCount=2, failedTasks=9)])
    judgement, _ = watch(script, []).until_done("2", 100, lambda: failures)
    assert judgement.verdict is Verdict.COMPLETED


@pytest.mark.parametrize(("limit", "said_at"), [(5, [0]), (25, [0, 10, 20])])
def test_the_wait_is_bounded_from_its_beginning_however_often_something_is_said(
    limit: int, said_at: list[float]
) -> None:
    said, clock = list[str](), Clock()
    going, done = ([deployment("2", state, "PRIMARY")] for state in ("IN_PROGRESS", "COMPLETED"))
    judgement, _ = watch(Script(*[going] * 60, done), said, clock).until_done("2", limit)
    assert judgement == Judgement(Verdict.TIMED_OUT, f"not done within {limit} s")
    assert clock.passed == limit
    assert [float(line.split()[0]) for line in said] == said_at


THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "DescribeServices")
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeServices")


def test_looks_that_fail_for_a_moment_fail_no_release() -> None:
    going = [deployment("2", "IN_PROGRESS", "PRIMARY")]
    done = [deployment("2", "COMPLETED", "PRIMARY", runningCount=2)]
    said: list[str] = []
    script = Script(*[THROTTLED] * FAILURES_IN_A_ROW, going, *[THROTTLED] * FAILURES_IN_A_ROW, done)
    judgement, _ = watch(script, said).until_done("2", 100)
    assert judgement.verdict is Verdict.COMPLETED
    assert any("Rate exceeded" in line and f"5 of {FAILURES_IN_A_ROW}" in line for line in said)


def test_failed_tasks_are_told_later_when_they_cannot_be_told_now() -> None:
    answers = iter([THROTTLED, None])

    def tell() -> Failures:
        if error := next(answers):
            raise error
        return Failures(1)

    seen = [deployment("2", "IN_PROGRESS", "PRIMARY", failedTasks=1)]
    judgement, _ = watch(Script(seen, seen, [deployment("2", "FAILED", "PRIMARY", failedTasks=1)]), []).until_done(
        "2", 100, tell
    )
    assert judgement.verdict is Verdict.FAILED
    assert next(answers, "asked twice") == "asked twice"


@pytest.mark.parametrize(("error", "looks"), [(THROTTLED, FAILURES_IN_A_ROW + 1), (DENIED, 1)])
def test_looks_that_go_on_failing_end_the_wait(error: ClientError, looks: int) -> None:
    script = Script(*[error] * looks, "never asked")
    with pytest.raises(ClientError, match=error.response["Error"]["Code"]):
        watch(script, []).until_done("2", 100)
    assert script.services == ["never asked"]


@pytest.mark.parametrize(
    ("since", "stale_looks"),
    [(AT, [0, 1, 2, 3, 4, 5]), (AT, [2, 4]), (None, [0, 1])],
    ids=["at first", "now and then", "without a time"],
)
def test_a_deployment_that_is_not_listed_yet_is_waited_for(since: datetime | None, stale_looks: list[int]) -> None:
    before = [deployment("1", "COMPLETED", "PRIMARY", runningCount=2, createdAt=AT - timedelta(days=1))]
    going = [deployment("2", "IN_PROGRESS", "PRIMARY", createdAt=AT)]
    done = [deployment("2", "COMPLETED", "PRIMARY", runningCount=2, createdAt=AT)]
    looks = [before if number in stale_looks else going for number in range(6)]
    said: list[str] = []
    judgement, _ = watch(Script(*looks, done), said).until_done("2", 100, since=since)
    assert judgement.verdict is Verdict.COMPLETED
    assert sum("does not list 2 yet" in line for line in said) == 1


@pytest.mark.parametrize("age", [timedelta(days=1), timedelta()])
def test_what_is_not_listed_for_a_minute_was_replaced(age: timedelta) -> None:
    before = [deployment("1", "COMPLETED", "PRIMARY", runningCount=2, createdAt=AT - age)]
    clock = Clock()
    judgement, _ = watch(Script(before), [], clock).until_done("2", 900, since=AT)
    assert judgement.verdict is Verdict.REPLACED
    assert clock.passed == 60


@pytest.mark.parametrize(
    ("since", "looks"),
    [
        (AT, [[deployment("3", "IN_PROGRESS", "PRIMARY", createdAt=AT + timedelta(seconds=1))]]),
        (None, [[deployment("2", "IN_PROGRESS", "PRIMARY")], [deployment("3", "IN_PROGRESS", "PRIMARY")]]),
    ],
    ids=["a later one is listed", "it was listed before"],
)
def test_a_deployment_that_was_replaced_is_not_waited_for(since: datetime | None, looks: Any) -> None:
    script = Script(*looks, "never asked")
    judgement, _ = watch(script, []).until_done("2", 900, since=since)
    assert judgement.verdict is Verdict.REPLACED
    assert script.services == ["never asked"]


def test_a_rollback_that_is_over_between_two_looks_is_told_at_once() -> None:
    back = [deployment("1", "COMPLETED", "PRIMARY", runningCount=2, createdAt=AT - timedelta(days=1))]
    judgement, _ = watch(Script(back), []).until_done("2", 900, since=AT, rolled_back=lambda: "circuit breaker")
    assert judgement == Judgement(Verdict.FAILED, "circuit breaker")


def test_quiet_is_when_another_primary_serves_alone() -> None:
    ours = deployment("2", "IN_PROGRESS", "PRIMARY")
    back = deployment("3", "IN_PROGRESS", "PRIMARY")
    draining = [deployment("3", "COMPLETED", "PRIMARY", runningCount=2), deployment("2", "FAILED", runningCount=1)]
    alone = [deployment("3", "COMPLETED", "PRIMARY", runningCount=2), deployment("2", "FAILED")]
    script, said = Script([ours], [back], draining, alone), list[str]()
    judgement, seen = watch(script, said).until_stable(100, other_than="2")
    assert judgement.verdict is Verdict.COMPLETED
    assert (seen.primary.revision_name, seen.tasks_beside("3")) == ("app:3", 0)
    assert said[-2:] == [
        "    2.0 s  new 0 pending, 2 running · old 0 pending, 1 running",
        "    3.0 s  new 0 pending, 2 running · old 0 pending, 0 running",
    ]
    failed = Script([deployment("2", "FAILED", "PRIMARY", reason="no")])
    assert watch(failed, []).until_stable(100)[0] == Judgement(Verdict.FAILED, "no")


def test_a_wait_for_tasks_that_cannot_start_ends_at_once() -> None:
    script = Script([deployment("2", "IN_PROGRESS", "PRIMARY")])
    cannot_start = Judgement(Verdict.CANNOT_START, "no task can start: the secret is gone")
    assert watch(script, []).until_done("2", 100, lambda: Failures(2, "the secret is gone"))[0] == cannot_start
    assert watch(script, []).until_stable(100, failures=lambda _: Failures(2, "the secret is gone"))[0] == cannot_start


@pytest.mark.parametrize(("status", "said"), [("", "missing"), ("DRAINING", "draining")])
def test_a_service_that_is_not_there_is_said(status: str, said: str) -> None:
    with pytest.raises(ServiceError, match=f"the service app in the cluster c is {said}"):
        watch(Script(status), []).snapshot()


def test_a_snapshot_counts_the_targets_by_state() -> None:
    script = Script([deployment("2", status="PRIMARY")], targets=["healthy", "draining", "healthy"])
    assert watch(script, []).snapshot().targets == {"healthy": 2, "draining": 1}
