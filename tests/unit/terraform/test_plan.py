"""The guard reads plans as Terraform writes them, and refuses changes that would lose data or interrupt the service."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.cost.plan_cost import Resource
from fargate_ops.terraform.plan import (
    INSTEAD,
    RESTARTING_ARGUMENTS,
    Plan,
    nothing_to_apply,
    permission,
    read_plan,
    refusal,
    refused,
    resources,
)

DEFAULTS = yaml.safe_load(Path("roles/terraform_stack/defaults/main.yml").read_text())


def resource(address: str, actions: list[str], **change: Any) -> dict[str, Any]:
    return {
        "address": address,
        "type": next(part for part in address.split(".") if part.startswith("aws_")),
        "mode": "managed",
        "change": {"actions": actions, "before": {}, "after": {}, **change},
    }


def plan(*resources: dict[str, Any], **outputs: list[str]) -> dict[str, Any]:
    return {
        "resource_changes": list(resources),
        "output_changes": {name: {"actions": actions} for name, actions in outputs.items()},
    }


def test_the_resources_of_a_plan_are_those_that_change_as_they_were_and_will_be() -> None:
    read = resource("data.aws_vpc.this", ["read"]) | {"mode": "data"}
    change = {"before": {"size": 1}, "after": {"size": 2}}
    found = resources(
        plan(
            read,
            resource("aws_vpc.this", ["no-op"]),
            resource("aws_lb.this", ["update"], **change),
            resource("aws_eip.a", ["create"], before=None),
            resource("aws_eip.b", ["forget"], before={"size": 3}, after=None),
        )
    )
    assert found == [
        Resource(address="aws_lb.this", type="aws_lb", **change),
        Resource(address="aws_eip.a", type="aws_eip", before=None, after={}),
        # AWS keeps it.
        Resource(address="aws_eip.b", type="aws_eip", before={"size": 3}, after={"size": 3}),
    ]


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
    assert [change.line() for change in found.changes] == [
        "+ aws_vpc.this",
        "+ aws_subnet.a",
        "~ aws_lb.this (idle_timeout)",
    ]


def test_a_short_plan_is_shown_whole_and_of_a_long_one_what_matters() -> None:
    created = [resource(f"aws_eip.n{number}", ["create"]) for number in range(3)]
    restart = {"before": {"instance_class": "small"}, "after": {"instance_class": "large"}}
    short = [*created, resource("aws_lb.this", ["delete", "create"]), resource("aws_sns_topic.old", ["delete"])]
    assert read_plan(plan(*short)).brief([]) == [
        *("+ aws_eip.n0", "+ aws_eip.n1", "+ aws_eip.n2"),
        *("-/+ aws_lb.this", "- aws_sns_topic.old"),
    ]
    assert read_plan(plan(*short)).brief(["aws_eip"])[0] == "+ aws_eip.n0  permitted"
    long = [
        *short,
        resource("aws_kms_key.kept", ["forget"]),
        resource("aws_vpc.this", ["update"], after={"tags": {}}),
        resource("aws_db_instance.this", ["update"], **restart),
        resource('aws_subnet.public["a"]', ["create"]),
    ]
    assert read_plan(plan(*long)).brief(["aws_subnet.public[a]", "aws_lb.other"]) == [
        "-/+ aws_lb.this",
        "- aws_sns_topic.old",
        ". aws_kms_key.kept",
        "~ aws_db_instance.this (instance_class; restarts it)",
        '+ aws_subnet.public["a"]  permitted',
    ]


def test_what_differs_is_named_and_nothing_else() -> None:
    change = {
        "before": {"name": "a", "idle_timeout": 30, "old": 1},
        "after": {"name": "a", "idle_timeout": 60, "arn": "known"},
        "after_unknown": {"id": True, "arn": True, "tags": False, "subnets": [True]},
    }
    found = read_plan(plan(resource("aws_eip.a", ["no-op"]), resource("aws_lb.this", ["update"], **change)))
    assert [change.line() for change in found.changes] == ["~ aws_lb.this (arn, id, idle_timeout, old)"]


def test_what_terraform_says_of_a_plan_without_changes() -> None:
    said = "aws_vpc.this: Refreshing state...\n\nNo changes. Your infrastructure matches the configuration.\n"
    assert nothing_to_apply(said)
    assert not nothing_to_apply("Plan: 1 to add, 0 to change, 0 to destroy.\n")


def test_changed_outputs_alone_are_something_to_apply() -> None:
    found = read_plan(plan(url=["update"], arn=["create"], id=["no-op"]))
    assert not found.empty
    assert found.summary() == "outputs only: arn, url"
    assert read_plan({}).empty


def addresses(found: Plan, *allowed: str, protected: str = "aws_db_instance") -> list[str]:
    return [change.address for change in refused(found, [protected], allowed)]


@pytest.mark.parametrize("actions", [["delete"], ["delete", "create"], ["create", "delete"]])
def test_a_protected_type_is_neither_destroyed_nor_replaced(actions: list[str]) -> None:
    found = read_plan(plan(resource("module.rds[0].aws_db_instance.this", actions)))
    assert addresses(found) == ["module.rds[0].aws_db_instance.this"]
    assert not addresses(found, "module.rds[0].aws_db_instance.this")
    assert not addresses(found, "aws_db_instance")
    assert addresses(found, "module.rds[0].aws_db_instance.other", "aws_vpc")
    assert not addresses(found, protected="aws_vpc")


def test_the_shipped_list_protects_whatever_loses_data_or_restarts() -> None:
    shipped = set(DEFAULTS["terraform_stack_protected_types"])
    assert {*INSTEAD, *RESTARTING_ARGUMENTS} <= shipped
    found = read_plan(plan(*(resource(f"{kind}.this", ["delete"]) for kind in sorted(shipped))))
    assert [change.type for change in refused(found, shipped, DEFAULTS["terraform_stack_allow"])] == sorted(shipped)


def test_an_address_is_permitted_with_and_without_its_quotation_marks() -> None:
    found = read_plan(plan(resource('aws_subnet.public["ap-northeast-2a"]', ["delete"])))
    assert addresses(found, protected="aws_subnet")
    for address in ('aws_subnet.public["ap-northeast-2a"]', "aws_subnet.public[ap-northeast-2a]"):
        assert not addresses(found, address, protected="aws_subnet")
    assert addresses(found, "aws_subnet.public[ap-northeast-2b]", protected="aws_subnet")


def test_a_refusal_names_the_change_its_cause_and_the_command_that_permits_it() -> None:
    found = read_plan(
        plan(
            resource('aws_subnet.public["ap-northeast-2a"]', ["delete"]),
            resource('aws_nat_gateway.this["ap-northeast-2a"]', ["delete", "create"]),
        )
    )
    causes = ["network_nat_gateways: was 1, is 2", "x: was 3, is 4"]
    told = refusal(refused(found, ["aws_subnet", "aws_nat_gateway"], []), "make deploy ENV=qa", causes)
    assert str(told) == (
        "Nothing was applied: other resources or clients depend on what the plan would\n"
        '  destroy aws_subnet.public["ap-northeast-2a"]\n'
        '  replace aws_nat_gateway.this["ap-northeast-2a"]\n'
        "  where: network_nat_gateways: was 1, is 2\n"
        "         x: was 3, is 4\n"
        "  next:  undo that change, or permit it: make deploy ENV=qa ARGS='-e terraform_stack_allow="
        "aws_subnet.public[ap-northeast-2a],aws_nat_gateway.this[ap-northeast-2a]'"
    )


@pytest.mark.parametrize(
    ("kind", "actions", "before", "lost"),
    [
        ("aws_db_instance", ["delete"], {"skip_final_snapshot": True}, True),
        ("aws_db_instance", ["delete"], {"skip_final_snapshot": False}, False),
        ("aws_db_instance", ["delete", "create"], {"skip_final_snapshot": False}, True),
        ("aws_s3_bucket", ["delete"], {}, True),
        ("aws_secretsmanager_secret", ["delete", "create"], {}, True),
        ("aws_ecr_repository", ["delete"], {}, True),
        ("aws_vpc", ["delete", "create"], {}, True),
        ("aws_subnet", ["delete", "create"], {}, False),
        ("aws_db_instance", ["update"], {"multi_az": True}, False),
    ],
)
def test_no_command_is_printed_that_would_lose_data(
    kind: str, actions: list[str], before: dict[str, Any], lost: bool
) -> None:
    found = read_plan(plan(resource(f"{kind}.this", actions, before=before), resource("aws_eip.this", ["delete"])))
    told = refusal(refused(found, [kind, "aws_eip"], []), "make deploy ENV=qa", []).next_step
    assert ("make deploy" not in told) == lost
    rule = "undo that change. What is meant all the same is named in terraform_stack_allow, after this:\n         "
    assert told.startswith(f"{rule}{kind}.this: ") == lost
    assert found.changes[0].instead == (INSTEAD[kind] if lost else "")


def test_what_permits_a_change_is_a_word_for_any_shell() -> None:
    found = read_plan(plan(resource('module.vpc.aws_subnet.public["ap-northeast-2a"]', ["delete"])))
    assert shlex.split(permission(found.changes)) == permission(found.changes).split(" ")


def test_what_forces_a_replacement_is_named() -> None:
    found = read_plan(plan(resource("aws_vpc.this", ["delete", "create"], replace_paths=[["cidr_block"]])))
    assert found.changes[0].line() == "-/+ aws_vpc.this (cidr_block)"
    assert found.changes[0].refused_line() == "replace aws_vpc.this (cidr_block)"
    paths = [["port"], ["identifier", 0]]
    found = read_plan(plan(resource("aws_db_instance.this", ["delete", "create"], replace_paths=paths)))
    assert found.changes[0].line() == "-/+ aws_db_instance.this (identifier, port)", "and no restart"


def test_a_plan_of_a_part_says_so() -> None:
    assert read_plan(plan()).complete
    assert read_plan({**plan(), "complete": True}).complete
    assert not read_plan({**plan(), "complete": False}).complete


def test_a_restart_of_the_database_needs_permission() -> None:
    change = {"before": {"instance_class": "db.t4g.micro", "port": 1}, "after": {"instance_class": "db.t4g.small"}}
    found = read_plan(plan(resource("aws_db_instance.this", ["update"], **change)))
    (change_,) = refused(found, ["aws_db_instance"], [])
    assert change_.refused_line() == "restart aws_db_instance.this (instance_class, port)"
    assert change_.line() == "~ aws_db_instance.this (instance_class, port; restarts it)"


def upgrade(before: str, after: str, *, at_once: bool = True) -> Plan:
    change = {"before": {"engine_version": before}, "after": {"engine_version": after, "apply_immediately": at_once}}
    return read_plan(plan(resource("module.rds[0].aws_db_instance.this", ["update"], **change)))


def test_an_upgrade_of_the_database_is_called_one_and_begins_with_a_snapshot() -> None:
    found = upgrade("16.9", "17")
    (change,) = found.changes
    assert change.line() == (
        "~ module.rds[0].aws_db_instance.this (apply_immediately, engine_version; upgrades it from PostgreSQL 16 to 17)"
    )
    told = refusal(
        refused(found, ["aws_db_instance"], []), "make deploy ENV=qa", ["database_engine_version: was 16, is 17"]
    )
    assert str(told) == (
        "Nothing was applied: other resources or clients depend on what the plan would\n"
        "  upgrade module.rds[0].aws_db_instance.this from PostgreSQL 16 to 17\n"
        "  where: database_engine_version: was 16, is 17\n"
        "  next:  undo that change, or take a snapshot (docs/runbooks/database_upgrade.md) and permit it: "
        "make deploy ENV=qa ARGS='-e terraform_stack_allow=module.rds[0].aws_db_instance.this'"
    )
    assert not addresses(found, "module.rds[0].aws_db_instance.this")


def test_a_minor_version_is_no_upgrade() -> None:
    assert upgrade("17.5", "17.6").changes[0].engine is None


@pytest.mark.parametrize(
    ("before", "after", "at_once", "said"),
    [
        (
            "18.1",
            "17",
            True,
            "RDS cannot go back from PostgreSQL 18 to 17; set database_engine_version: 18, and see "
            "docs/runbooks/database_upgrade.md for the way back to the data",
        ),
        (
            "17.6",
            "18",
            False,
            "the parameter group of the old version is in use until the upgrade, and could not be deleted; "
            "set database_apply_immediately: true",
        ),
    ],
)
def test_no_permission_helps_what_aws_cannot_do(before: str, after: str, at_once: bool, said: str) -> None:
    found = upgrade(before, after, at_once=at_once)
    changes = refused(found, ["aws_db_instance"], ["aws_db_instance"])
    told = refusal([*changes, *changes], "make deploy ENV=qa", []).next_step
    line = f"\n         module.rds[0].aws_db_instance.this: {said}"
    assert told == f"undo that change, or correct it:{line}{line}"


def test_another_database_is_no_upgrade() -> None:
    change = {"before": {"engine_version": "16"}, "after": {"engine_version": "17"}}
    (found,) = read_plan(plan(resource("aws_db_instance.this", ["delete", "create"], **change))).changes
    assert (found.engine, found.impossible) == (None, "")
    (found,) = read_plan(plan(resource("aws_db_instance.this", ["update"], before=None, after=None))).changes
    assert (found.engine, found.at_once) == (None, True)
    change = {"before": {"engine_version": "16.9"}, "after": {}, "after_unknown": {"engine_version": True}}
    (found,) = read_plan(plan(resource("aws_db_instance.this", ["update"], **change))).changes
    assert found.engine is None, "the version is not known yet"


def test_an_update_without_a_restart_is_allowed() -> None:
    change = {"before": {"backup_retention_period": 1}, "after": {"backup_retention_period": 7}}
    assert not addresses(read_plan(plan(resource("aws_db_instance.this", ["update"], **change))))


def test_an_argument_known_after_apply_counts_as_differing() -> None:
    change = {"before": {}, "after": {}, "after_unknown": {"engine_version": True}}
    assert read_plan(plan(resource("aws_db_instance.this", ["update"], **change))).changes[0].restarts
