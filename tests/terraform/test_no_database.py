"""An environment without a database: what its plan leaves out. One with a database keeps the addresses in its state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.inventories import PROVIDER, given, plan_tests
from tests.terraform.terraform import copy_source, own_schema, run_terraform

#: Addresses in the states of environments that exist. One that changes needs a `moved` block.
ADDRESSES = json.loads(Path(__file__).with_name("addresses.json").read_text(encoding="utf-8"))

#: Types that the provider cannot plan over a state without their attributes.
NOT_PLANNED = ("aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule")

#: What only a database needs, by the beginnings of the addresses.
OF_THE_DATABASE = (
    "module.ecs.aws_cloudwatch_log_group.admin[0]",
    "module.ecs.aws_secretsmanager_secret.app_database[0]",
    "module.ecs.aws_secretsmanager_secret.app_database_clone[0]",
    "module.iam.aws_iam_role.admin_task[0]",
    'module.iam.aws_iam_role.execution["admin-execution"]',
    "module.iam.aws_iam_role_policy.admin_task[0]",
    'module.iam.aws_iam_role_policy.execution["admin-execution"]',
    'module.monitoring.aws_cloudwatch_metric_alarm.this["database-',
    'module.monitoring.aws_cloudwatch_metric_alarm.this["query-bot-errors"]',
    'module.monitoring.aws_cloudwatch_metric_alarm.this["rotation-bot-errors"]',
    "module.query_bot[0]",
    "module.rds[0]",
    "module.rds_proxy[0]",
    "module.rotation_bot[0]",
    "module.security_groups.aws_security_group.admin[0]",
    "module.security_groups.aws_security_group.database[0]",
    "module.security_groups.aws_security_group.proxy[0]",
    "module.security_groups.aws_vpc_security_group_egress_rule.proxy_to_database[0]",
    "module.security_groups.aws_vpc_security_group_egress_rule.service_to_proxy[0]",
    "module.security_groups.aws_vpc_security_group_egress_rule.tasks_to_database",
    'module.security_groups.aws_vpc_security_group_egress_rule.tasks_to_apis["admin"]',
    "module.security_groups.aws_vpc_security_group_ingress_rule.database_from_proxy[0]",
    "module.security_groups.aws_vpc_security_group_ingress_rule.database_from_tasks",
    'module.security_groups.aws_vpc_security_group_ingress_rule.endpoints_from_tasks["admin"]',
    "module.security_groups.aws_vpc_security_group_ingress_rule.proxy_from_service[0]",
)
SECRET = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:settlement/slack-AbCdEf"
FULL = {"rds_proxy_enabled": True, "vpc_endpoints_enabled": True}
RUNS: dict[str, dict[str, Any]] = {
    "with": FULL,
    "without": {**FULL, "app_database": False},
    "own_secret": {**FULL, "app_database": False, "app_secret_arns": [SECRET]},
}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the addresses of the resources of each run."""
    directory = copy_source(tmp_path_factory.mktemp("plans"), "*.tftest.hcl")
    runs = {name: given("environment", "production", **changes) for name, changes in RUNS.items()}
    (directory / "plans.tftest.hcl").write_text(plan_tests("environment", runs), encoding="utf-8")
    run_terraform(directory, "init", "-backend=false", "-input=false")
    lines = map(json.loads, run_terraform(directory, "test", "-json", "-verbose").splitlines())
    found = {line["@testrun"]: line["test_plan"] for line in lines if line["type"] == "test_plan"}
    return {name: managed(plan["resource_changes"]) for name, plan in found.items()}


def managed(changes: Iterable[dict[str, Any]]) -> set[str]:
    return {change["address"] for change in changes if change["mode"] == "managed"}


def test_a_plan_without_a_database_leaves_out_what_only_a_database_needs(plans: dict[str, set[str]]) -> None:
    gone = {address for address in plans["with"] if address.startswith(OF_THE_DATABASE)}
    assert plans["with"] - plans["without"] == gone
    assert plans["without"] <= plans["with"]
    assert [name for name in OF_THE_DATABASE if not any(address.startswith(name) for address in gone)] == []


def test_the_rotation_bot_stays_for_a_secret_of_the_application(plans: dict[str, set[str]]) -> None:
    kept = plans["own_secret"] - plans["without"]
    bot = ("module.rotation_bot[0]", 'module.monitoring.aws_cloudwatch_metric_alarm.this["rotation-bot-errors"]')
    assert kept
    assert all(address.startswith(bot) for address in kept)


def test_an_environment_that_exists_keeps_its_resources(tmp_path: Path) -> None:
    """This state has no attributes, so a plan updates or replaces the resources; it must find each."""
    directory = copy_source(tmp_path, "*.tftest.hcl", "data.tf", "provider.tf")
    (directory / "provider.tf").write_text(PROVIDER, encoding="utf-8")
    values = given("environment", "production", **FULL) | {"bots_package_path": "provider.tf"}
    (directory / "terraform.tfvars.json").write_text(json.dumps(values), encoding="utf-8")
    (directory / "terraform.tfstate").write_text(json.dumps(state(ADDRESSES)), encoding="utf-8")
    run_terraform(directory, "init", "-input=false")
    run_terraform(directory, "plan", "-refresh=false", "-input=false", "-out=plan")
    plan = json.loads(run_terraform(directory, "show", "-json", "plan"))
    kept = {
        change.get("previous_address", change["address"])
        for change in plan["resource_changes"]
        if change["change"]["actions"] not in (["create"], ["delete"])
    }
    planned = {address for address in ADDRESSES if not any(f".{kind}." in address for kind in NOT_PLANNED)}
    assert sorted(planned - kept) == []


def state(addresses: Iterable[str]) -> dict[str, Any]:
    """Return a state that has these resources."""
    _, schemas = own_schema()
    resources = []
    for address in addresses:
        found = re.fullmatch(r"(?:(module\..+)\.)?(aws_\w+)\.(\w+)(?:\[(.+)\])?", address)
        assert found, address
        module, kind, name, key = found.groups()
        if kind in NOT_PLANNED:
            continue
        version = schemas["resource_schemas"][kind]["version"]
        instance = {"schema_version": version, "attributes": {"id": "existing"}}
        resources.append(
            {
                "mode": "managed",
                "type": kind,
                "name": name,
                "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
                "instances": [instance | ({"index_key": json.loads(key)} if key else {})],
            }
            | ({"module": module} if module else {})
        )
    return {
        "version": 4,
        "terraform_version": "1.11.0",
        "serial": 1,
        "lineage": "existing",
        "resources": merged(resources),
    }


def merged(resources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the resources with all instances of one in one entry."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for resource in resources:
        same = found.setdefault(
            (resource.get("module", ""), resource["type"], resource["name"]), {**resource, "instances": []}
        )
        same["instances"] += resource["instances"]
    return list(found.values())
