"""What Terraform refuses of an inventory's values, preflight refuses before, in the inventory's names.

A new `validation` or `precondition` that a value of the inventory reaches needs a case here, and a rule in preflight.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.inventory.preflight import Given, check
from fargate_ops.inventory.resolve import resolved
from fargate_ops.inventory.values import VALUES
from tests.support.inventory import INVENTORIES, Inventory, read
from tests.terraform.validations import Condition, conditions, holding

_ZONE = {"public": "10.0.8.0/24", "private": "10.0.1.0/24", "database": "10.0.4.0/24"}
_OTHER = {"public": "10.0.9.0/24", "private": "10.0.2.0/24", "database": "10.0.5.0/24"}
_NAME = {"app_name": "Settlement!"}
_ACCOUNT = {"aws_account_id": "1234"}
_RETENTION = {"log_retention_days": 31}
_WINDOW = {"secret_recovery_window_days": 3}
_CERTIFICATE = "arn:aws:acm:ap-northeast-2:222222222222:certificate/1"


def _zones(**kinds: str) -> dict[str, Any]:
    return {"network_availability_zones": {"ap-northeast-2a": _ZONE | kinds, "ap-northeast-2b": _OTHER}}


def _restore(key: str = "20260101-000000", **values: str | None) -> dict[str, Any]:
    return {"database_restores": {key: {"source": "", "time": None, "snapshot": None} | values}}


#: By condition, values of an inventory with which it does not hold.
CASES: dict[str, dict[str, Any]] = {
    ". app_name 0": _NAME,
    ". environment 0": {"env_name": "Staging"},
    ". environment 1": {"app_name": "x" * 25},
    ". region 0": {"aws_region": "Seoul"},
    ". account_id 0": _ACCOUNT,
    ". availability_zones 0": {"network_availability_zones": {"us-east-1a": _ZONE, "us-east-1b": _OTHER}},
    ". certificate_arn 0": {"https_certificate_arn": _CERTIFICATE},
    ". public_url 0": {"public_url": "https://example.com/path"},
    ". deployment_alarms 0": {"deployment_alarms": ["cpu"]},
    ". app_workers 0": {"app_workers": 0},
    ". app_pool_size 0": {"app_pool_size": 0},
    ". app_max_overflow 0": {"app_max_overflow": -1},
    ". database_max_connections 0": {"app_pool_size": 50},
    ". database_max_connections 1": {"rds_proxy_enabled": True, "rds_proxy_max_connections_percent": 79},
    ". permissions_boundary_arn 0": {"app_name": "a*b"},
    "modules/vpc cidr 0": {"network_vpc_cidr": "10.0.0.0/25"},
    "modules/vpc availability_zones 0": {"network_availability_zones": {"ap-northeast-2a": _ZONE}},
    "modules/vpc availability_zones 1": _zones(public="10.0.8.0/29"),
    "modules/vpc nat_gateways 0": {"network_nat_gateways": "none"},
    "modules/vpc log_retention_days 0": _RETENTION,
    "modules/vpc aws_vpc.this 0": _zones(public="10.1.0.0/24"),
    "modules/vpc aws_vpc.this 1": _zones(public="10.0.1.128/25"),
    "modules/security_groups client_cidrs 0": {"network_client_cidrs": ["203.0.113.1/24"]},
    "modules/endpoints interface_services 0": {"vpc_endpoint_services": ["sqs"]},
    "modules/endpoints interface_services 1": {"vpc_endpoint_services": ["ecr.api"]},
    "modules/alb name 0": {"app_name": "x" * 25},
    "modules/alb certificate_arn 0": {"https_certificate_arn": "arn:aws:iam::222222222222:server-certificate/x"},
    "modules/alb certificate_arn 1": {
        "https_certificate_arn": _CERTIFICATE.replace("ap-northeast-2", "us-east-1"),
        "https_domain_name": "example.com",
    },
    "modules/alb hosted_zone_id 0": {"https_hosted_zone_id": "z1", "https_domain_name": "example.com"},
    "modules/alb hosted_zone_id 1": {"https_hosted_zone_id": "Z1"},
    "modules/alb domain_name 0": {"https_domain_name": "Example.com"},
    "modules/alb access_logs_retention_days 0": {"alb_access_logs_retention_days": 0},
    "modules/alb aws_s3_bucket.access_logs 0": {"app_name": "x" * 19, "alb_access_logs": True},
    "modules/ecs container_insights 0": {"container_insights": "on"},
    "modules/ecs cpu_architecture 0": {"app_cpu_architecture": "arm64"},
    "modules/ecs deployment_maximum_percent 0": {"app_deployment_maximum_percent": 100},
    "modules/ecs health_check_grace_period_seconds 0": {"app_health_check_grace_period_seconds": -1},
    "modules/ecs log_retention_days 0": _RETENTION,
    "modules/ecs secret_recovery_window_days 0": _WINDOW,
    "modules/iam name 0": {"app_name": "x" * 50},
    "modules/iam app_secret_arns 0": {"app_secret_arns": ["settlement/slack"]},
    "modules/rds name 0": _NAME,
    "modules/rds engine_version 0": {"database_engine_version": 13},
    "modules/rds instance_class 0": {"database_instance_class": "t4g.small"},
    "modules/rds allocated_storage_gb 0": {"database_allocated_storage_gb": 10},
    "modules/rds max_allocated_storage_gb 0": {"database_allocated_storage_gb": 100},
    "modules/rds max_connections 0": {"database_max_connections": 5},
    "modules/rds slow_query_milliseconds 0": {"database_slow_query_milliseconds": 0},
    "modules/rds backup_retention_days 0": {"database_backup_retention_days": 0},
    "modules/rds log_retention_days 0": _RETENTION,
    "modules/rds restores 0": _restore("yesterday", snapshot="x"),
    "modules/rds restores 1": _restore(),
    "modules/rds restores 2": _restore(snapshot="x", source="20250101-000000"),
    "modules/rds serving 0": {"database_serving": "20260101-000000"},
    "modules/rds_proxy max_connections_percent 0": {"rds_proxy_max_connections_percent": 101},
    "modules/rds_proxy max_idle_connections_percent 0": {
        "rds_proxy_enabled": True,
        "rds_proxy_max_idle_connections_percent": 76,
    },
    "modules/autoscaling min_tasks 0": {"app_min_tasks": 0},
    "modules/autoscaling max_tasks 0": {"app_max_tasks": 1},
    "modules/autoscaling peak_min_tasks 0": {"app_peak_min_tasks": 1},
    "modules/autoscaling peak_max_tasks 0": {"app_peak_max_tasks": 3},
    "modules/autoscaling peak_starts_at 0": {"app_peak_starts_at": "24:00"},
    "modules/autoscaling peak_ends_at 0": {"app_peak_ends_at": "0:00"},
    "modules/autoscaling timezone 0": {"app_scaling_timezone": "KST"},
    "modules/notifications name 0": _NAME,
    "modules/notifications account_id 0": _ACCOUNT,
    "modules/notifications notification_emails 0": {"notification_emails": {"urgent": ["nobody"], "warning": []}},
    "modules/notifications secret_recovery_window_days 0": _WINDOW,
    "modules/bot name 0": _NAME,
    "modules/bot log_retention_days 0": _RETENTION,
    "modules/query_bot name 0": _NAME,
    "modules/query_bot account_id 0": _ACCOUNT,
    "modules/query_bot slow_query_milliseconds 0": {"database_slow_query_milliseconds": 0},
    "modules/query_bot deduplication_window_seconds 0": {"query_bot_window_seconds": 0},
    "modules/rotation_bot name 0": _NAME,
    "modules/rotation_bot account_id 0": _ACCOUNT,
    "modules/monitoring name 0": _NAME,
    "modules/monitoring error_rate_minimum_requests 0": {"error_rate_minimum_requests": 1},
    "modules/monitoring database_free_memory_minimum_mb 0": {"database_free_memory_minimum_mb": 0},
    "account app_name 0": _NAME,
    "account home_region 0": {"account_home_region": "Seoul"},
    "account region 0": {"aws_region": "Seoul"},
    "account account_id 0": _ACCOUNT,
    "account config_delivery_bucket 0": {"config_delivery_bucket": None},
    "account github_repository 0": {"github_environments": []},
    "modules/detection name 0": _NAME,
    "modules/detection resource_types 0": {"detection_resource_types": ["S3"]},
    "modules/detection required_tags 0": {"detection_required_tags": ["a,b"]},
    "modules/cost name 0": _NAME,
    "modules/cost budget_monthly_usd 0": {"budget_monthly_usd": 0},
    "modules/cost anomaly_minimum_usd 0": {"cost_anomaly_minimum_usd": -1},
    "modules/github repository 0": {"github_repository": "settlement"},
    "modules/github repository_id 0": {"github_owner_id": 1},
    "modules/github environments 0": {"github_environments": ["cost-x"]},
    "modules/ecr name 0": {"app_name": "a"},
    "modules/ecr untagged_retention_days 0": {"ecr_untagged_retention_days": 0},
}

#: What the playbooks give to each root.
GIVEN = {"environment": "terraform_variables", "account": "__terraform_account_chosen"}
#: Conditions of values that a file of this repository gives.
NOT_OF_THE_INVENTORY = {"modules/github cost_policy 0"}


@cache
def staging() -> Inventory:
    return read(INVENTORIES / "staging").changed(github_repository="example/settlement")


def variables(root: str, **changes: Any) -> dict[str, Any]:
    """What a root of Terraform is given by staging's inventory with other values, as the playbooks do it."""
    inventory = staging().changed(**changes)
    found = inventory.template(inventory.variables[GIVEN[root]])
    # As the role account_singletons finds an account that has nothing yet.
    existing = {"existing_config_recorder": None} if root == "account" else {}
    return dict(found) | existing


