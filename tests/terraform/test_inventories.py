"""Every inventory plans, with its own values and with its switches on and off, and sets every variable of a root.

The installed provider plans, not a mock, so its own rules count too. Nothing is asked of AWS: the state is empty, and
the test gives what the two data sources would read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

from fargate_ops.inventory.kinds import flag
from fargate_ops.inventory.values import VALUES
from fargate_ops.terraform.account_singletons import Found
from fargate_ops.terraform.cause import inventory_names
from tests.support.inventory import INVENTORIES, Inventory, read
from tests.terraform.terraform import SOURCE, TerraformError, copy_source, run_terraform

ENVIRONMENTS = sorted(path.name for path in INVENTORIES.iterdir() if path.is_dir())
#: What the playbooks give to each root, as the role account_singletons finds an account that has nothing yet.
GIVEN: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "environment": ("terraform_variables", ".", {}),
    "account": ("__terraform_account_chosen", "account", Found().variables()),
}
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
}

#: Variables of the roots that are left to their default, and why.
LEFT_TO_DEFAULT = {
    "environment bots_package_path": "where the role bots_package makes the package, in every environment",
    "environment database_name": "the application's migrations and users have it",
    "environment ecr_repository_name": "its default is app_name",
    "account bots_package_path": "where the role bots_package makes the package, in every environment",
    "account ecr_force_delete": "no playbook destroys the account",
    "account ecr_repository_name": "its default is app_name",
}
#: Variables of the modules that no root gives, and why.
FIXED = {
    "security_groups database_port": "requirement A5",
    "autoscaling cpu_target_percent": "requirement B1",
    "autoscaling scale_out_cooldown_seconds": "part of the CPU tracking that the tests show",
    "autoscaling scale_in_cooldown_seconds": "part of the CPU tracking that the tests show",
    "monitoring cpu_target_percent": "requirement B1",
    "notifications permissions_boundary_arn": "bootstrap's own rights bound it",
    "cost budget_threshold_percent": "requirement H5",
    "github main_environment": "requirement C2",
    "github cost_environment": "the cost report is production's",
}

_PROVIDER = """\
provider "aws" {
  region     = "ap-northeast-2"
  access_key = "none"
  secret_key = "none"

  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""
_READ = {
    "environment": f"""\
override_data {{
  target = data.aws_availability_zones.available
  values = {{ names = {json.dumps([f"ap-northeast-2{letter}" for letter in "abcd"])} }}
}}
""",
    "account": """\
override_data {
  target = data.aws_iam_roles.service_linked
  values = { arns = [] }
}
""",
}


@cache
def inventory(environment: str) -> Inventory:
    return read(INVENTORIES / environment)


def given(root: str, environment: str, **changes: Any) -> dict[str, Any]:
    """What the playbooks give to a root of Terraform, of this environment's inventory with other values."""
    name, _, found = GIVEN[root]
    changed = inventory(environment).changed(**changes)
    return {**changed.template(changed.variables[name]), **found, "bots_package_path": "provider.tf"}


def run(name: str, variables: Mapping[str, Any]) -> str:
    lines = [f"    {key} = {json.dumps(value).replace('${', '$${')}" for key, value in variables.items()]
    return "\n".join([f'run "{name}" {{', "  command = plan", "  variables {", *lines, "  }", "}", ""])


@pytest.mark.parametrize("root", GIVEN)
def test_every_inventory_plans_with_its_switches_on_and_off(root: str, tmp_path: Path) -> None:
    directory = copy_source(tmp_path, "*.tftest.hcl") / GIVEN[root][1]
    runs = [
        run(f"{environment}_{name}", given(root, environment, **changes))
        for environment in ENVIRONMENTS
        for name, changes in {"as_it_is": {}, "switches_on": ON, "switches_off": OFF}.items()
        # What an environment has of its own reaches the account's switches nowhere.
        if root == "environment" or not changes or environment == "production"
    ]
    (directory / "inventories.tftest.hcl").write_text("\n".join([_PROVIDER, _READ[root], *runs]), encoding="utf-8")
    run_terraform(directory, "init", "-backend=false", "-input=false")
    try:
        output = run_terraform(directory, "test")
    except TerraformError as error:
        pytest.fail(str(error), pytrace=False)
    assert f"Success! {len(runs)} passed" in output


def test_every_switch_is_turned() -> None:
    """A new switch belongs into ON and OFF."""
    switches = {name for name, kind in VALUES.items() if kind.must_be == flag().must_be or "or null" in kind.must_be}
    assert sorted(switches - ON.keys()) == []
    assert ON.keys() == OFF.keys()


@pytest.mark.parametrize("root", GIVEN)
def test_every_variable_of_a_root_is_set_or_left_to_its_default_on_purpose(root: str) -> None:
    """What is settable in Terraform alone needs a change of the code in an incident, or of the plan by hand."""
    name, path, of_roles = GIVEN[root]
    variables = inventory("production").variables
    # The playbook destroy adds its own to the environment's.
    of_playbooks = variables["destroy_variables"] if root == "environment" else {}
    given = variables[name].keys() | of_roles.keys() | of_playbooks.keys()
    declared = _variables(SOURCE / path)
    assert sorted(given - declared.keys()) == []
    left = {variable for variable in declared if f"{root} {variable}" in LEFT_TO_DEFAULT}
    assert sorted(declared.keys() - given) == sorted(left)
    assert [variable for variable in sorted(left) if "default" not in declared[variable]] == []


def test_nothing_else_is_said_to_be_left_to_its_default() -> None:
    declared = {f"{root} {name}" for root, (_, path, _) in GIVEN.items() for name in _variables(SOURCE / path)}
    assert sorted(LEFT_TO_DEFAULT.keys() - declared) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("root", GIVEN)
def test_every_value_for_a_root_comes_from_a_setting(root: str, environment: str) -> None:
    """A constant in playbooks/group_vars would be settable nowhere else."""
    variables = inventory(environment).variables
    name = GIVEN[root][0]
    assert [variable for variable, value in variables[name].items() if "{{" not in str(value)] == []
    for variable, names in inventory_names(variables, name).items():
        assert set(names.split(", ")) <= variables.keys() | VALUES.keys(), variable


def test_every_limit_of_a_module_is_given_by_its_root() -> None:
    assert sorted(_left_out_of_calls()) == sorted(FIXED)


def _left_out_of_calls() -> set[str]:
    """The variables of modules for which a root gives no value."""
    found = set()
    for _, path, _ in GIVEN.values():
        for document in _documents(SOURCE / path):
            for call in document.get("module", []):
                for name, body in call.items():
                    module = SOURCE / path / body["source"].strip('"')
                    found |= {f"{_plain(name)} {variable}" for variable in _variables(module).keys() - body.keys()}
    return found


def _variables(directory: Path) -> dict[str, Any]:
    """The declaration of each variable."""
    return {
        _plain(name): declaration
        for document in _documents(directory)
        for entry in document.get("variable", [])
        for name, declaration in entry.items()
    }


def _documents(directory: Path) -> list[dict[str, Any]]:
    return [hcl2.loads(file.read_text(encoding="utf-8")) for file in sorted(directory.glob("*.tf"))]


def _plain(name: str) -> str:
    return re.sub(r'"', "", name)
