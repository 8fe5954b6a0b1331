"""Whole releases against a small ECS: what each does, and how the next run continues."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.outcome import Kind
from fargate_ops.ecs.failure_report import Report, event_lines, target_lines
from fargate_ops.release.context import ReleaseError
from fargate_ops.release.deadline import running_for
from fargate_ops.release.journal import incarnation
from fargate_ops.release.plan import Plan
from fargate_ops.release.release import Releaser
from fargate_ops.release.scaling_limits import set_limits
from fargate_ops.release.verify import Subject, Verdict, Verification
from fargate_ops.state.ledger import Ledger, Outcome, Release
from fargate_ops.state.lock import Lock
from tests.unit.release.conftest import CREATED, OUTPUTS, SECRET, client_error, failed, plain, without_database

if TYPE_CHECKING:
    from tests.unit.release.conftest import FakeEcs, World

#: On an ordinary day the usual limits hold, at the month's end others.
AN_ORDINARY_DAY, MONTHS_END = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 1, 30, tzinfo=UTC)


def ledger(world: World) -> list[Release]:
    return Ledger(world.s3, "state-bucket", "test").releases()


def outcomes(world: World) -> list[tuple[str, Outcome]]:
    return [(release.version, release.outcome) for release in ledger(world)]


def planned(releaser: Releaser) -> Plan:
    releaser.settle()
    plan, _ = releaser.register(releaser.plan())
    return plan


def nothing(ecs: FakeEcs) -> None:
    """Change nothing."""


def bring_into_service(releaser: Releaser, plan: Plan) -> None:
    releaser.prepare(plan)
    releaser.update(plan)


def failing(releaser: Releaser) -> tuple[ReleaseError, Plan]:
    """Run a release that fails, and record it as the role does."""
    plan = planned(releaser)
    releaser.begin(plan)
    with pytest.raises(ReleaseError) as failure:
        bring_into_service(releaser, plan)
    releaser.fail(plan, failure.value.reason)
    return failure.value, plan


# -- the first release ------------------------------------------------------------------------------------------------


def test_the_first_release_sends_the_number_of_tasks_and_sets_the_limits(world: World) -> None:
    world.released("aaa")
    (update,) = world.ecs.updates
    assert update == {
        "cluster": "settlement-test",
        "service": "settlement-test",
        "taskDefinition": world.ecs.primary["taskDefinition"],
        "desiredCount": 2,
    }
    assert world.autoscaling.limits == (2, 4)
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED)]


def test_the_first_release_prepares_the_database_as_a_task_of_its_own(world: World) -> None:
    world.released("aaa")
    (run,) = world.ecs.runs
    assert run["taskDefinition"].endswith("settlement-test-admin:1")
    assert run["overrides"]["containerOverrides"][0]["command"] == ["python", "-m", "shop.admin", "prepare"]
    assert run["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] == ["sg-2"]


def test_without_an_admin_command_no_migration_is_run_and_the_release_says_so(world: World) -> None:
    world.application = replace(world.application, admin_command=[])
    world.secrets.without = {SECRET}
    releaser = world.releaser("aaa")
    plan = planned(releaser)
    assert not releaser.prepare(plan)
    assert world.said[-1] == "the application has no admin command (app_admin_command): no migration is run"
    world.released("aaa")
    assert world.ecs.runs == []
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED)]


def test_without_a_database_no_admin_task_is_registered_or_run(world: World) -> None:
    without_database(world)
    for version, schema_head in (("aaa", "0001"), ("bbb", "0002")):
        world.released(version, schema_head=schema_head)
        assert not world.ecs.runs
    families = {definition["family"] for definition in world.ecs.definitions.values()}
    assert families == {"settlement-test", "settlement-test-placeholder"}
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED), ("bbb", Outcome.SUCCEEDED)]
    assert not world.releaser("bbb", schema_head="0002").plan().needed


def test_tasks_leave_a_database_before_it_is_turned_off(world: World) -> None:
    world.released("aaa")
    runs, registered = len(world.ecs.runs), len(world.ecs.definitions)
    world.application = replace(world.application, database=False)
    world.released("aaa")
    assert (len(world.ecs.runs), len(world.ecs.definitions)) == (runs, registered + 1)
    assert SECRET not in str(world.ecs.definitions[world.ecs.primary["taskDefinition"]])


def test_a_full_database_of_somebody_else_ends_no_session(world: World) -> None:
    without_database(world)
    assert not world.releaser().admin_tasks.free_connections(["10.0.1.1"])
    assert not world.ecs.runs


def test_revisions_carry_the_version_for_people(world: World) -> None:
    world.released("aaa")
    arn = world.ecs.primary["taskDefinition"]
    assert {"key": "version", "value": "aaa"} in world.ecs.definitions[arn]["tags"]


def test_a_first_release_that_fails_leaves_zero_tasks_and_says_so(world: World) -> None:
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.fail_task(), lambda ecs: ecs.roll_back()]
    failure, _ = failing(world.releaser("bad"))
    assert world.ecs.service["desiredCount"] == 0
    assert world.autoscaling.suspended == {"ScheduledScalingSuspended": True}, "nothing may start the placeholder"
    assert "nothing to return to" in plain(failure)
    assert "What serves now: nothing: no task runs" in plain(failure)
    assert outcomes(world) == [("bad", Outcome.FAILED)]


def test_after_a_failed_first_release_the_next_one_is_first_again(world: World) -> None:
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.roll_back()]
    failing(world.releaser("bad"))
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    world.released("good")
    assert world.ecs.updates[-1]["desiredCount"] == 2
    assert world.ecs.service["runningCount"] == 2


def test_a_first_release_that_ran_out_of_time_is_started_anew(world: World) -> None:
    """Its definition is still PRIMARY, with zero tasks: the same definition needs a new deployment."""
    failing(world.releaser("aaa", wait=-1))
    world.ecs.complete()
    world.released("aaa")
    assert world.ecs.updates[-1]["forceNewDeployment"] is True
    assert world.ecs.updates[-1]["desiredCount"] == 2


# -- idempotence ------------------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("aaa")
    releaser.settle()
    plan, registered = releaser.register(releaser.plan())
    assert not plan.needed
    assert not registered
    assert not releaser.prepare(plan)
    assert not releaser.update(plan)
    assert not releaser.succeed(plan)
    assert len(world.ecs.updates) == 1
    assert len(ledger(world)) == 1


@pytest.mark.parametrize("change", [{"memory": 1024}, {"environment": {"LOG_LEVEL": "DEBUG"}}])
def test_a_change_in_the_inventory_releases_the_same_version(world: World, change: dict[str, Any]) -> None:
    world.released("aaa")
    world.released("aaa", **change)
    assert len(world.ecs.updates) == 2
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED), ("aaa", Outcome.SUCCEEDED)]


def test_later_releases_leave_the_number_of_tasks_to_auto_scaling(world: World) -> None:
    world.released("aaa")
    world.ecs.service["desiredCount"] = 3
    world.released("bbb")
    assert "desiredCount" not in world.ecs.updates[-1]
    assert world.ecs.service["runningCount"] == 3


def test_migrations_run_only_for_another_schema(world: World) -> None:
    world.released("aaa")
    world.released("bbb")
    assert len(world.ecs.runs) == 1
    world.released("ccc", schema_head="0002")
    world.released("ddd", schema_head=None)
    assert len(world.ecs.runs) == 3


def test_a_secret_without_a_value_is_made_even_when_nothing_is_released(world: World) -> None:
    world.released("aaa")
    world.secrets.has_value = False
    releaser = world.releaser("aaa")
    plan = planned(releaser)
    assert not plan.needed
    assert "no value" in plan.prepare


def test_a_service_made_anew_knows_no_success(world: World) -> None:
    world.released("aaa")
    world.ecs.__post_init__()
    world.ecs.service["createdAt"] += timedelta(days=1)
    plan = planned(world.releaser("aaa"))
    assert plan.first
    assert plan.desired_count == 2


def test_old_revisions_go_after_a_success_but_none_that_a_rollback_may_need(world: World) -> None:
    for number in range(13):
        world.released(f"v{number}", keep_revisions=1)
    assert {arn.rpartition("/")[2] for arn in world.ecs.deregistered if "admin" not in arn} == {
        "settlement-test:1",
        "settlement-test:2",
    }
    world.rolled_back("-2")


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_rollback_by_the_circuit_breaker_is_a_failure_with_its_cause(world: World) -> None:
    world.released("aaa")
    world.logs.streams["api/api/"] = ["Traceback: boom"]
    world.ecs.service["events"] = [{"createdAt": datetime.now(UTC), "message": "deployment failed"}]
    world.load_balancer.descriptions = [
        {
            "Target": {"Id": "10.0.0.9", "Port": 8000},
            "TargetHealth": {"State": "unhealthy", "Reason": "Target.ResponseCodeMismatch", "Description": "503"},
        }
    ]
    world.ecs.rollout = [nothing] * 4 + [
        lambda ecs: ecs.fail_task(),
        lambda ecs: ecs.fail_task(),
        lambda ecs: ecs.roll_back(),
        nothing,
        lambda ecs: ecs.complete(),
    ]
    failure, _ = failing(world.releaser("bad"))
    assert "the release of bad (settlement-test:2) failed: circuit breaker triggered" in plain(failure)
    assert "What serves now: settlement-test:1 (aaa), 2 tasks" in plain(failure)
    assert "Next: make logs ENV=test to read more; after a fix, make deploy ENV=test" in plain(failure)
    for line in ("Traceback: boom", "deployment failed", "10.0.0.9:8000 unhealthy, Target.Res"):
        assert line in failure.evidence
    end = failure.outcome("test")
    assert (end.cause, end.where.partition(",")[0]) == ("exit code 3", "settlement-test:2")
    assert plain(end.serves) == "settlement-test:1 (aaa), 2 tasks"
    assert end.next == "make logs ENV=test to read more; after a fix, make deploy ENV=test"
    assert world.text.count("a new task stopped") == 2
    assert outcomes(world)[-1] == ("bad", Outcome.FAILED)
    assert "exit code 3" in ledger(world)[-1].why


def test_a_rollback_by_ecs_that_is_over_between_two_looks_is_no_riddle(world: World) -> None:
    world.released("aaa")

    def rolled_back_already(ecs: FakeEcs) -> None:
        ecs.fail_task()
        ecs.roll_back()
        ecs.complete()
        ecs.service_deployments[-1] |= {"status": "ROLLBACK_SUCCESSFUL", "statusReason": "breaker triggered"}
        # Neither a later one of somebody else, nor an earlier one of the same task definition, is ours.
        later = datetime.now(UTC) + timedelta(seconds=9)
        ecs.note(status="ROLLBACK_SUCCESSFUL", statusReason="theirs", createdAt=later)
        ours = ecs.updates[-1]["taskDefinition"]
        ecs.note(status="ROLLBACK_FAILED", statusReason="hours ago", createdAt=CREATED, taskDefinition=ours)

    world.ecs.rollout = [nothing] * 4 + [rolled_back_already]
    failure, _ = failing(world.releaser("bad"))
    assert "the release of bad (settlement-test:2) failed: breaker triggered" in plain(failure)


def test_another_service_deployment_that_ecs_rolled_back_is_not_ours(world: World) -> None:
    world.released("aaa")
    first = world.ecs.primary["taskDefinition"]

    def somebody_elses_is_rolled_back(ecs: FakeEcs) -> None:
        ecs.update_service(taskDefinition=first)
        ecs.service_deployments[-1] |= {"status": "ROLLBACK_IN_PROGRESS", "statusReason": "theirs"}

    world.ecs.rollout = [nothing] * 4 + [somebody_elses_is_rolled_back]
    failure, _ = failing(world.releaser("bbb"))
    assert "took the place of" in plain(failure)
    assert "theirs" not in plain(failure)


@pytest.mark.parametrize("stale_looks", [1, 30])
def test_a_release_that_ecs_does_not_list_yet_is_waited_for(world: World, stale_looks: int) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.stale_looks = stale_looks
    world.ecs.rollout = [nothing] * (stale_looks + 2) + [lambda ecs: ecs.complete()]
    releaser.update(plan)
    releaser.succeed(plan)
    assert outcomes(world)[-1] == ("bbb", Outcome.SUCCEEDED)
    assert len(world.ecs.updates) == 2
    assert world.text.count("does not list") == 1


def test_a_release_is_taken_up_though_an_answer_is_older_than_it(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    world.ecs.stale_looks = 2
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.complete()]
    releaser.update(plan)
    assert world.ecs.primary["rolloutState"] == "COMPLETED"


def test_after_a_failure_the_next_good_release_works(world: World) -> None:
    world.released("aaa")
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.roll_back(), nothing, lambda ecs: ecs.complete()]
    failing(world.releaser("bad"))
    world.released("ccc")
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED), ("bad", Outcome.FAILED), ("ccc", Outcome.SUCCEEDED)]


def test_a_wait_that_times_out_stops_its_deployment_with_a_rollback(world: World) -> None:
    world.released("aaa")
    world.ecs.note(createdAt=datetime.now(UTC) + timedelta(seconds=9))
    failure, _ = failing(world.releaser("slow", wait=-1))
    assert world.ecs.stopped_deployments == [world.ecs.service_deployments[-1]["serviceDeploymentArn"]]
    assert "not done within -1 s" in plain(failure)
    assert "It was stopped with a rollback." in plain(failure)
    assert "What serves now: settlement-test:1 (aaa)" in plain(failure)


def test_a_task_that_runs_and_is_never_healthy_is_heard(world: World) -> None:
    world.released("aaa")
    world.logs.streams["api/api/never"] = ["waiting for the moon"]

    def starts(ecs: FakeEcs) -> None:
        arn = "arn:aws:ecs:ap-northeast-2:000000000000:task/settlement-test/never"
        ecs.tasks[arn] = {
            "taskArn": arn,
            "taskDefinitionArn": ecs.primary["taskDefinition"],
            "group": "service:settlement-test",
            "lastStatus": "RUNNING",
            "containers": [],
        }

    world.ecs.rollout = [nothing] * 3 + [starts]
    failure, _ = failing(world.releaser("slow", wait=-1))
    assert "Last log lines of never:\n  waiting for the moon" in failure.evidence


@pytest.mark.parametrize("listed", [True, False])
def test_a_deployment_that_cannot_be_stopped_is_replaced_by_the_version_before(world: World, listed: bool) -> None:
    world.released("aaa")
    first = world.ecs.primary["taskDefinition"]
    error = {"Error": {"Code": "ConflictException", "Message": "too late"}}
    world.ecs.refuse["StopServiceDeployment"] = ClientError(error, "StopServiceDeployment")
    world.ecs.lists_service_deployments = listed
    releaser = world.releaser("slow", wait=-1)
    plan = planned(releaser)
    world.ecs.rollout = [nothing] * 2 + [lambda ecs: ecs.complete()]
    with pytest.raises(ReleaseError, match=r"The service was pointed at settlement-test:1 again"):
        releaser.update(plan)
    assert world.ecs.updates[-1]["taskDefinition"] == first


def test_a_rollback_that_does_not_complete_is_said(world: World) -> None:
    world.released("aaa")
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.roll_back()]
    releaser = world.releaser("bad")
    object.__setattr__(releaser.c.limits, "rollback_wait", -1)
    failure, _ = failing(releaser)
    assert "The rollback did not complete: not done within -1 s." in plain(failure)


def test_a_deployment_replaced_by_somebody_else_is_a_failure_and_is_left_alone(world: World) -> None:
    world.released("aaa")
    first = world.ecs.primary["taskDefinition"]

    def somebody_else(ecs: FakeEcs) -> None:
        ecs.update_service(taskDefinition=first)

    world.ecs.rollout = [nothing] * 4 + [somebody_else]
    failure, _ = failing(world.releaser("bbb"))
    assert "took the place of" in plain(failure)
    assert world.ecs.primary["id"] == "ecs-svc/3"


def test_a_failing_migration_touches_no_service(world: World) -> None:
    world.released("aaa")
    world.logs.streams["api/api/one-off"] = ["sqlalchemy.exc.ProgrammingError: column exists"]
    world.ecs.run_exit_code = 1
    failure, _ = failing(world.releaser("bbb", schema_head="0002"))
    assert "preparing the database for bbb failed: exit code 1" in plain(failure)
    assert "The service was not touched." in plain(failure)
    assert "  | sqlalchemy.exc.ProgrammingError: column exists" in world.said
    assert failure.evidence == ""
    end = failure.outcome("test")
    assert end.what == "preparing the database for bbb failed. The service was not touched"
    assert end.cause == "exit code 1: ProgrammingError: column exists"
    assert "column exists" not in ledger(world)[-1].why
    assert len(world.ecs.updates) == 1
    assert outcomes(world)[-1] == ("bbb", Outcome.FAILED)


SESSION = "session 7 (settlement-api@10-0-1-7/7, user app, from 10.0.1.7) holds the lock; idle in transaction"
INDEX = "an invalid index is left, which no query uses and which has to be dropped: public.i"
DROP = "make run ENV=test FAMILY=admin CMD='python -m shop.admin drop-index public.i'"


def told(kind: str, details: Sequence[str] = (), cures: Sequence[str] = ()) -> list[str]:
    return ["INFO", json.dumps({"error": "0002.py: it failed", "kind": kind, "details": details, "cures": cures})]


@pytest.mark.parametrize(
    ("output", "said", "following"),
    [
        (told("lock_wait", [SESSION]), SESSION, "let the session above end (make incident-db ENV=test shows all"),
        (told("invalid_index", [INDEX], ["drop-index public.i"]), INDEX, f"{DROP}; then make deploy ENV=test"),
        (
            told("invalid_index", [SESSION, INDEX], ["drop-index public.i"]),
            SESSION,
            f"when the session above has ended, {DROP}; then make deploy ENV=test",
        ),
        (told("migration"), "0002.py: it failed", "correct the migration in a new commit, then make deploy ENV=test"),
        (told("time_limit"), "raise ecs_release_prepare_wait_seconds above 5 in", "make the migration shorter"),
        (told("full"), "it failed", "make incident-db ENV=test ARGS='-e end_idle=true', then make deploy ENV=test"),
        (told("unreachable"), "it failed", "make incident-db ENV=test shows the state of the database"),
        (told("stopped"), "it failed", "make deploy ENV=test"),
        (['{"error": "of an older image"}'], "failed: of an older image", "make deploy ENV=test"),
    ],
    ids=["lock", "index", "index and session", "migration", "time", "full", "unreachable", "stopped", "older"],
)
def test_what_can_help_depends_on_how_the_migration_failed(
    world: World, output: list[str], said: str, following: str
) -> None:
    world.released("aaa")
    world.logs.streams["api/api/one-off"] = output
    world.ecs.run_exit_code = 1
    failure, _ = failing(world.releaser("bbb", schema_head="0002"))
    assert said in plain(failure)
    assert f"Next: {following}" in plain(failure)
    end = failure.outcome("test")
    assert end.cause in ("0002.py: it failed", "of an older image")
    assert end.next.startswith(following)


def test_a_migration_that_takes_too_long_is_stopped_and_says_what_it_did(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb", schema_head="0002")
    object.__setattr__(releaser.c.limits, "prepare_wait", -1)
    world.logs.streams["api/api/one-off"] = told("stopped", ["nothing is left of it"])
    run_task = world.ecs.run_task

    def takes_long(**request: Any) -> dict[str, Any]:
        answer = run_task(**request)
        answer["tasks"][0]["lastStatus"] = "RUNNING"
        return answer

    world.ecs.run_task = takes_long  # type: ignore[method-assign]
    failure, _ = failing(releaser)
    assert "was not done within -1 s and was stopped" in plain(failure)
    assert "nothing is left of it" in plain(failure)
    assert "raise ecs_release_prepare_wait_seconds" in plain(failure)
    assert list(world.ecs.stopped_tasks) == ["not done within -1 s"]


@pytest.mark.parametrize("output", [[], ["{}", "[1]", '{"changed": true}']])
def test_a_preparation_that_does_not_say_what_it_reached_is_no_success(world: World, output: list[str]) -> None:
    world.released("aaa")
    world.logs.streams["api/api/one-off"] = output
    failure, _ = failing(world.releaser("bbb", schema_head="0002"))
    assert "ended without its result, so the schema is not known" in plain(failure)
    assert outcomes(world)[-1] == ("bbb", Outcome.FAILED)
    assert not ledger(world)[-1].prepared


def reached(head: str) -> list[str]:
    return [json.dumps({"schema_head": head, "changed": False})]


def test_a_schema_that_the_image_does_not_bring_is_no_success(world: World) -> None:
    world.released("aaa")
    world.logs.streams["api/api/one-off"] = reached("0001")
    failure, _ = failing(world.releaser("bbb", schema_head="1a31ce608336"))
    assert "the image brings the schema 1a31ce608336, and the database is at 0001" in plain(failure)
    assert "Next: release a commit that has the migrations 0001 and 1a31ce608336" in plain(failure)
    assert not ledger(world)[-1].prepared


def test_a_later_schema_is_one_that_a_release_brought_and_the_code_works_with(world: World) -> None:
    world.released("aaa", schema_head="0001", schema_compatible=["0001"])
    world.released("bbb", schema_head="b2", schema_compatible=["0001", "b2"])
    world.logs.streams["api/api/one-off"] = reached("b2")
    world.released("ccc", schema_head="0001", schema_compatible=["0001"])
    world.logs.streams.clear()
    world.released("ddd", schema_head="c3", schema_compatible=["c3"])
    world.logs.streams["api/api/one-off"] = reached("c3")
    failure, _ = failing(world.releaser("eee", schema_head="b2"))
    assert "the code of this image is not known to work with that" in plain(failure)
    world.logs.streams["api/api/one-off"] = reached("of a branch")
    failure, _ = failing(world.releaser("fff", schema_head="d4"))
    assert "no release here brought that" in plain(failure)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("RegisterTaskDefinition", "ECS refused the task definition"),
        ("RunTask", "ECS would not run settlement-test-admin:2"),
        ("UpdateService", "ECS refused to update settlement-test"),
    ],
)
def test_a_refusal_by_ecs_is_said_in_its_words(world: World, operation: str, said: str) -> None:
    world.released("aaa")
    world.ecs.refuse[operation] = ClientError({"Error": {"Code": "ClientException", "Message": "no role"}}, operation)
    releaser = world.releaser("bbb", schema_head="0002")
    with pytest.raises(ReleaseError, match=said) as failure:
        bring_into_service(releaser, planned(releaser))
    assert "no role" in str(failure.value)


def test_an_update_that_deploys_something_else_is_a_failure(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    answer = {"service": world.ecs.service}
    world.ecs.update_service = lambda **_: answer  # type: ignore[method-assign]
    with pytest.raises(ReleaseError, match="ECS took the update but deploys settlement-test:1"):
        releaser.update(plan)


def test_a_wait_keeps_time_for_the_undoing_of_what_it_waits_for(world: World) -> None:
    world.released("aaa")
    world.said.clear()
    releaser = world.releaser("bbb", wait=900, rollback_wait=600, time_left=1000)
    plan = planned(releaser)
    world.ecs.rollout = [nothing, lambda ecs: ecs.complete()]
    releaser.update(plan)
    assert "at most 400 s" in world.text


@pytest.mark.parametrize("phase", ["prepare", "update"])
def test_what_could_not_be_undone_in_time_is_not_begun(world: World, phase: str) -> None:
    world.released("aaa")
    before = len(world.ecs.updates), len(world.ecs.runs)
    releaser = world.releaser("bbb", schema_head="0002", rollback_wait=600, time_left=659)
    plan = planned(releaser)
    with pytest.raises(ReleaseError, match="has 659 s left, and undoing a failure may take 600 s") as refusal:
        getattr(releaser, phase)(plan)
    assert "Next: make deploy ENV=test" in str(refusal.value)
    assert (len(world.ecs.updates), len(world.ecs.runs)) == before


def test_a_rollback_begins_however_little_time_is_left(world: World) -> None:
    for version in ("aaaa", "bbbb"):
        world.released(version)
    assert world.rolled_back(time_left=0, rollback_wait=600).version == "aaaa"


def test_how_long_a_command_has_run_is_the_age_of_its_process(tmp_path: Path) -> None:
    assert 0 < running_for(os.getpid()) < float(Path("/proc/uptime").read_text().split()[0])
    assert running_for(os.getpid(), tmp_path) == 0


def locked(holder: str, **changes: Any) -> Lock:
    now = datetime.now(UTC)
    values = {"machine": "m", "pid": 1, "owner": "bob@desk", "purpose": "Rollback", "started": now, "heartbeat": now}
    return Lock(holder=holder, **(values | changes))


def etag_of(world: World) -> str | None:
    found = world.lock.read()
    return found.etag if found else None


def test_a_release_that_lost_the_lock_stops_before_the_service_and_says_who_has_it(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb", holder="me")
    world.lock.swap(locked("me"), None)
    plan = planned(releaser)
    world.lock.swap(locked("other"), etag_of(world))
    with pytest.raises(ReleaseError, match="it was taken by bob@desk, for Rollback") as stopped:
        releaser.update(plan)
    assert len(world.ecs.updates) == 1
    end = stopped.value.outcome("test")
    assert (end.kind, end.what) == (Kind.FAILED, "this run was stopped. The service was not touched")
    assert end.cause.startswith("it lost the deployment lock: it was taken by bob@desk, for Rollback, since ")
    assert end.next == "make status ENV=test"


def test_an_update_that_crossed_a_rollback_is_taken_back(world: World) -> None:
    """The rollback took the lock after the release had checked it, and before the service was updated."""
    world.released("aaa")
    first = world.ecs.primary["taskDefinition"]
    releaser = world.releaser("bbb", holder="me")
    world.lock.swap(locked("me"), None)
    plan = planned(releaser)
    update_service = world.ecs.update_service

    def crossing(**request: Any) -> dict[str, Any]:
        if len(world.ecs.updates) == 1:
            world.lock.swap(locked("other"), etag_of(world))
        return update_service(**request)

    world.ecs.update_service = crossing  # type: ignore[method-assign]
    with pytest.raises(ReleaseError, match="Its update was taken back at once"):
        releaser.update(plan)
    assert world.ecs.primary["taskDefinition"] == first


def test_a_release_that_was_stopped_is_not_a_success(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb", holder="me")
    world.lock.swap(locked("me"), None)
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    releaser.update(plan)
    world.lock.swap(locked("other"), etag_of(world))
    with pytest.raises(ReleaseError, match="lost the deployment lock"):
        releaser.succeed(plan)
    end = releaser.end(plan, failed("stopped"))
    assert (end.kind, end.what, end.cause) == (Kind.FAILED, "stopped", "")
    assert len(world.ecs.updates) == 2


def test_a_task_that_is_still_being_stopped_tells_why(world: World) -> None:
    world.released("aaa")
    world.logs.streams["api/api/"] = ["no such database"]

    def draining(ecs: FakeEcs) -> None:
        ecs.fail_task("Task failed ELB health checks in (target-group arn:tg)")
        task = list(ecs.tasks.values())[-1]
        task.update(lastStatus="DEACTIVATING", stopCode="ServiceSchedulerInitiated", containers=[{"name": "api"}])
        del task["stoppedAt"]
        ecs.roll_back()

    world.ecs.rollout = [nothing] * 4 + [draining, nothing, lambda ecs: ecs.complete()]
    failure, _ = failing(world.releaser("bad"))
    assert failure.outcome("test").cause == "Task failed ELB health checks: no such database"
    assert "no such database" not in failure.evidence


def test_tasks_that_are_healthy_and_die_again_and_again_fail_the_release(world: World) -> None:
    """ECS restarts its count after each healthy task: the circuit breaker never trips."""
    world.released("aaa")

    def dies(ecs: FakeEcs) -> None:
        ecs.fail_task()

    def lives(ecs: FakeEcs) -> None:
        ecs.primary["failedTasks"] = 0

    world.ecs.rollout = [nothing] * 4 + [dies, lives] * 9
    failure, _ = failing(world.releaser("flapping"))
    assert "5 of its tasks failed, some after they were healthy" in plain(failure)
    assert world.ecs.stopped_deployments == [world.ecs.service_deployments[-1]["serviceDeploymentArn"]]
    assert "What serves now: settlement-test:1 (aaa)" in plain(failure)


def test_tasks_that_were_all_healthy_at_one_moment_have_to_outlive_those_that_died(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("flapping")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.fail_task(lived=7.9), lambda ecs: ecs.complete()]
    bring_into_service(releaser, plan)
    world.slept.clear()
    releaser.succeed(plan)
    assert sum(world.slept) == 16
    assert outcomes(world)[-1] == ("flapping", Outcome.SUCCEEDED)


def another_dies(world: World, after_sleeps: int) -> None:
    """Let one more task end by itself while the releaser sleeps."""

    def asleep(_: float) -> None:
        if len(world.slept) == slept + after_sleeps:
            world.ecs.fail_task(lived=7.0)

    slept = len(world.slept)
    world.on_sleep = asleep


def test_tasks_that_die_again_once_ecs_is_done_fail_the_release(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("flapping")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.fail_task(lived=7.9), lambda ecs: ecs.complete()]
    bring_into_service(releaser, plan)
    another_dies(world, after_sleeps=3)
    with pytest.raises(ReleaseError, match="2 of its tasks failed, some after they were healthy") as failure:
        releaser.succeed(plan)
    assert failure.value.outcome("test").cause == "exit code 3"
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.complete()]
    assert "settlement-test:1 (aaa) was put back" in plain(releaser.end(plan, failed(failure.value.reason)).what)
    assert outcomes(world)[-1] == ("flapping", Outcome.FAILED)


def test_a_version_that_answers_wrongly_is_taken_out_of_service(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    releaser.update(plan)
    world.ecs.tasks["arn:task/1"] = {
        "taskArn": "arn:task/1",
        "taskDefinitionArn": plan.revision,
        "group": "service:settlement-test",
        "lastStatus": "RUNNING",
        "startedAt": datetime.now(UTC) - timedelta(seconds=40),
    }
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.complete()]
    end = releaser.end(plan, failed("bbb does not serve: git_hash is aaa"))
    assert end.kind is Kind.FAILED_AND_UNDONE
    undone = "settlement-test:1 (aaa) was put back; it was exposed for at most 40 s"
    assert (plain(end.what), end.cause) == (f"bbb does not serve; {undone}", "git_hash is aaa")
    assert plain(end.serves) == "settlement-test:1 (aaa), 2 tasks"
    assert outcomes(world)[-1] == ("bbb", Outcome.FAILED)
    why = f"bbb does not serve: git_hash is aaa; {undone}; what serves now: settlement-test:1 (aaa), 2 tasks"
    assert plain(ledger(world)[-1].why) == why


@pytest.mark.parametrize("first", [False, True])
def test_an_update_that_a_look_does_not_show_yet_is_undone(world: World, first: bool) -> None:
    """The run ends right after its update, while ECS still returns the state before it."""
    if not first:
        world.released("aaa")
    before = world.ecs.primary["taskDefinition"]
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.prepare(plan)
    releaser.service.update(str(plan.revision), desired_count=plan.desired_count)
    world.ecs.stale_looks = 2
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.complete()]
    end = releaser.end(plan, failed("AWS did not answer"))
    assert ("zero tasks" if first else "settlement-test:1 (aaa) was put back") in plain(end.what)
    assert end.kind is (Kind.FAILED if first else Kind.FAILED_AND_UNDONE)
    assert world.ecs.service["desiredCount"] == (0 if first else 2)
    assert first or world.ecs.primary["taskDefinition"] == before
    assert outcomes(world)[-1] == ("bbb", Outcome.FAILED)


def test_a_wrong_version_is_taken_out_though_its_tasks_cannot_be_listed(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    releaser.update(plan)

    def denied(_: str) -> Any:
        raise client_error("ListTasks", "no", "AccessDeniedException")

    world.ecs.get_paginator = denied  # type: ignore[method-assign, assignment]
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.complete()]
    assert "settlement-test:1 (aaa) was put back" in plain(releaser.end(plan, failed("wrong version")).what)


@pytest.mark.parametrize("first", [False, True])
def test_an_update_that_ecs_refuses_is_recorded_and_undoes_nothing(world: World, first: bool) -> None:
    if not first:
        world.released("aaa")
    deployments, count = world.ecs.service["deployments"], world.ecs.service["desiredCount"]
    world.ecs.refuse["UpdateService"] = client_error("UpdateService", "no")
    failing(world.releaser("bbb"))
    assert (world.ecs.service["deployments"], world.ecs.service["desiredCount"]) == (deployments, count)
    assert outcomes(world)[-1] == ("bbb", Outcome.FAILED)


def test_an_error_that_passes_right_after_the_update_undoes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    update, list_tasks = releaser.service.update, world.ecs._list_tasks

    def throttle_once(**_: Any) -> Any:
        monkeypatch.setattr(world.ecs, "_list_tasks", list_tasks)
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "ListTasks")

    def throttled_update(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(world.ecs, "_list_tasks", throttle_once)
        return update(*arguments, **options)

    monkeypatch.setattr(releaser.service, "update", throttled_update)
    world.ecs.rollout = [nothing, lambda ecs: ecs.complete()]
    assert releaser.update(plan)


THROTTLED = ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "Anything")


@pytest.mark.parametrize(
    ("client", "operation"),
    [("ecs", "describe_services"), ("ecs", "describe_task_definition"), ("logs", "describe_log_streams")],
)
def test_an_error_that_passes_after_the_rollout_undoes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, client: str, operation: str
) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    asked = getattr(world.client(client), operation)

    def throttle_every_other(**request: Any) -> Any:
        monkeypatch.setattr(world.client(client), operation, restore)
        raise THROTTLED

    def restore(**request: Any) -> Any:
        monkeypatch.setattr(world.client(client), operation, throttle_every_other)
        return asked(**request)

    def complete_and_throttle(ecs: FakeEcs) -> None:
        ecs.start_task()
        ecs.complete()
        monkeypatch.setattr(world.client(client), operation, throttle_every_other)

    world.ecs.rollout = [nothing, complete_and_throttle]
    assert releaser.update(plan)
    releaser.succeed(plan)
    assert outcomes(world)[-1] == ("bbb", Outcome.SUCCEEDED)


def test_what_auto_scaling_refuses_undoes_no_success(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [nothing, lambda ecs: ecs.complete()]
    releaser.update(plan)

    def refuse(**_: Any) -> Any:
        raise THROTTLED

    monkeypatch.setattr(world.autoscaling, "describe_scalable_targets", refuse)
    assert not releaser.succeed(plan)
    assert outcomes(world)[-1] == ("bbb", Outcome.SUCCEEDED)
    assert "auto scaling's limits were left as they are" in world.text
    unchanged = world.releaser("bbb")
    with pytest.raises(ClientError):
        unchanged.succeed(planned(unchanged))


def test_a_cause_that_may_not_be_asked_for_delays_no_undoing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.released("aaa")

    def deny(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetLogEvents")

    def roll_back(ecs: FakeEcs) -> None:
        ecs.roll_back()
        monkeypatch.setattr(world.logs, "get_log_events", deny)

    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.fail_task(), roll_back, lambda ecs: ecs.complete()]
    failure, _ = failing(world.releaser("bbb"))
    assert failure.reason.startswith("circuit breaker triggered")
    assert "What serves now: settlement-test:1 (aaa)" in plain(failure)
    assert "the cause cannot be read" in world.text


def test_a_first_release_that_answers_wrongly_leaves_zero_tasks(world: World) -> None:
    releaser = world.releaser("aaa")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    releaser.update(plan)
    assert "zero tasks" in releaser.end(plan, failed("wrong")).what
    assert world.ecs.service["desiredCount"] == 0


def test_people_elsewhere_hear_of_it(world: World) -> None:
    world.released("aaa")
    world.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.roll_back(), nothing, lambda ecs: ecs.complete()]
    failing(world.releaser("bad"))
    assert [line.rstrip(" 0123456789.s") for line in world.notified] == [
        "test: release of aaa started",
        "test: release of aaa succeeded in",
        "test: release of bad started",
        "test: release of bad failed after",
    ]
    releaser = world.releaser("ccc")
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.service.update(str(plan.revision))
    world.rolled_back()
    releaser.fail(plan, "stopped")
    assert [line.rstrip(" 0123456789.s") for line in world.notified[-3:]] == [
        "test: release of ccc started",
        "test: rolled back by ann@laptop from ccc to aaa in",
        "test: release of ccc was stopped after",
    ]


# -- interrupted runs -------------------------------------------------------------------------------------------------


def interrupted(world: World, version: str, *, updated: bool = True) -> None:
    """Begin a release that is killed after (or before) its update."""
    releaser = world.releaser(version)
    plan = planned(releaser)
    releaser.begin(plan)
    if updated:
        releaser.service.update(str(plan.revision))


def test_an_identical_revision_left_behind_is_used_again(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb", updated=False)
    count = len(world.ecs.definitions)
    world.released("bbb")
    assert len(world.ecs.definitions) == count
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED), ("bbb", Outcome.STOPPED), ("bbb", Outcome.SUCCEEDED)]


@pytest.mark.parametrize("completed", [True, False])
def test_the_same_release_again_is_taken_up_where_it_is(world: World, completed: bool) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    if completed:
        world.ecs.complete()
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    assert plan.resumes
    world.ecs.rollout = [nothing, lambda ecs: ecs.complete()]
    assert not releaser.update(plan)
    releaser.succeed(plan)
    assert len(world.ecs.updates) == 2
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED), ("bbb", Outcome.SUCCEEDED)]


def test_a_deployment_that_vanishes_before_it_is_taken_up_is_said(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    world.ecs.roll_back()
    world.ecs.service["deployments"].pop()
    with pytest.raises(ReleaseError, match="is gone"):
        releaser.update(plan)


def test_another_release_waits_for_the_one_in_flight_and_settles_it(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.complete()]
    world.released("ccc")
    assert outcomes(world) == [(name, Outcome.SUCCEEDED) for name in ("aaa", "bbb", "ccc")]


def test_an_unwatched_release_that_was_rolled_back_is_settled_as_failed(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.ecs.roll_back()
    world.ecs.rollout = [nothing, lambda ecs: ecs.primary.update(rolloutState="COMPLETED")]
    releaser = world.releaser("aaa")
    releaser.settle()
    assert outcomes(world)[-1] == ("bbb", Outcome.FAILED)
    assert "circuit breaker" in ledger(world)[-1].why


WRONG = Verification(verdict=Verdict.WRONG, reason="git_hash is aaa")
UNVERIFIED = Verification(verdict=Verdict.UNVERIFIED, reason="no answer (timed out)")


def test_an_interrupted_release_that_is_seen_to_serve_has_succeeded(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.ecs.complete()
    world.releaser("ccc").settle()
    (subject,) = world.verified
    assert subject == Subject(version="bbb", digest="sha256:bbb", revision=world.ecs.primary["taskDefinition"])
    assert outcomes(world)[-1] == ("bbb", Outcome.SUCCEEDED)
    assert ledger(world)[-1].why == "verified by a later run: 12 right in a row"


@pytest.mark.parametrize("found", [WRONG, UNVERIFIED])
def test_an_interrupted_release_that_is_not_seen_to_serve_is_nothing_to_go_back_to(
    world: World, found: Verification
) -> None:
    world.released("aaa")
    first = world.ecs.primary["taskDefinition"]
    interrupted(world, "bbb")
    world.ecs.complete()
    world.verification = found
    releaser = world.releaser("ccc")
    plan = planned(releaser)
    assert outcomes(world)[-1] == ("bbb", Outcome.STOPPED)
    assert found.reason in ledger(world)[-1].why
    assert plan.previous_revision == first


def test_an_interrupted_release_whose_tasks_are_silent_is_nothing_to_go_back_to(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.ecs.complete()
    world.logs.silent.add(world.ecs.start_task()["taskArn"].rsplit("/", 1)[-1])
    world.releaser("ccc").settle()
    assert outcomes(world)[-1] == ("bbb", Outcome.STOPPED)


def test_an_interrupted_release_whose_tasks_die_again_is_nothing_to_go_back_to(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.ecs.fail_task(lived=7.9)
    world.ecs.complete()
    releaser = world.releaser("ccc")
    another_dies(world, after_sleeps=3)
    releaser.settle()
    assert outcomes(world)[-1] == ("bbb", Outcome.STOPPED)
    assert "2 of its tasks failed" in ledger(world)[-1].why


def test_a_preview_verifies_nothing(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.ecs.complete()
    world.releaser("ccc").settle(preview=True)
    assert world.verified == []
    assert "would verify release" in world.text
    assert outcomes(world)[-1] == ("bbb", Outcome.IN_PROGRESS)


def test_a_failure_that_cannot_be_undone_keeps_its_cause(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    releaser.update(plan)
    world.ecs.refuse["UpdateService"] = client_error("UpdateService", "no", "AccessDeniedException")
    end = releaser.end(plan, failed("bbb does not serve: git_hash is aaa"))
    assert (end.kind, end.cause) == (Kind.FAILED, "git_hash is aaa")
    assert end.what.startswith("bbb does not serve. Undoing or recording it did not work: ")
    assert end.next == "make status ENV=test"


# -- what nobody could see --------------------------------------------------------------------------------------------


def unverified(world: World, version: str) -> Plan:
    """Complete a release that this machine cannot reach."""
    releaser = world.releaser(version)
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.prepare(plan)
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    releaser.update(plan)
    end = releaser.end(plan, failed(f"not verified: {UNVERIFIED.reason}", unverified=True))
    assert (end.kind, end.cause) == (Kind.UNVERIFIED, UNVERIFIED.reason)
    assert plain(end.what) == f"{version} serves, and this machine could not verify it. The ledger calls it unverified"
    assert end.next.startswith("make release ENV=test, which verifies it; or make rollback ENV=test, which puts ")
    return plan


def test_an_unverified_release_is_left_serving_and_the_same_again_verifies_it(world: World) -> None:
    world.released("aaa")
    plan = unverified(world, "bbb")
    assert world.ecs.primary["taskDefinition"] == plan.revision
    assert outcomes(world)[-1] == ("bbb", Outcome.UNVERIFIED)
    assert world.notified[-1] == "test: release of bbb serves and is not verified"
    again = world.releaser("bbb")
    resumed = planned(again)
    assert (resumed.release, resumed.resumes) == (plan.release, True)
    assert not again.update(resumed)
    again.succeed(resumed)
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED), ("bbb", Outcome.SUCCEEDED)]
    assert len(world.ecs.updates) == 2


def test_an_unverified_release_that_answers_wrongly_later_is_undone(world: World) -> None:
    world.released("aaa")
    first = world.ecs.primary["taskDefinition"]
    unverified(world, "bbb")
    again = world.releaser("bbb")
    resumed = planned(again)
    again.update(resumed)
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.complete()]
    again.fail(resumed, "git_hash is aaa")
    assert world.ecs.primary["taskDefinition"] == first
    assert outcomes(world)[-1] == ("bbb", Outcome.FAILED)


def test_a_first_release_that_is_unverified_keeps_its_tasks(world: World) -> None:
    unverified(world, "aaa")
    assert world.ecs.service["desiredCount"] == 2
    assert planned(world.releaser("aaa")).resumes


def test_what_nothing_was_released_of_is_not_recorded_as_unverified(world: World) -> None:
    world.released("aaa")
    releaser = world.releaser("aaa")
    end = releaser.end(planned(releaser), failed("no answer", unverified=True))
    assert (end.kind, end.what.rpartition(". ")[2]) == (Kind.UNVERIFIED, "It serves as before")
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED)]


def test_a_rollback_from_an_unverified_release_goes_to_the_last_success(world: World) -> None:
    world.released("aaa")
    first = world.ecs.primary["taskDefinition"]
    unverified(world, "bbb")
    world.rolled_back()
    assert world.ecs.primary["taskDefinition"] == first
    assert [outcome for _, outcome in outcomes(world)][-2:] == [Outcome.ROLLED_BACK, Outcome.SUCCEEDED]


def test_a_deployment_started_by_an_apply_is_waited_for(world: World) -> None:
    """A definition that succeeded before is in flight again: nothing to release, but the rollout is not over."""
    world.released("aaa")
    world.ecs.update_service(forceNewDeployment=True)
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.complete()]
    releaser = world.releaser("aaa")
    releaser.settle()
    assert "waiting for it to end" in world.text
    assert not releaser.plan().needed


def test_a_foreign_deployment_that_does_not_end_stops_the_release(world: World) -> None:
    world.released("aaa")
    world.ecs.update_service(forceNewDeployment=True)
    with pytest.raises(ReleaseError, match=r"is in flight .* not done within -1 s"):
        world.releaser("bbb", wait=-1).settle()


def test_a_success_that_was_never_recorded_is_verified_and_recorded(world: World) -> None:
    """The run ended between the update and the ledger. The definition runs, and the next run resumes the release."""
    world.released("aaa")
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [lambda ecs: ecs.complete()]
    releaser.update(plan)
    world.released("bbb")
    assert outcomes(world) == [("aaa", Outcome.SUCCEEDED), ("bbb", Outcome.SUCCEEDED)]
    assert len(world.ecs.updates) == 2


def test_a_definition_that_ecs_gave_up_is_deployed_anew(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.ecs.primary.update(rolloutState="FAILED")
    plan = planned(world.releaser("bbb"))
    assert plan.force
    assert "gave up" in world.text


def test_an_admin_task_left_running_is_waited_for(world: World) -> None:
    world.released("aaa")
    arn = next(arn for arn, task in world.ecs.tasks.items() if "one-off" in arn)
    world.ecs.tasks[arn]["lastStatus"] = "RUNNING"
    describe = world.ecs.describe_tasks

    def ends_when_looked_at(**request: Any) -> dict[str, Any]:
        answer = {"tasks": [dict(task) for task in describe(**request)["tasks"]]}
        world.ecs.tasks[arn]["lastStatus"] = "STOPPED"
        return answer

    world.ecs.describe_tasks = ends_when_looked_at  # type: ignore[method-assign]
    releaser = world.releaser("bbb", schema_head="0002")
    releaser.prepare(planned(releaser))
    assert "an interrupted run left one-off-1 running: waiting for it" in world.text
    assert len(world.ecs.runs) == 2


# -- check mode -------------------------------------------------------------------------------------------------------


def test_a_preview_says_everything_and_does_nothing(world: World) -> None:
    releaser = world.releaser("aaa")
    releaser.settle(preview=True)
    plan = releaser.plan()
    plan, registered = releaser.register(plan, preview=True)
    assert registered
    assert releaser.prepare(plan, preview=True)
    assert releaser.update(plan, preview=True)
    assert releaser.succeed(plan, preview=True)
    for line in (
        "would register a revision of settlement-test",
        "would prepare the database: no release has succeeded yet",
        "would update settlement-test to the revision to be registered with 2 tasks",
        "would record the release",
        "would set auto scaling's limits to 2 to 4 tasks (were: 0 to 0)",
    ):
        assert line in world.text
    assert (world.ecs.updates, world.ecs.runs, ledger(world)) == ([], [], [])
    assert len(world.ecs.definitions) == 1
    assert world.autoscaling.limits == (0, 0)


def test_a_preview_does_not_wait_and_settles_nothing(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb")
    world.releaser("ccc", wait=-1).settle(preview=True)
    assert "would wait for it to end" in world.text
    world.ecs.roll_back()
    world.ecs.complete()
    world.releaser("ccc").settle(preview=True)
    assert "would settle release" in world.text
    assert outcomes(world)[-1] == ("bbb", Outcome.IN_PROGRESS)


def test_a_preview_names_the_revision_that_exists(world: World) -> None:
    world.released("aaa")
    interrupted(world, "bbb", updated=False)
    releaser = world.releaser("bbb")
    releaser.update(releaser.plan(), preview=True)
    assert "would update settlement-test to settlement-test:2 and watch" in world.text


# -- small things -----------------------------------------------------------------------------------------------------


def test_a_plan_survives_being_a_fact(world: World) -> None:
    plan = world.releaser("aaa").plan()
    assert Plan.from_fact(plan.to_fact()) == plan


def test_an_image_for_another_cpu_is_refused_before_anything_is_touched(world: World) -> None:
    with pytest.raises(ReleaseError, match="built for ARM64 and the tasks run on X86_64"):
        world.releaser("aaa", architecture="ARM64").plan()
    world.releaser("aaa", architecture="X86_64").plan()


def test_limits_are_registered_where_there_is_no_target_yet(world: World) -> None:
    world.autoscaling.limits = None
    world.released("aaa")
    assert world.autoscaling.limits == (2, 4)


def test_the_limits_are_those_that_hold_at_this_moment(world: World) -> None:
    world.clock = lambda: MONTHS_END
    world.released("aaa")
    assert world.ecs.service["desiredCount"] == 3, "the first release starts with the minimum that holds"
    assert world.autoscaling.limits == (3, 6)


def test_the_schedule_runs_once_a_release_has_succeeded(world: World) -> None:
    """It is suspended until then: an earlier scheduled action would start the placeholder's tasks."""
    world.autoscaling.suspended = {"ScheduledScalingSuspended": True, "DynamicScalingInSuspended": True}
    set_limits(world.context(), preview=True)
    assert world.autoscaling.suspended["ScheduledScalingSuspended"]
    assert "would resume scheduled scaling" in world.text
    world.released("aaa")
    assert world.autoscaling.suspended == {"ScheduledScalingSuspended": False, "DynamicScalingInSuspended": True}
    assert not set_limits(world.context())


