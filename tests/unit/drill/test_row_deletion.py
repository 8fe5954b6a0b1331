"""Deletion of rows before a restore, against a simulated application and ECS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.row_deletion import DELETED, LATER, check_rows, delete_rows
from fargate_ops.terraform.stack import Stack

STACK = Stack(
    {
        "public_url": "http://service",
        "cluster_name": "c",
        "container_name": "api",
        "admin_family": "c-admin",
        "private_subnet_ids": [],
        "admin_security_group_ids": [],
        "name_prefix": "c",
    },
    "test",
)


@dataclass
class World:
    """Accounts by id. The task does not delete the last ``spares``."""

    accounts: dict[str, str] = field(default_factory=dict)
    spares: int = 0
    marks: list[str] = field(default_factory=list)

    def http_call(self, method: str, url: str, body: Mapping[str, Any] | None) -> tuple[int, str]:
        if method == "GET":
            return (200 if url.rsplit("/", 1)[-1] in self.accounts else 404), ""
        assert body
        number = str(100 + len(self.marks))
        self.marks.append(body["name"])
        self.accounts[number] = body["name"]
        return 201, json.dumps({"id": number, "created_at": f"2026-11-24T10:15:{number[1:]}.123456Z"})

    def client(self, service: str) -> Any:
        return self

    def describe_task_definition(self, taskDefinition: str) -> dict[str, Any]:
        return {"taskDefinition": {"taskDefinitionArn": f"arn:{taskDefinition}:1", "containerDefinitions": []}}

    def run_task(self, **request: Any) -> dict[str, Any]:
        (override,) = request["overrides"]["containerOverrides"]
        (mark,) = (item["value"] for item in override["environment"])
        gone = [number for number, name in self.accounts.items() if name == mark][self.spares :]
        self.accounts = {number: name for number, name in self.accounts.items() if number not in gone}
        self.output = {"point": "2026-11-24T10:15:05Z", "deleted": len(gone)}
        return {"tasks": [{"taskArn": "arn:task/1"}]}

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        task = {"taskArn": tasks[0], "taskDefinitionArn": "arn:c-admin:1", "lastStatus": "STOPPED"}
        return {"tasks": [task | {"containers": [{"name": "api", "exitCode": 0}]}]}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr("fargate_ops.ecs.tasks.LogReader.new_lines", lambda reader: [json.dumps(found.output)])
    return found


def test_it_tells_what_is_gone_and_what_came_after_to_the_second(world: World) -> None:
    rows = delete_rows(world, STACK, print, 5, call=world.http_call, sleep=lambda _: None)
    assert (rows.point, len(rows.deleted), len(rows.later)) == ("2026-11-24T10:15:05Z", DELETED, LATER)
    assert (rows.first, rows.last) == ("2026-11-24T10:15:05Z", "2026-11-24T10:15:07Z")
    assert check_rows("http://service", rows, world.http_call) == {"back": 0, "later": LATER, "takes": True}


def test_rows_that_were_not_deleted_are_no_drill(world: World) -> None:
    world.spares = 1
    with pytest.raises(OperationsError, match="4 rows were deleted, 5 should be; 1 are still there"):
        delete_rows(world, STACK, print, 5, call=world.http_call, sleep=lambda _: None)
