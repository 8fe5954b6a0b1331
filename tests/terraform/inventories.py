"""The values that the playbooks give to Terraform's roots, from an environment's inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from fargate_ops.terraform.account_singletons import Found
from tests.support.inventory import INVENTORIES, Inventory, read

ENVIRONMENTS = sorted(path.name for path in INVENTORIES.iterdir() if path.is_dir())
#: By root: Ansible's variable with its values, and the one with those that are derived.
GIVEN: Mapping[str, tuple[str, str]] = {
    "environment": ("terraform_variables", "terraform_derived"),
    "account": ("__terraform_account_chosen", "terraform_account_derived"),
}
#: By root: the values that the role account_singletons adds for an account that has nothing yet.
FOUND: Mapping[str, Mapping[str, Any]] = {"environment": {}, "account": Found().variables()}


#: A provider that plans without an account.
PROVIDER = """\
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
    """Return the values of a root, from this environment's inventory with some settings changed."""
    changed = inventory(environment).changed(**changes)
    return {**changed.template(changed.variables[GIVEN[root][0]]), **FOUND[root]}


def plan_tests(root: str, runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a file of Terraform tests that plan a root with the values of each run, without a call to AWS."""
    return "\n".join([PROVIDER, _READ[root], *(_run(name, values) for name, values in runs.items())])


def _run(name: str, variables: Mapping[str, Any]) -> str:
    given = {**variables, "bots_package_path": "provider.tf"}  # any file: only its hash is read
    lines = [f"    {key} = {json.dumps(value).replace('${', '$${')}" for key, value in given.items()]
    return "\n".join([f'run "{name}" {{', "  command = plan", "  variables {", *lines, "  }", "}", ""])
