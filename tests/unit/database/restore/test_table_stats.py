"""Table statistics by one-off tasks, against a simulated ECS."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_ops.core.application import Application
from fargate_ops.database.restore.table_stats import TableStatsReader
from fargate_ops.ecs.tasks import TaskError
from fargate_ops.terraform.stack import DatabaseInstance, Stack

APPLICATION = Application(name="shop", port=8000, health_path="/", admin_command=["python", "-m", "shop.admin"])
STACK = Stack(
    {
        "admin_family": "app-admin",
        "cluster_name": "app",
        "container_name": "api",
        "private_subnet_ids": ["subnet-1"],
        "admin_security_group_ids": ["sg-1"],
        "name_prefix": "app",
    },
    "test",
)
POINT = datetime(2026, 11, 24, 10, 15, tzinfo=UTC)
OLD = DatabaseInstance({"host": "old", "instance_identifier": "app", "master_secret_arn": "arn:old"})
NEW = DatabaseInstance({"host": "new", "instance_identifier": "app-1", "master_secret_arn": "arn:new"})


class Ecs:
    """An ECS with one admin task definition."""

    def __init__(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code
        self.ran: list[dict[str, Any]] = []
        self.active = {"arn:app-admin:1": self._definition()}

    @staticmethod
    def _definition() -> dict[str, Any]:
        pairs = {"DATABASE_HOST": "old", "DATABASE_INSTANCE": "app", "AWS_REGION": "x"}
        names = {"MASTER_USERNAME": "arn:old:username::", "MASTER_PASSWORD": "arn:old:password::", "OTHER": "arn:other"}
        return {
            "family": "app-admin",
            "revision": 1,
            "containerDefinitions": [
                {
                    "name": "api",
                    "environment": [{"name": name, "value": value} for name, value in pairs.items()],
                    "secrets": [{"name": name, "valueFrom": value} for name, value in names.items()],
                    "logConfiguration": {
                        "logDriver": "awslogs",
                        "options": {"awslogs-group": "g", "awslogs-stream-prefix": "api"},
                    },
                }
            ],
        }

    def describe_task_definition(self, taskDefinition: str) -> dict[str, Any]:
        arn = taskDefinition if taskDefinition in self.active else max(self.active)
        return {"taskDefinition": self.active[arn] | {"taskDefinitionArn": arn, "status": "ACTIVE"}}

    def register_task_definition(self, **definition: Any) -> dict[str, Any]:
        assert not {"taskDefinitionArn", "revision", "status"} & set(definition)
        self.active["arn:app-admin:2"] = definition
        return {"taskDefinition": {"taskDefinitionArn": "arn:app-admin:2"}}

    def deregister_task_definition(self, taskDefinition: str) -> None:
        del self.active[taskDefinition]

    def run_task(self, **request: Any) -> dict[str, Any]:
        self.ran.append(request | {"definition": self.active[request["taskDefinition"]]})
        return {"tasks": [{"taskArn": "arn:task/1"}]}

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        return {
            "tasks": [
                {
                    "taskArn": tasks[0],
                    "taskDefinitionArn": self.ran[-1]["taskDefinition"],
                    "lastStatus": "STOPPED",
                    "containers": [{"name": "api", "exitCode": self.exit_code}],
                }
            ]
        }


class Logs:
    def get_log_events(self, **_: Any) -> dict[str, Any]:
        return {"events": [{"message": json.dumps({"kind": "schema", "head": "0001"})}]}


class Clients:
    def __init__(self, ecs: Ecs) -> None:
        self._clients = {"ecs": ecs, "logs": Logs()}

    def client(self, service: str) -> Any:
        return self._clients[service]


def reader(ecs: Ecs) -> TableStatsReader:
    return TableStatsReader(Clients(ecs), STACK, APPLICATION, print, wait_seconds=5, sleep=lambda _: None)


def test_the_database_that_serves_is_asked_with_the_definition_that_is_there() -> None:
    ecs = Ecs()
    assert reader(ecs).read(OLD, POINT).head == "0001"
    assert list(ecs.active) == ["arn:app-admin:1"]
    command = ecs.ran[0]["overrides"]["containerOverrides"][0]["command"]
    assert command == ["python", "-m", "shop.admin", "survey", "--after", "2026-11-24T10:15:00+00:00"]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_another_is_asked_with_a_copy_that_is_gone_afterwards(exit_code: int) -> None:
    ecs = Ecs(exit_code)
    if exit_code:
        with pytest.raises(TaskError, match="reading the table statistics of app-1 failed"):
            reader(ecs).read(NEW, POINT)
    else:
        reader(ecs).read(NEW, POINT)
    (container,) = ecs.ran[0]["definition"]["containerDefinitions"]
    assert {item["name"]: item["value"] for item in container["environment"]} == {
        "DATABASE_HOST": "new",
        "DATABASE_INSTANCE": "app-1",
        "AWS_REGION": "x",
    }
    assert {item["name"]: item["valueFrom"] for item in container["secrets"]} == {
        "MASTER_USERNAME": "arn:new:username::",
        "MASTER_PASSWORD": "arn:new:password::",
        "OTHER": "arn:other",
    }
    assert list(ecs.active) == ["arn:app-admin:1"]
