"""What a release and a rollback do if new tasks get no database connection, or if none of them can start."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.ecs import rollout
from fargate_ops.release.context import ReleaseError
from tests.unit.release.conftest import failed
from tests.unit.release.test_release import planned

if TYPE_CHECKING:
    from tests.unit.release.conftest import FakeEcs, World

FULL = '{"message": "the database cannot be used", "reason": "FATAL: remaining connection slots are reserved for …"}'
WRONG = json.dumps({"reason": 'FATAL: password authentication failed for user "settlement_app"'})
ENDED = '{"kind": "end", "before": 205, "after": 12, "ended": 193}'
GONE = (
    "ResourceInitializationError: unable to pull secrets or registry auth: … InvalidRequestException: You can't "
    "perform this operation on the secret because it was marked for deletion."
)
SEVERAL = 8


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "COUNT_FAILURES_SECONDS", 0.0)


@pytest.fixture
def serving(world: World) -> World:
    """Return a world with two releases; the tasks of the second have addresses."""
    world.released("aaa")
    world.released("bbb")
    for address in ("10.0.1.11", "10.0.1.12"):
        world.ecs.start_task(address)
    return world


def start(world: World, *lines: str) -> Callable[[FakeEcs], None]:
    """Return a step at which a new task runs, whose log has these lines."""

    def step(ecs: FakeEcs) -> None:
        arn = ecs.start_task("10.0.1.21")["taskArn"]
        world.logs.streams[f"api/api/{arn.rsplit('/', 1)[-1]}"] = list(lines)

    return step


def say_again(world: World, line: str) -> Callable[[FakeEcs], None]:
    """Return a step at which the new task has logged another such line."""

    def step(_: FakeEcs) -> None:
        for lines in world.logs.streams.values():
            lines.append(f"{len(lines)} {line}")

    return step


def fail(**how: Any) -> Callable[[FakeEcs], None]:
    return lambda ecs: ecs.fail_task(**how)


def nothing(ecs: FakeEcs) -> None:
    """Change nothing."""


def complete(ecs: FakeEcs) -> None:
    ecs.complete()


def release(world: World, *steps: Callable[[FakeEcs], None]) -> None:
    releaser = world.releaser("ccc")
    plan = planned(releaser)
    world.ecs.runs.clear()
    world.ecs.rollout = [nothing, *steps]
    releaser.update(plan)


def roll_back(world: World, *steps: Callable[[FakeEcs], None]) -> None:
    rollback = world.rollback()
    plan = rollback.plan()
    world.ecs.runs.clear()
    world.ecs.rollout = [nothing, *steps]
    rollback.update(plan)


def take_back(world: World, *steps: Callable[[FakeEcs], None]) -> None:
    """Take back a release that came into service and was then found to be wrong."""
    releaser = world.releaser("ccc")
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.prepare(plan)
    world.ecs.rollout = [nothing, complete]
    releaser.update(plan)
    world.ecs.runs.clear()
    world.ecs.rollout = [nothing, *steps]
    assert "was put back" in releaser.end(plan, failed("answers with errors")).what


@pytest.mark.parametrize("move", [release, roll_back, take_back])
def test_idle_sessions_of_the_tasks_that_leave_are_ended_once_for_new_tasks(
    serving: World, move: Callable[..., None]
) -> None:
    serving.logs.streams["api/api/one-off"] = [ENDED]
    move(serving, start(serving, FULL), *[nothing] * SEVERAL, complete)
    (run,) = serving.ecs.runs
    assert "-admin:" in run["taskDefinition"]
    command = run["overrides"]["containerOverrides"][0]["command"]
    assert command[:4] == ["python", "-m", "shop.admin", "sessions"]
    assert command[command.index("--address") + 1 :] == ["10.0.1.11", "10.0.1.12"]
    assert "ended 193 sessions: 205 connections before, 12 after" in serving.text


def test_tasks_that_failed_before_there_was_room_are_not_counted(serving: World) -> None:
    serving.logs.streams["api/api/one-off"] = [ENDED]
    release(serving, *[fail()] * 4, start(serving, FULL), nothing, *[fail()] * 4, nothing, complete)
    assert "is the only one that runs" in serving.text


def test_it_is_tried_again_while_no_session_was_idle(serving: World) -> None:
    serving.logs.streams["api/api/one-off"] = ['{"kind": "end", "before": 205, "after": 205, "ended": 0}']
    release(serving, start(serving, FULL), *[say_again(serving, FULL)] * SEVERAL, complete)
    assert len(serving.ecs.runs) == 3


def test_without_an_admin_command_no_session_is_ended(serving: World) -> None:
    serving.application = replace(serving.application, admin_command=[])
    release(serving, start(serving, FULL), *[nothing] * SEVERAL, complete)
    assert serving.ecs.runs == []
    assert "the application has no admin command (app_admin_command), so no session is ended" in serving.text


def test_a_task_that_finds_its_connections_costs_no_session(serving: World) -> None:
    release(serving, start(serving, '{"message": "ready"}'), *[nothing] * SEVERAL, complete)
    assert serving.ecs.runs == []


DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no RunTask"}}, "RunTask")


@pytest.mark.parametrize(
    "output", [[], ['{"error": "OperationalError: FATAL: sorry, too many clients already"}'], None]
)
def test_what_cannot_be_freed_is_said_and_the_report_names_the_incident(
    serving: World, output: list[str] | None
) -> None:
    if output is None:
        serving.ecs.refuse["RunTask"] = DENIED
    else:
        serving.logs.streams["api/api/one-off"] = output
    with pytest.raises(ReleaseError) as failure:
        release(serving, start(serving, FULL), nothing, lambda ecs: ecs.roll_back(), complete)
    assert "no session was ended" in serving.text
    assert "the database had no connection left for the new tasks" in str(failure.value)
    assert "Next: make incident-db ENV=test" in str(failure.value)


def test_no_task_can_start_when_what_it_needs_is_gone(serving: World) -> None:
    serving.ecs.lists_service_deployments = False
    gone = fail(reason=GONE, code="TaskFailedToStart")
    with pytest.raises(ReleaseError, match=r"no task can start: never started; .*marked for deletion") as failure:
        release(serving, gone, gone, *[nothing] * 99)
    assert "was pointed at" in str(failure.value)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        # What was just created may take seconds to be visible: one failed task does not mean that the next one fails.
        (GONE, "TaskFailedToStart"),
        ("Task failed ELB health checks", "ServiceSchedulerInitiated"),
        ("ResourceInitializationError: … dial tcp: i/o timeout", "TaskFailedToStart"),
    ],
)
def test_a_task_that_could_not_start_is_no_end_yet(serving: World, reason: str, code: str) -> None:
    steps = [fail(reason=reason, code=code)] * (1 if reason is GONE else 3)
    release(serving, *steps, nothing, complete)
    assert "is the only one that runs" in serving.text


def test_tasks_whose_password_the_database_refuses_are_not_waited_for(serving: World) -> None:
    with pytest.raises(ReleaseError, match=r'no task can start: the database says: password .* user "settlement_app"'):
        release(serving, start(serving, WRONG), *[say_again(serving, WRONG)] * 3, *[nothing] * 99)


def test_a_password_that_was_refused_for_a_moment_is_no_end(serving: World) -> None:
    release(serving, start(serving, WRONG), say_again(serving, WRONG), *[nothing] * SEVERAL, complete)
    assert "is the only one that runs" in serving.text


def test_a_migration_that_finds_no_connection_runs_once_more_when_there_is_room(serving: World) -> None:
    serving.ecs.runs.clear()
    serving.ecs.run_exit_codes = [1, 0, 0]
    outputs = [FULL], [ENDED], ['{"schema_head": "0002", "changed": true}']
    serving.logs.streams = {f"api/api/one-off-{number}": lines for number, lines in enumerate(outputs, 1)}
    releaser = serving.releaser("ccc", schema_head="0002")
    assert releaser.prepare(planned(releaser))
    commands = [run["overrides"]["containerOverrides"][0]["command"] for run in serving.ecs.runs]
    assert [command[3] for command in commands] == ["prepare", "sessions", "prepare"]
    assert commands[1][-2:] == ["10.0.1.11", "10.0.1.12"]


def test_a_migration_that_fails_for_another_reason_runs_once(serving: World) -> None:
    serving.ecs.runs.clear()
    serving.ecs.run_exit_code = 1
    releaser = serving.releaser("ccc", schema_head="0002")
    with pytest.raises(ReleaseError):
        releaser.prepare(planned(releaser))
    assert len(serving.ecs.runs) == 1