@pytest.fixture(scope="module")
def reached() -> dict[str, Condition]:
    """The conditions that a value of the inventory reaches, by name."""
    given = {root: variables(root).keys() for root in GIVEN}
    return {
        condition.name: condition
        for condition in conditions()
        if condition.is_known
        and set(re.findall(r"(?<![\w.])given\.(\w+)", condition.expression)) & given[condition.root]
        and condition.name not in NOT_OF_THE_INVENTORY
    }


def test_each_condition_that_the_inventory_reaches_has_a_case(reached: dict[str, Condition]) -> None:
    assert sorted(reached) == sorted(CASES)


def test_terraform_takes_the_shipped_inventory(reached: dict[str, Condition], tmp_path: Path) -> None:
    given = {root: variables(root) for root in GIVEN}
    held = holding(tmp_path, {name: (condition, given[condition.root]) for name, condition in reached.items()})
    assert [name for name, holds in held.items() if not holds] == []


def test_what_terraform_refuses_preflight_refuses(reached: dict[str, Condition], tmp_path: Path) -> None:
    asked = {
        name: (condition, variables(condition.root, **CASES[name]))
        for name, condition in reached.items()
        if name in CASES
    }
    assert [name for name, holds in holding(tmp_path, asked).items() if holds] == []
    passed = []
    for name in asked:
        inventory = staging().changed(**CASES[name])
        problems = check(Given(*resolved(VALUES, inventory.variables, inventory.template))).problems
        named = {path.partition(" ")[0].partition(".")[0] for problem in problems for path in problem.where.split(", ")}
        if not named & CASES[name].keys():
            passed.append(name)
    assert passed == []


def test_each_variable_that_terraform_is_given_has_a_kind() -> None:
    """What the two maps of the playbooks name is checked, or made of what is."""
    inventory = staging()
    texts = [str(value) for name in GIVEN.values() for value in inventory.variables[name].values()]
    words = {word for text in texts for word in re.findall(r"\b[a-z][a-z0-9_]*\b", text)}
    assert sorted((words & inventory.variables.keys()) - VALUES.keys() - {"github_boundary_arn", "project_dir"}) == []
