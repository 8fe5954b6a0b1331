"""Rotations against a small ECS: which user serves afterwards, what a failure leaves, and what the next run does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fargate_ops.core.outcome import Kind
from fargate_ops.ecs.task_definition import admin_definition, canonical
from fargate_ops.release.context import ReleaseError
from fargate_ops.release.rotation import Rotation, RotationPlan, name_of
from fargate_ops.release.verify import Verdict, Verification
from fargate_ops.state.ledger import Ledger, Outcome
from fargate_ops.state.lock import Lock
from fargate_ops.terraform.stack import Stack
from tests.unit.release.conftest import OTHER_SECRET, OUTPUTS, failed

if TYPE_CHECKING:
    from tests.unit.release.conftest import FakeEcs, World

FIRST = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:app-Ab12Cd"
CLONE = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:app-clone-Ab12Cd"


@pytest.fixture
def serving(world: World) -> World:
    """Return a world with a successful release whose password is old."""
    world.released("aaa")
    world.logs.streams["api/api/one-off"] = [json.dumps({"user": "settlement_app_clone", "ended": 0})]
    return world


def rotation(world: World, **context: Any) -> Rotation:
    return Rotation(replace(world.context(**context), retry_command="make rotate-secret ENV=test"))


def complete(ecs: FakeEcs) -> None:
    ecs.complete()


def rotated(world: World, older_than_days: float = 1, rollout: list[Any] | None = None) -> RotationPlan:
    """Run a whole rotation, as the role does. It succeeds unless the rollout is scripted."""
    run = rotation(world)
    plan = run.plan(older_than_days)
    if not plan.needed:
        return plan
    user = run.renew(plan)
    world.secrets.put[plan.secret] = datetime.now(UTC)
    plan = replace(plan, user=user, revision=run.register(plan))
    run.begin(plan)
    world.ecs.rollout = rollout or [lambda _: None, complete]
    try:
        run.update(plan)
    except ReleaseError as error:
        run.fail(plan, error.reason)
        raise
    run.succeed(plan)
    return plan


def secret_in_use(world: World) -> str:
    definition = world.ecs.definitions[world.ecs.primary["taskDefinition"]]
    secrets = {item["name"]: item["valueFrom"] for item in definition["containerDefinitions"][0]["secrets"]}
    user, password = secrets["DATABASE_USER"], secrets["DATABASE_PASSWORD"]
    assert user.removesuffix(":username::") == password.removesuffix(":password::")
    return str(user).removesuffix(":username::")


def outcomes(world: World) -> list[tuple[str, Outcome]]:
    return [(item.version, item.outcome) for item in Ledger(world.s3, "state-bucket", "test").releases()]


def test_the_idle_user_is_renewed_and_then_serves_and_nothing_else_differs(serving: World) -> None:
    before = canonical(serving.ecs.definitions[serving.ecs.primary["taskDefinition"]])
    plan = rotated(serving)
    assert secret_in_use(serving) == CLONE
    command = serving.ecs.runs[-1]["overrides"]["containerOverrides"][0]["command"]
    assert command == ["python", "-m", "shop.admin", "renew", "--secret", CLONE]
    after = canonical(serving.ecs.definitions[plan.revision])
    assert after["containerDefinitions"][0]["secrets"]["OTHER"] == OTHER_SECRET
    assert json.loads(json.dumps(after).replace(CLONE, FIRST)) == before
    assert outcomes(serving) == [("aaa", Outcome.SUCCEEDED), ("aaa", Outcome.SUCCEEDED)]
    assert Ledger(serving.s3, "state-bucket", "test").releases()[-1].why == "test: app -> app-clone"
    assert serving.notified[-1].startswith("test: release of aaa")


def test_the_users_take_turns(serving: World) -> None:
    assert [rotated(serving, 0).secret for _ in range(4)] == [CLONE, FIRST, CLONE, FIRST]


def test_a_young_password_is_left(serving: World) -> None:
    rotated(serving)
    updates, runs, history = len(serving.ecs.updates), len(serving.ecs.runs), outcomes(serving)
    assert not rotated(serving, 1).needed
    assert not rotated(serving, 0.01).needed
    assert (len(serving.ecs.updates), len(serving.ecs.runs), outcomes(serving)) == (updates, runs, history)
    assert "of app-clone, is 0 days old, younger than 1: nothing to rotate" in serving.text
    end = rotation(serving).done(rotated(serving, 1))
    assert end.what == "the password in use is 0 days old, younger than 1: nothing was rotated"
    assert end.next.startswith("make rotate-secret ENV=test ARGS='-e rotate_older_than_days=0'")


def test_the_last_line_says_who_serves_and_how_old_the_former_password_was(serving: World) -> None:
    serving.secrets.put[FIRST] = datetime.now(UTC) - timedelta(days=34.2)
    plan = rotated(serving)
    run = rotation(serving)
    assert run.done(plan, preview=True).what == "the password in use is 34.2 days old, and would be rotated"
    assert run.done(plan).what == (
        "the service uses settlement_app_clone, whose password is 0 days old; the one before it was 34.2 days "
        "old, and works until the next rotation"
    )


@pytest.mark.parametrize(("days", "needed"), [(29.9, False), (30.1, True)])
def test_the_age_is_that_of_the_password_in_use(serving: World, days: float, needed: bool) -> None:
    serving.secrets.put = {FIRST: datetime.now(UTC) - timedelta(days=days), CLONE: datetime.now(UTC)}
    assert rotation(serving).plan(30).needed is needed


def test_a_preview_says_who_would_take_over_and_touches_nothing(serving: World) -> None:
    definitions = len(serving.ecs.definitions)
    assert rotation(serving).plan(0, preview=True).needed
    assert "of app, is" in serving.text
    assert "would rotate to app-clone" in serving.text
    assert (len(serving.ecs.definitions), len(serving.ecs.runs)) == (definitions, 1)  # the release's prepare
    assert len(outcomes(serving)) == 1


def test_later_releases_stay_with_the_user(serving: World) -> None:
    rotated(serving)
    assert not serving.releaser("aaa").plan().needed
    serving.released("bbb")
    assert secret_in_use(serving) == CLONE


def test_a_rollback_undoes_a_rotation_as_any_release_and_it_comes_again(serving: World) -> None:
    plan = rotated(serving)
    serving.rolled_back()
    assert secret_in_use(serving) == FIRST
    assert not serving.releaser("aaa").plan().needed
    again = rotated(serving)
    assert (again.secret, again.revision) == (CLONE, plan.revision), "the revision is there already"


def test_a_move_that_fails_leaves_the_old_user_and_the_next_run_converges(serving: World) -> None:
    old = serving.ecs.primary["taskDefinition"]
    with pytest.raises(ReleaseError) as failure:
        rotated(serving, rollout=[lambda ecs: ecs.fail_task(), lambda ecs: ecs.roll_back(), complete])
    text = str(failure.value)
    assert "The old tasks serve with app, whose password is unchanged and works" in text
    assert "app-clone has a new one, which nobody uses" in text
    assert "make rotate-secret ENV=test" in text
    assert serving.ecs.primary["taskDefinition"] == old
    assert outcomes(serving)[-1] == ("aaa", Outcome.FAILED)

    assert rotated(serving).secret == CLONE, "not to and fro: what serves says whose turn it is"
    assert not rotated(serving).needed


def test_what_came_into_service_and_must_not_is_put_back(serving: World) -> None:
    run = rotation(serving)
    plan = run.plan(0)
    plan = replace(plan, revision=run.register(plan))
    run.begin(plan)
    serving.ecs.rollout = [complete]
    run.update(plan)
    serving.ecs.rollout = [lambda _: None, lambda _: None, complete]
    assert "with app, was put back" in run.fail(plan, "it answers wrongly")
    assert secret_in_use(serving) == FIRST
    assert outcomes(serving)[-1] == ("aaa", Outcome.FAILED)


@pytest.mark.parametrize("said", [['{"error": "AdminError: no"}'], []])
def test_a_password_that_cannot_be_renewed_moves_nothing(serving: World, said: list[str]) -> None:
    serving.ecs.run_exit_code = 1 if said else 0
    serving.logs.streams["api/api/one-off"] = said
    updates = len(serving.ecs.updates)
    with pytest.raises(ReleaseError, match="The service was not touched: it uses app, which works"):
        rotated(serving)
    assert len(serving.ecs.updates) == updates
    assert len(outcomes(serving)) == 1


def test_a_rotation_that_was_interrupted_is_not_made_twice(serving: World) -> None:
    run = rotation(serving)
    plan = run.plan(1)
    plan = replace(plan, revision=run.register(plan))
    serving.secrets.put[CLONE] = datetime.now(UTC)
    run.begin(plan)
    run.service.update(plan.revision)  # and then it was killed
    serving.ecs.rollout = [lambda _: None, lambda _: None, complete]
    assert not rotated(serving).needed
    assert secret_in_use(serving) == CLONE
    assert outcomes(serving)[-1] == ("aaa", Outcome.SUCCEEDED)


def test_a_rotation_that_was_interrupted_and_is_not_seen_to_serve_is_no_success(serving: World) -> None:
    run = rotation(serving)
    plan = run.plan(1)
    plan = replace(plan, revision=run.register(plan))
    run.begin(plan)
    run.service.update(plan.revision)
    serving.ecs.complete()
    serving.verification = Verification(verdict=Verdict.WRONG, reason="HTTP 500")
    with pytest.raises(ReleaseError, match="is not a successful release"):
        rotation(serving).plan(1)
    assert outcomes(serving)[-1] == ("aaa", Outcome.STOPPED)


def test_a_rotation_that_nobody_could_see_is_left_serving(serving: World) -> None:
    run = rotation(serving)
    plan = run.plan(1)
    plan = replace(plan, revision=run.register(plan))
    run.begin(plan)
    serving.ecs.rollout = [lambda _: None, complete]
    run.update(plan)
    end = run.end(plan, failed("aaa is not verified: no answer", unverified=True))
    assert (end.kind, end.cause) == (Kind.UNVERIFIED, "no answer")
    assert end.what.endswith("both passwords work")
    assert end.next == "make release ENV=test, which verifies it"
    assert secret_in_use(serving) == CLONE
    assert outcomes(serving)[-1] == ("aaa", Outcome.UNVERIFIED)
    serving.released("aaa")
    assert outcomes(serving)[-1] == ("aaa", Outcome.SUCCEEDED)


def test_one_interrupted_before_the_move_begins_anew(serving: World) -> None:
    run = rotation(serving)
    plan = run.plan(1)
    run.begin(replace(plan, revision=run.register(plan)))
    assert rotated(serving).needed
    assert [outcome for _, outcome in outcomes(serving)[1:]] == [Outcome.STOPPED, Outcome.SUCCEEDED]


def test_a_flow_that_lost_the_lock_touches_nothing_more(serving: World) -> None:
    run = rotation(serving, holder="me")
    plan = run.plan(0)
    now = datetime.now(UTC)
    values: dict[str, Any] = {"machine": "m", "pid": 1, "owner": "bob@desk", "purpose": "Rollback"}
    serving.lock.swap(Lock(holder="other", started=now, heartbeat=now, **values), None)
    runs, updates = len(serving.ecs.runs), len(serving.ecs.updates)
    with pytest.raises(ReleaseError, match="No password was touched"):
        run.renew(plan)
    with pytest.raises(ReleaseError, match="it uses app, which works"):
        run.update(replace(plan, revision=run.register(plan)))
    assert (len(serving.ecs.runs), len(serving.ecs.updates)) == (runs, updates)


def test_what_cannot_be_rotated_is_refused_with_the_next_command(world: World) -> None:
    run = rotation(world)
    one_user = Rotation(replace(run.c, stack=Stack(OUTPUTS | {"app_database_clone_secret_arn": ""}, "test")))
    with pytest.raises(ReleaseError, match=r"one database user only(.|\n)*Next: make deploy ENV=test"):
        one_user.plan(0)
    with pytest.raises(ReleaseError, match="not a successful release"):
        run.plan(0)
    world.released("aaa")
    world.ecs.definitions[world.ecs.primary["taskDefinition"]]["containerDefinitions"][0]["secrets"] = []
    with pytest.raises(ReleaseError, match="none of the application's two database users"):
        run.plan(0)


def test_without_an_admin_command_nothing_is_rotated(serving: World) -> None:
    serving.application = replace(serving.application, admin_command=[])
    runs, updates = len(serving.ecs.runs), len(serving.ecs.updates)
    with pytest.raises(ReleaseError, match=r"no admin command \(app_admin_command\)(.|\n)*Next: give the image one"):
        rotation(serving).plan(0)
    assert (len(serving.ecs.runs), len(serving.ecs.updates)) == (runs, updates)


def test_a_second_user_without_a_password_is_prepared_by_the_next_deploy(serving: World) -> None:
    assert not serving.releaser("aaa").plan().prepare
    serving.secrets.without = {CLONE}
    assert "no value yet" in serving.releaser("aaa").plan().prepare


def test_the_admin_task_knows_both_secrets_and_an_older_stack_one(serving: World) -> None:
    releaser = serving.releaser("aaa")

    def environment(stack: Stack) -> dict[str, str]:
        definition = admin_definition(stack, serving.application, releaser.settings, releaser.image)
        return {item["name"]: item["value"] for item in definition["containerDefinitions"][0]["environment"]}

    assert environment(releaser.c.stack)["APP_DATABASE_CLONE_SECRET_ARN"] == CLONE
    older = {name: value for name, value in OUTPUTS.items() if name != "app_database_clone_secret_arn"}
    assert environment(Stack(older, "test"))["APP_DATABASE_CLONE_SECRET_ARN"] == ""


def test_a_secrets_name_is_told_without_what_aws_adds() -> None:
    assert name_of(CLONE) == "app-clone"
