"""The drill's rows, against a simulated ECS."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.row_deletion import DELETED, LATER, DeletedRows, Rows
from fargate_ops.terraform.stack import Stack

STACK = Stack(
    {
        "cluster_name": "c",
        "container_name": "api",
        "admin_family": "c-admin",
        "private_subnet_ids": [],
        "admin_security_group_ids": ["sg-admin"],
        "name_prefix": "c",
    },
    "test",
)
WRITTEN = {"point": "2026-11-24T10:15:05Z", "first": "2026-11-24T10:15:05Z", "last": "2026-11-24T10:15:07Z"}


@dataclass
class World:
    """ECS with one admin task, which prints ``output`` and ends with ``exit_code``."""

    output: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    environments: list[dict[str, str]] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return self

    def describe_task_definition(self, taskDefinition: str) -> dict[str, Any]:
        return {"taskDefinition": {"taskDefinitionArn": f"arn:{taskDefinition}:1", "containerDefinitions": []}}

    def run_task(self, **request: Any) -> dict[str, Any]:
        (override,) = request["overrides"]["containerOverrides"]
        assert request["taskDefinition"] == "arn:c-admin:1"
        self.environments.append({item["name"]: item["value"] for item in override["environment"]})
        return {"tasks": [{"taskArn": "arn:task/1"}]}

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        task = {"taskArn": tasks[0], "taskDefinitionArn": "arn:c-admin:1", "lastStatus": "STOPPED"}
        return {"tasks": [task | {"containers": [{"name": "api", "exitCode": self.exit_code}]}]}

    def rows(self) -> Rows:
        return Rows(self, STACK, print, 5, sleep=lambda _: None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr("fargate_ops.ecs.tasks.LogReader.new_lines", lambda reader: [json.dumps(found.output)])
    return found


def test_it_tells_what_is_gone_and_what_came_after_to_the_second(world: World) -> None:
    world.output = {**WRITTEN, "deleted": DELETED, "later": LATER}
    assert world.rows().delete() == DeletedRows(**WRITTEN, deleted=DELETED, later=LATER)
    assert world.environments == [{"STEP": "delete", "DELETED": str(DELETED), "LATER": str(LATER)}]


def test_the_rows_that_are_there_are_counted_and_the_table_is_dropped(world: World) -> None:
    world.output = {"back": 5, "later": 0}
    assert world.rows().count() == {"back": 5, "later": 0}
    world.rows().drop()
    assert [environment["STEP"] for environment in world.environments] == ["count", "drop"]


def test_rows_that_were_not_deleted_are_no_drill(world: World) -> None:
    world.output = {**WRITTEN, "deleted": 4, "later": LATER}
    with pytest.raises(OperationsError, match="4 rows were deleted, 5 should be"):
        world.rows().delete()


def test_a_task_that_failed_is_told(world: World) -> None:
    world.exit_code = 1
    with pytest.raises(OperationsError, match="the drill's rows: count failed"):
        world.rows().count()
