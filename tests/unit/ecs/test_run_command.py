"""A command as a one-off task: the request to ECS, and the outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fargate_ops.core.problem import OperationsError
from fargate_ops.ecs.run_command import Request, run
from fargate_ops.ecs.tasks import TaskError

LOG = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-stream-prefix": "api"}}
REQUEST = Request(
    cluster="c",
    service="app",
    container="api",
    command="python -c 'print(1)'",
    environment={"PORT": 80},
    subnets=["subnet-1"],
    security_groups=["sg-1"],
    started_by="me",
)


class Aws:
    """ECS with one service and one task, and the task's log."""

    def __init__(self, exit_code: int = 0, services: int = 1) -> None:
        self.exit_code, self.services = exit_code, services
        self.ran: list[dict[str, Any]] = []

    def client(self, _: str) -> Any:
        return self

    def describe_services(self, **_: Any) -> Any:
        return {"services": [{"taskDefinition": "arn:app:7"}] * self.services}

    def describe_task_definition(self, taskDefinition: str) -> Any:
        arn = taskDefinition if taskDefinition.startswith("arn:") else f"arn:{taskDefinition}:9"
        family, revision = arn.removeprefix("arn:").split(":")
        containers = [{"name": "api", "logConfiguration": LOG}]
        definition = {"taskDefinitionArn": arn, "family": family, "revision": int(revision)}
        return {"taskDefinition": {**definition, "containerDefinitions": containers}}

    def run_task(self, **request: Any) -> Any:
        self.ran.append(request)
        return {"tasks": [{"taskArn": "arn:task/c/1"}], "failures": []}

    def describe_tasks(self, **_: Any) -> Any:
        task = {
            "taskArn": "arn:task/c/1",
            "taskDefinitionArn": "arn:app:7",
            "lastStatus": "STOPPED",
            "containers": [{"name": "api", "exitCode": self.exit_code}],
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container exited",
        }
        return {"tasks": [task]}

    def get_log_events(self, nextToken: str = "0", **_: Any) -> Any:
        return {"events": [{"message": "1"}] if nextToken == "0" else [], "nextForwardToken": "1"}


def ran(aws: Aws, request: Request = REQUEST) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return run(aws, request, said.append, wait_seconds=60, log_grace_seconds=0, sleep=lambda _: None), said


def test_the_definition_that_serves_runs_the_command() -> None:
    aws = Aws()
    outcome, said = ran(aws)
    assert (outcome["exit_code"], outcome["output"], outcome["task_arn"]) == (0, ["1"], "arn:task/c/1")
    (request,) = aws.ran
    assert request["taskDefinition"] == "arn:app:7"
    (override,) = request["overrides"]["containerOverrides"]
    assert override["command"] == ["python", "-c", "print(1)"]
    assert override["environment"] == [{"name": "PORT", "value": "80"}]
    assert said[0] == "running python -c 'print(1)' as a task of app:7"
    assert REQUEST.what == "app"


def test_a_family_runs_its_newest_definition() -> None:
    aws = Aws()
    admin = replace(REQUEST, service=None, task_definition="app-admin")
    ran(aws, admin)
    assert aws.ran[0]["taskDefinition"] == "arn:app-admin:9"
    assert admin.what == "app-admin"


def test_another_exit_code_is_a_failure_with_the_outcome() -> None:
    with pytest.raises(OperationsError, match=r"^python -c 'print\(1\)': .*exit code 3") as failed:
        ran(Aws(exit_code=3))
    assert (failed.value.details["exit_code"], failed.value.details["output"]) == (3, ["1"])


def test_a_service_that_is_not_there_and_a_command_that_cannot_be_split_are_named() -> None:
    with pytest.raises(TaskError, match="there is no service app in the cluster c"):
        ran(Aws(services=0))
    with pytest.raises(OperationsError, match="cannot be split: No closing quotation"):
        ran(Aws(), replace(REQUEST, command="echo 'a"))
