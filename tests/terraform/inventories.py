"""The values that the playbooks give to Terraform's roots, from an environment's inventory."""

from __future__ import annotations

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


@cache
def inventory(environment: str) -> Inventory:
    return read(INVENTORIES / environment)


def given(root: str, environment: str, **changes: Any) -> dict[str, Any]:
    """Return the values of a root, from this environment's inventory with some settings changed."""
    changed = inventory(environment).changed(**changes)
    return {**changed.template(changed.variables[GIVEN[root][0]]), **FOUND[root]}
