"""What `make verify` checks of running tasks: they use the current resources, and their credentials log in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_ops.ecs.task_definition import Image, service_definition
from fargate_ops.release.checks import what_runs
from fargate_ops.release.checks.checks import Wanted, check_what_runs
from fargate_ops.release.checks.findings import Finding, Verdict
from tests.unit.release.checks.conftest import SETTINGS
from tests.unit.release.conftest import APPLICATION, SECRET, STACK, World, client_error

IMAGE = Image(version="aaa", digest="sha256:aaa", reference="registry/settlement@sha256:aaa", schema_head="0001")


@pytest.fixture
def world() -> World:
    """Return a world in which one task of one release runs."""
    world = World(s3=None)
    definition = service_definition(STACK, APPLICATION, SETTINGS, IMAGE)
    arn = world.ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
    world.ecs.update_service(taskDefinition=arn, desiredCount=1)
    world.ecs.start_task()
    world.ecs.complete()
    return world


def look(world: World, preview: bool = False) -> list[Finding]:
    wanted = Wanted(
        environment="test",
        stack=STACK,
        application=world.application,
        settings=SETTINGS,
        image=IMAGE,
        preview=preview,
    )
    return check_what_runs(world, wanted, world.said.append, 0, lambda _: None)


def found(world: World) -> Finding:
    """Return verdict and reason of the login."""
    (finding,) = [item for item in look(world) if item.subject == "database"]
    return finding


def test_what_is_sound_is_ok_and_the_task_is_the_services_own(world: World) -> None:
    world.logs.streams["api/api/one-off"] = ['{"user": "settlement_app"}']
    findings = look(world)
    assert [finding.verdict for finding in findings] == [Verdict.OK, Verdict.OK]
    (run,) = world.ecs.runs
    assert run["taskDefinition"] == world.ecs.primary["taskDefinition"]
    assert run["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] == ["sg-1"]
    (override,) = run["overrides"]["containerOverrides"]
    assert override == {"name": "api", "command": ["python", "-m", "shop.admin", "login"]}


WRONG = '{"error": "FATAL:  password authentication failed for user \\"settlement_app\\""}'


@pytest.mark.parametrize(
    ("said", "verdict", "reason"),
    [
        (WRONG, Verdict.FAIL, "password authentication failed for user"),
        ('{"error": "FATAL:  sorry, too many clients already"}', Verdict.WARN, "no connection left"),
        ("ModuleNotFoundError: No module named 'shop.admin'", Verdict.SKIP, "has no python -m shop.admin login"),
        ('{"error": "connection to server at \\"db\\" failed: timeout expired"}', Verdict.FAIL, "timeout expired"),
    ],
)
def test_what_the_database_says_decides(world: World, said: str, verdict: Verdict, reason: str) -> None:
    world.ecs.run_exit_code = 1
    world.logs.streams["api/api/one-off"] = ["an earlier line", said]
    finding = found(world)
    assert finding.verdict is verdict
    assert reason in finding.reason
    if verdict is Verdict.FAIL:
        assert "make deploy ENV=test" in finding.next_command
        assert "make rotate-secret ENV=test ARGS='-e rotate_older_than_days=0'" in finding.next_command


def test_an_admin_command_without_login_says_nothing_of_the_credentials(world: World) -> None:
    world.ecs.run_exit_code = 2
    world.logs.streams["api/api/one-off"] = ["usage: admin [-h] {prepare}", "admin: error: invalid choice: 'login'"]
    finding = found(world)
    assert finding.verdict is Verdict.SKIP
    assert finding.reason.endswith("this image has no python -m shop.admin login")


def test_without_an_admin_command_no_task_is_started(world: World) -> None:
    world.application = replace(APPLICATION, admin_command=[])
    finding = found(world)
    assert (finding.verdict, world.ecs.runs) == (Verdict.SKIP, [])
    assert "the application has no admin command (app_admin_command)" in finding.reason


def test_a_task_that_may_not_be_run_says_nothing_of_the_credentials(world: World) -> None:
    world.ecs.refuse["RunTask"] = client_error("RunTask", "no", "AccessDeniedException")
    assert found(world).verdict is Verdict.SKIP


def silence(world: World) -> None:
    world.logs.silent = {arn.rsplit("/", 1)[-1] for arn, task in world.ecs.tasks.items() if task.get("group")}


def change_the_secret(world: World) -> None:
    world.secrets.put[SECRET] = datetime.now(UTC)


@pytest.mark.parametrize(
    ("change", "reason"), [(silence, "has no log stream of the task"), (change_the_secret, "has a new value since")]
)
def test_tasks_that_do_not_use_what_is_there(world: World, change: Callable[[World], None], reason: str) -> None:
    change(world)
    finding = look(world)[0]
    assert (finding.group, finding.verdict) == (what_runs.GROUP, Verdict.FAIL)
    assert reason in finding.reason
    assert finding.next_command == "make deploy ENV=test, which replaces the tasks"


def test_what_may_not_be_asked_is_skipped(world: World) -> None:
    def refuse(**_: Any) -> None:
        raise client_error("ListSecretVersionIds", "slow down", "ThrottlingException")

    world.secrets.list_secret_version_ids = refuse  # type: ignore[method-assign, assignment]
    assert look(world)[0].verdict is Verdict.SKIP


def test_check_mode_starts_no_task(world: World) -> None:
    assert [finding.verdict for finding in look(world, preview=True)] == [Verdict.OK, Verdict.SKIP]
    assert world.ecs.runs == []


def test_without_a_database_there_is_no_login(world: World) -> None:
    world.application = replace(world.application, database=False)
    (finding,) = look(world)
    assert (finding.verdict, finding.reason.startswith("its tasks log")) == (Verdict.OK, True)
    assert world.ecs.runs == []


def test_a_service_without_tasks_has_nothing_to_look_at() -> None:
    assert look(World(s3=None)) == []
