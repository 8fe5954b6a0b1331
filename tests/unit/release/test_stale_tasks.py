"""Tasks are replaced if they do not log, are not registered, or have an old secret; a success needs evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fargate_ops.ecs.task_definition import DATABASE_SECRETS
from fargate_ops.release.context import ReleaseError
from fargate_ops.state.ledger import Ledger, Outcome
from tests.unit.release.conftest import CLONE_SECRET, SECRET, client_error, failed, plain
from tests.unit.release.test_release import planned

if TYPE_CHECKING:
    from tests.unit.release.conftest import FakeEcs, World


@pytest.fixture
def serving(world: World) -> World:
    """Return a world with a release and one running task."""
    world.released("aaa")
    world.ecs.start_task("10.0.1.11")
    world.load_balancer.descriptions = [target("10.0.1.11")]
    world.ecs.updates.clear()
    world.ecs.runs.clear()
    return world


def target(address: str) -> dict[str, Any]:
    return {"Target": {"Id": address, "Port": 8000}, "TargetHealth": {"State": "healthy"}}


def task_ids(world: World) -> set[str]:
    return {
        arn.rsplit("/", 1)[-1]
        for arn, task in world.ecs.tasks.items()
        if task.get("group") and task["lastStatus"] == "RUNNING"
    }


def replaced(ecs: FakeEcs) -> None:
    """Complete the deployment: a new task replaces the old one, at the same address."""
    for task in ecs.tasks.values():
        task |= {"lastStatus": "STOPPED", "stopCode": "ServiceSchedulerInitiated"}
        task.setdefault("stoppedReason", "Scaling activity initiated by (deployment 2)")
    ecs.start_task("10.0.1.11")
    ecs.complete()


def again(world: World, version: str = "aaa") -> list[dict[str, Any]]:
    """Release the same once more. Return the updates of the service."""
    before = len(world.ecs.updates)
    releaser = world.releaser(version)
    plan = planned(releaser)
    if plan.needed:
        releaser.begin(plan)
    releaser.prepare(plan)
    if plan.needed:
        world.ecs.rollout = [lambda _: None, replaced]
    releaser.update(plan)
    releaser.succeed(plan)
    return world.ecs.updates[before:]


def test_tasks_that_log_with_current_secrets_are_left_alone(serving: World) -> None:
    assert again(serving) == []
    assert "nothing to release" in serving.text


def silence(world: World) -> None:
    world.logs.silent = task_ids(world)


def change_the_secret(world: World) -> None:
    world.secrets.put[SECRET] = datetime.now(UTC)


def lose_the_target(world: World) -> None:
    world.load_balancer.descriptions = [target("10.0.1.99")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (silence, "/ecs/test has no log stream of the task"),
        (change_the_secret, "and 1 tasks started before that"),
    ],
)
def test_tasks_in_doubt_are_replaced_by_the_same_and_then_left_alone(serving: World, change: Any, said: str) -> None:
    change(serving)
    (update,) = again(serving)
    assert update["forceNewDeployment"]
    assert said in serving.text
    newest = Ledger(serving.s3, "state-bucket", "test").releases()[-1]
    assert (newest.version, newest.outcome) == ("aaa", Outcome.SUCCEEDED)
    assert again(serving) == []


def test_a_target_that_is_seen_late_replaces_nothing(serving: World) -> None:
    looks = iter([*[[target("10.0.1.99")]] * 4])
    describe = serving.load_balancer.describe_target_health

    def late(**_: Any) -> dict[str, Any]:
        return {"TargetHealthDescriptions": targets} if (targets := next(looks, None)) else describe()

    serving.load_balancer.describe_target_health = late  # type: ignore[method-assign]
    assert not planned(serving.releaser("aaa")).needed


def test_an_interrupted_release_whose_target_is_seen_late_has_succeeded(serving: World) -> None:
    releaser = serving.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.service.update(str(plan.revision))
    replaced(serving.ecs)
    lose_the_target(serving)

    def found(seconds: float) -> None:
        serving.load_balancer.descriptions = [target("10.0.1.11")]

    serving.on_sleep = found
    serving.releaser("ccc").settle()
    newest = Ledger(serving.s3, "state-bucket", "test").releases()[-1]
    assert (newest.version, newest.outcome) == ("bbb", Outcome.SUCCEEDED)


def test_a_task_that_is_no_target_is_replaced(serving: World) -> None:
    lose_the_target(serving)
    plan = planned(serving.releaser("aaa"))
    assert plan.force
    assert "no target of" in serving.text


def test_a_changed_database_secret_is_seen_to_by_the_admin_task(serving: World) -> None:
    change_the_secret(serving)
    again(serving)
    (run,) = serving.ecs.runs
    assert run["overrides"]["containerOverrides"][0]["command"][-1] == "prepare"


def test_the_secret_of_the_user_that_does_not_serve_is_nobodys(serving: World) -> None:
    serving.secrets.put[CLONE_SECRET] = datetime.now(UTC)
    assert again(serving) == []


def test_a_version_that_is_named_does_not_change(world: World) -> None:
    releaser = world.releaser()
    pinned = {"OLD": f"{SECRET}:token::0f1e", "FORMER": f"{SECRET}:token:AWSPREVIOUS:"}
    pinned |= {name: f"{SECRET}:{key}:AWSPREVIOUS:" for name, key in DATABASE_SECRETS.items()}
    releaser.settings = replace(releaser.settings, secrets=pinned)
    plan = planned(releaser)
    world.ecs.rollout = [lambda _: None, replaced]
    world.load_balancer.descriptions = [target("10.0.1.11")]
    releaser.update(plan)
    world.secrets.put[SECRET] = datetime.now(UTC) + timedelta(hours=1)
    assert releaser.acceptance.staleness(releaser.service.watch.snapshot().primary) == []


def test_what_may_not_be_asked_says_nothing(serving: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: Any) -> None:
        raise client_error("DescribeLogStreams", "no", "AccessDeniedException")

    monkeypatch.setattr(serving.logs, "describe_log_streams", denied)
    assert again(serving) == []


def test_what_never_logs_is_no_success(serving: World) -> None:
    releaser = serving.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)

    def complete_silently(ecs: FakeEcs) -> None:
        replaced(ecs)
        silence(serving)

    serving.ecs.rollout = [lambda _: None, complete_silently]
    with pytest.raises(ReleaseError, match="did not succeed: /ecs/test has no log stream") as failure:
        releaser.update(plan)
    serving.ecs.rollout = [lambda _: None, replaced]
    assert "(aaa) was put back" in plain(releaser.end(plan, failed(failure.value.reason)).what)
    assert Ledger(serving.s3, "state-bucket", "test").releases()[-1].outcome is Outcome.FAILED


def test_a_stream_that_is_seen_late_is_seen(serving: World) -> None:
    releaser = serving.releaser("bbb")
    plan = planned(releaser)
    looks = 0
    describe = serving.logs.describe_log_streams

    def late(**request: Any) -> dict[str, Any]:
        nonlocal looks
        looks += 1
        return {"logStreams": []} if looks < 4 else describe(**request)

    serving.logs.describe_log_streams = late  # type: ignore[method-assign]
    serving.ecs.rollout = [lambda _: None, replaced]
    assert releaser.update(plan)


def test_a_deployment_in_flight_for_a_secret_that_does_not_log_in_is_not_waited_for(serving: World) -> None:
    change_the_secret(serving)
    serving.ecs.update_service(forceNewDeployment=True)  # as rotation-bot does
    releaser = serving.releaser("aaa")
    plan = planned(releaser)
    assert "waiting for it to end" not in serving.text
    assert (plan.needed, plan.force, plan.resumes) == (True, True, False)
    assert "has a new value" in plan.prepare


def test_a_replacement_that_fails_has_nothing_to_take_out_of_service(serving: World) -> None:
    silence(serving)
    releaser = serving.releaser("aaa")
    plan = planned(releaser)
    releaser.begin(plan)
    steps = (lambda ecs: ecs.fail_task(), lambda ecs: ecs.roll_back(), lambda ecs: ecs.complete())
    serving.ecs.rollout = [lambda _: None, *steps]
    with pytest.raises(ReleaseError, match="circuit breaker"):
        releaser.update(plan)
    assert releaser.end(plan, failed("why")).what == "why"


def test_a_secret_that_changes_during_a_release_does_not_undo_it(serving: World) -> None:
    releaser = serving.releaser("bbb")
    plan = planned(releaser)

    def complete_and_change(ecs: FakeEcs) -> None:
        replaced(ecs)
        change_the_secret(serving)

    serving.ecs.rollout = [lambda _: None, complete_and_change]
    assert releaser.update(plan)
