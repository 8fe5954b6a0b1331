"""Every inventory plans, with its own values and with its switches on and off.

The installed provider plans, not a mock, so its own rules count too. Nothing is asked of AWS: the state is empty, and
the test gives what the two data sources would read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.inventory.kinds import flag
from fargate_ops.inventory.values import VALUES
from tests.terraform.configuration import ROOTS
from tests.terraform.inventories import ENVIRONMENTS, given, plan_tests
from tests.terraform.terraform import SOURCE, TerraformError, copy_source, run_terraform

_SECRET = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:settlement/slack-AbCdEf"
_FLAGS = [name for name, kind in VALUES.items() if kind.must_be == flag().must_be]
#: Values that turn everything on, and everything off, that an inventory can.
ON: Mapping[str, Any] = {
    **dict.fromkeys(_FLAGS, True),
    "app_secret_arns": [_SECRET],
    "aws_tags": {"Team": "payments"},
    "budget_monthly_usd": 750,
    "database_restores": {
        "20261124-101500": {"source": "", "time": "2026-11-24T10:15:00Z", "snapshot": None},
        "20261123-170400": {"source": "", "time": None, "snapshot": "rds:settlement-2026-11-23-17-04"},
    },
    "database_serving": "20261124-101500",
    "deployment_alarms": ["error-rate", "errors-5xx", "no-healthy-targets"],
    "github_owner_id": 1234567,
    "github_repository": "example/settlement",
    "github_repository_id": 7654321,
    "https_certificate_arn": "arn:aws:acm:ap-northeast-2:123456789012:certificate/12345678-1234-1234-1234-123456789012",
    "https_domain_name": "settlement.example.com",
    "https_hosted_zone_id": "Z0123456789ABCDEFGHIJ",
    "network_nat_gateways": "per_az",
    "notification_emails": {"urgent": ["on-call@example.com"], "warning": ["team@example.com"]},
    "public_url": "https://settlement.example.com",
    "public_url_authority": "/etc/ssl/certs/company-ca.pem",
}
OFF: Mapping[str, Any] = {
    **dict.fromkeys(_FLAGS, False),
    "app_secret_arns": [],
    "aws_tags": {},
    "budget_monthly_usd": None,
    "database_restores": {},
    "database_serving": "",
    "deployment_alarms": [],
    "github_owner_id": None,
    "github_repository": None,
    "github_repository_id": None,
    "https_certificate_arn": None,
    "https_domain_name": None,
    "https_hosted_zone_id": None,
    "network_nat_gateways": "single",
    "notification_emails": {},
    "public_url": None,
    "public_url_authority": None,
}


@pytest.mark.parametrize("root", ROOTS)
def test_every_inventory_plans_with_its_switches_on_and_off(root: str, tmp_path: Path) -> None:
    directory = copy_source(tmp_path, "*.tftest.hcl") / ROOTS[root].relative_to(SOURCE)
    variants = {"as_it_is": {}, "without_a_database": {"app_database": False}, "switches_on": ON, "switches_off": OFF}
    runs = {
        f"{environment}_{name}": given(root, environment, **changes)
        for environment in ENVIRONMENTS
        for name, changes in variants.items()
        # What an environment has of its own reaches the account's switches nowhere.
        if root == "environment" or not changes or environment == "production"
    }
    (directory / "inventories.tftest.hcl").write_text(plan_tests(root, runs), encoding="utf-8")
    run_terraform(directory, "init", "-backend=false", "-input=false")
    try:
        output = run_terraform(directory, "test")
    except TerraformError as error:
        pytest.fail(str(error), pytrace=False)
    assert f"Success! {len(runs)} passed" in output


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_data_in_aws_is_protected(environment: str) -> None:
    values = given("environment", environment)
    assert (values["deletion_protection"], values["database_skip_final_snapshot"]) == (True, False)
    assert min(values["database_backup_retention_days"], values["secret_recovery_window_days"]) >= 7


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_comes_and_goes_with_every_task_or_release_is_not_recorded(environment: str) -> None:
    """AWS Config costs by the item."""
    recorded = given("account", environment)["detection_resource_types"]
    assert not {"AWS::EC2::NetworkInterface", "AWS::ECS::TaskDefinition"} & set(recorded)


def test_every_switch_is_turned() -> None:
    """A new switch belongs into ON and OFF."""
    switches = {name for name, kind in VALUES.items() if kind.must_be == flag().must_be or "or null" in kind.must_be}
    assert sorted(switches - ON.keys()) == []
    assert ON.keys() == OFF.keys()
