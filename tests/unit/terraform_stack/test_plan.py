"""The guard reads plans as Terraform writes them, and refuses what would lose data or interrupt it."""

from __future__ import annotations

from typing import Any

import pytest

from roles.terraform_stack.python.plan import read_plan, refusals


def resource(address: str, actions: list[str], **change: Any) -> dict[str, Any]:
    return {
        "address": address,
        "type": address.split(".")[-2],
        "mode": "managed",
        "change": {"actions": actions, "before": {}, "after": {}, **change},
    }


def plan(*resources: dict[str, Any], **outputs: list[str]) -> dict[str, Any]:
    return {
        "resource_changes": list(resources),
        "output_changes": {name: {"actions": actions} for name, actions in outputs.items()},
    }


def test_no_ops_and_reads_are_no_change() -> None:
    read = resource("data.aws_vpc.this", ["read"]) | {"mode": "data"}
    found = read_plan(plan(resource("aws_vpc.this", ["no-op"]), read, url=["no-op"]))
    assert found.empty
    assert found.summary() == "no change"


def test_changes_are_counted_by_verb() -> None:
    found = read_plan(
        plan(
            resource("aws_vpc.this", ["create"]),
            resource("aws_subnet.a", ["create"]),
            resource("aws_lb.this", ["update"], before={"idle_timeout": 30}, after={"idle_timeout": 60}),
        )
    )
    assert found.summary() == "create 2, update 1"
    assert found.changes[2].line() == "~ aws_lb.this (idle_timeout)"


def test_changed_outputs_alone_are_something_to_apply() -> None:
    found = read_plan(plan(url=["update"]))
    assert not found.empty
    assert found.summary() == "outputs only: url"


@pytest.mark.parametrize("actions", [["delete"], ["delete", "create"], ["create", "delete"]])
def test_a_protected_type_is_neither_destroyed_nor_replaced(actions: list[str]) -> None:
    found = read_plan(plan(resource("module.rds.aws_db_instance.this", actions)))
    assert refusals(found, ["aws_db_instance"], [])
    assert not refusals(found, ["aws_db_instance"], ["module.rds.aws_db_instance.this"])
    assert not refusals(found, ["aws_db_instance"], ["aws_db_instance"])
    assert not refusals(found, ["aws_vpc"], [])


def test_a_restart_of_the_database_needs_permission() -> None:
    change = {"before": {"instance_class": "db.t4g.micro"}, "after": {"instance_class": "db.t4g.small"}}
    found = read_plan(plan(resource("aws_db_instance.this", ["update"], **change)))
    assert refusals(found, ["aws_db_instance"], []) == ["would restart aws_db_instance.this (instance_class)"]


def test_an_update_without_a_restart_is_allowed() -> None:
    change = {"before": {"backup_retention_period": 1}, "after": {"backup_retention_period": 7}}
    assert not refusals(
        read_plan(plan(resource("aws_db_instance.this", ["update"], **change))), ["aws_db_instance"], []
    )


def test_an_argument_known_after_apply_counts_as_differing() -> None:
    change = {"before": {}, "after": {}, "after_unknown": {"engine_version": True}}
    assert read_plan(plan(resource("aws_db_instance.this", ["update"], **change))).changes[0].restarts
