"""What Terraform refuses of an inventory's values, preflight refuses before, in the inventory's names.

A new `validation` or `precondition` that a value of the inventory reaches needs a case here, and a rule in preflight.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.inventory.preflight import Given, check
from fargate_ops.inventory.resolve import resolved
from fargate_ops.inventory.values import VALUES
from tests.terraform.configuration import ROOTS
from tests.terraform.inventories import given, inventory
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
    ". env_name 0": {"env_name": "Staging"},
    ". env_name 1": {"app_name": "x" * 25},
    ". aws_region 0": {"aws_region": "Seoul"},
    ". aws_account_id 0": _ACCOUNT,
    ". network_availability_zones 0": {"network_availability_zones": {"us-east-1a": _ZONE, "us-east-1b": _OTHER}},
    ". https_certificate_arn 0": {"https_certificate_arn": _CERTIFICATE},
    ". public_url 0": {"public_url": "https://example.com/path"},
    ". deployment_alarms 0": {"deployment_alarms": ["cpu"]},
    ". app_port 0": {"app_port": 80},
    ". app_workers 0": {"app_workers": 0},
    ". app_pool_size 0": {"app_pool_size": 0},
    ". app_max_overflow 0": {"app_max_overflow": -1},
    ". database_max_connections 0": {"app_pool_size": 50},
    ". database_max_connections 1": {"rds_proxy_enabled": True, "rds_proxy_max_connections_percent": 79},
    ". permissions_boundary_arn 0": {"app_name": "a*b"},
    "modules/vpc network_vpc_cidr 0": {"network_vpc_cidr": "10.0.0.0/25"},
    "modules/vpc network_availability_zones 0": {"network_availability_zones": {"ap-northeast-2a": _ZONE}},
    "modules/vpc network_availability_zones 1": _zones(public="10.0.8.0/29"),
    "modules/vpc network_nat_gateways 0": {"network_nat_gateways": "none"},
    "modules/vpc log_retention_days 0": _RETENTION,
    "modules/vpc aws_vpc.this 0": _zones(public="10.1.0.0/24"),
    "modules/vpc aws_vpc.this 1": _zones(public="10.0.1.128/25"),
    "modules/security_groups network_client_cidrs 0": {"network_client_cidrs": ["203.0.113.1/24"]},
    "modules/endpoints vpc_endpoint_services 0": {"vpc_endpoint_services": ["sqs"]},
    "modules/endpoints vpc_endpoint_services 1": {"vpc_endpoint_services": ["ecr.api"]},
    "modules/alb name 0": {"app_name": "x" * 25},
    "modules/alb release_test_header 0": {"release_test_header": {"name": "X Test", "value": "1"}},
    "modules/alb https_certificate_arn 0": {"https_certificate_arn": "arn:aws:iam::222222222222:server-certificate/x"},
    "modules/alb https_certificate_arn 1": {
        "https_certificate_arn": _CERTIFICATE.replace("ap-northeast-2", "us-east-1"),
        "https_domain_name": "example.com",
    },
    "modules/alb https_hosted_zone_id 0": {"https_hosted_zone_id": "z1", "https_domain_name": "example.com"},
    "modules/alb https_hosted_zone_id 1": {"https_hosted_zone_id": "Z1"},
    "modules/alb https_domain_name 0": {"https_domain_name": "Example.com"},
    "modules/alb app_health_path 0": {"app_health_path": "health"},
    "modules/alb alb_access_logs_retention_days 0": {"alb_access_logs_retention_days": 0},
    "modules/alb aws_s3_bucket.access_logs 0": {"app_name": "x" * 19, "alb_access_logs": True},
    "modules/ecs container_insights 0": {"container_insights": "on"},
    "modules/ecs app_cpu_architecture 0": {"app_cpu_architecture": "arm64"},
    "modules/ecs app_deployment_maximum_percent 0": {"app_deployment_maximum_percent": 100},
    "modules/ecs app_health_check_grace_period_seconds 0": {"app_health_check_grace_period_seconds": -1},
    "modules/ecs log_retention_days 0": _RETENTION,
    "modules/ecs secret_recovery_window_days 0": _WINDOW,
    "modules/iam name 0": {"app_name": "x" * 50},
    "modules/iam app_secret_arns 0": {"app_secret_arns": ["settlement/slack"]},
    "modules/rds name 0": _NAME,
    "modules/rds database_name 0": {"database_name": "store-front"},
    "modules/rds database_engine_version 0": {"database_engine_version": 13},
    "modules/rds database_instance_class 0": {"database_instance_class": "t4g.small"},
    "modules/rds database_allocated_storage_gb 0": {"database_allocated_storage_gb": 10},
    "modules/rds database_max_allocated_storage_gb 0": {"database_allocated_storage_gb": 100},
    "modules/rds database_max_connections 0": {"database_max_connections": 5},
    "modules/rds database_slow_query_milliseconds 0": {"database_slow_query_milliseconds": 0},
    "modules/rds database_backup_retention_days 0": {"database_backup_retention_days": 0},
    "modules/rds log_retention_days 0": _RETENTION,
    "modules/rds database_restores 0": _restore("yesterday", snapshot="x"),
    "modules/rds database_restores 1": _restore(),
    "modules/rds database_restores 2": _restore(snapshot="x", source="20250101-000000"),
    "modules/rds database_serving 0": {"database_serving": "20260101-000000"},
    "modules/rds_proxy rds_proxy_max_connections_percent 0": {"rds_proxy_max_connections_percent": 101},
    "modules/rds_proxy rds_proxy_max_idle_connections_percent 0": {
        "rds_proxy_enabled": True,
        "rds_proxy_max_idle_connections_percent": 76,
    },
    "modules/autoscaling app_min_tasks 0": {"app_min_tasks": 0},
    "modules/autoscaling app_max_tasks 0": {"app_max_tasks": 1},
    "modules/autoscaling app_peak_min_tasks 0": {"app_peak_min_tasks": 1},
    "modules/autoscaling app_peak_max_tasks 0": {"app_peak_max_tasks": 3},
    "modules/autoscaling app_peak_starts_at 0": {"app_peak_starts_at": "24:00"},
    "modules/autoscaling app_peak_ends_at 0": {"app_peak_ends_at": "0:00"},
    "modules/autoscaling app_scaling_timezone 0": {"app_scaling_timezone": "KST"},
    "modules/notifications name 0": _NAME,
    "modules/notifications aws_account_id 0": _ACCOUNT,
    "modules/notifications notification_emails 0": {"notification_emails": {"urgent": ["nobody"], "warning": []}},
    "modules/notifications secret_recovery_window_days 0": _WINDOW,
    "modules/bot name 0": _NAME,
    "modules/bot log_retention_days 0": _RETENTION,
    "modules/query_bot name 0": _NAME,
    "modules/query_bot aws_account_id 0": _ACCOUNT,
    "modules/query_bot database_slow_query_milliseconds 0": {"database_slow_query_milliseconds": 0},
    "modules/query_bot query_bot_window_seconds 0": {"query_bot_window_seconds": 0},
    "modules/rotation_bot name 0": _NAME,
    "modules/rotation_bot aws_account_id 0": _ACCOUNT,
    "modules/monitoring name 0": _NAME,
    "modules/monitoring release_gate_error_percent 0": {"release_gate_error_percent": 101},
    "modules/monitoring release_gate_p99_seconds 0": {"release_gate_p99_seconds": 0},
    "modules/monitoring error_rate_minimum_requests 0": {"error_rate_minimum_requests": 1},
    "modules/monitoring database_free_memory_minimum_mb 0": {"database_free_memory_minimum_mb": 0},
    "account app_name 0": _NAME,
    "account account_home_region 0": {"account_home_region": "Seoul"},
    "account aws_region 0": {"aws_region": "Seoul"},
    "account aws_account_id 0": _ACCOUNT,
    "account config_delivery_bucket 0": {"config_delivery_bucket": None},
    "account github_repository 0": {"github_environments": []},
    "modules/detection name 0": _NAME,
    "modules/detection detection_resource_types 0": {"detection_resource_types": ["S3"]},
    "modules/detection detection_required_tags 0": {"detection_required_tags": ["a,b"]},
    "modules/cost name 0": _NAME,
    "modules/cost budget_monthly_usd 0": {"budget_monthly_usd": 0},
    "modules/cost cost_anomaly_minimum_usd 0": {"cost_anomaly_minimum_usd": -1},
    "modules/github github_repository 0": {"github_repository": "settlement"},
    "modules/github github_repository_id 0": {"github_owner_id": 1},
    "modules/github github_environments 0": {"github_environments": ["cost-x"]},
    "modules/ecr name 0": {"app_name": "a"},
    "modules/ecr ecr_untagged_retention_days 0": {"ecr_untagged_retention_days": 0},
}

#: Conditions of values that a file of this repository gives.
NOT_OF_THE_INVENTORY = {"modules/github github_cost_policy 0"}
#: Staging's, but for what reaches the conditions of GitHub's roles.
_REPOSITORY = {"github_repository": "example/settlement"}


def variables(root: str, **changes: Any) -> dict[str, Any]:
    """What a root of Terraform is given by staging's inventory with other values, as the playbooks do it."""
    return given(root, "staging", **_REPOSITORY | changes)


@pytest.fixture(scope="module")
def reached() -> dict[str, Condition]:
    """The conditions that a value of the inventory reaches, by name."""
    given = {root: variables(root).keys() for root in ROOTS}
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
    given = {root: variables(root) for root in ROOTS}
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
        changed = inventory("staging").changed(**_REPOSITORY | CASES[name])
        problems = check(Given(*resolved(VALUES, changed.variables, changed.template))).problems
        named = {path.partition(" ")[0].partition(".")[0] for problem in problems for path in problem.where.split(", ")}
        if not named & CASES[name].keys():
            passed.append(name)
    assert passed == []