def test_a_schedule_that_is_suspended_is_resumed_though_the_limits_are_right(world: World) -> None:
    world.released("aaa")
    world.autoscaling.suspended = {"ScheduledScalingSuspended": True}
    assert set_limits(world.context())
    assert world.autoscaling.suspended == {"ScheduledScalingSuspended": False}


def test_a_scheduled_action_that_fires_in_between_is_not_undone(world: World) -> None:
    world.autoscaling.limits = (1, 1)
    times = iter([AN_ORDINARY_DAY])
    world.clock = lambda: next(times, MONTHS_END)
    assert set_limits(world.context())
    assert world.autoscaling.limits == (3, 6)


def test_another_error_than_an_unknown_family_is_not_hidden(world: World) -> None:
    def throttled(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "DescribeTaskDefinition")

    world.ecs.describe_task_definition = throttled  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="slow"):
        world.releaser("aaa")._latest("family")


def test_a_service_of_the_same_name_is_another_incarnation(world: World) -> None:
    before = incarnation(world.ecs.service)
    later = world.ecs.service | {"createdAt": world.ecs.service["createdAt"] + timedelta(seconds=1)}
    assert incarnation(later) != before


def test_a_report_leaves_out_what_is_not_known() -> None:
    report = Report(title="it failed")
    assert report.summary() == "it failed"
    assert report.evidence() == ""


def test_events_are_told_in_their_order_since_the_update() -> None:
    at = datetime(2026, 1, 31, 9, tzinfo=UTC)
    events = [
        {"createdAt": at, "message": "second"},
        {"createdAt": at, "message": "first"},
        {"createdAt": at - timedelta(hours=1), "message": "old"},
    ]
    assert event_lines({"events": events}, at) == ["09:00:00 first", "09:00:00 second"]


def test_healthy_targets_are_not_told(world: World) -> None:
    world.ecs.service["runningCount"] = 2
    assert target_lines(world.load_balancer, ["tg"]) == []


def test_another_database_is_a_release_and_is_prepared_behind_the_same_host_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.released("aaa")
    monkeypatch.setitem(OUTPUTS["database"], "instance_identifier", "settlement-test-20261124-101500")
    releaser = world.releaser("aaa")
    plan = planned(releaser)
    assert plan.needed
    assert plan.prepare == "the database settlement-test -> settlement-test-20261124-101500"
    releaser.prepare(plan)
    assert len(world.ecs.runs) == 2
