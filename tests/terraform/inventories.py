"""What the playbooks give to the roots of Terraform, of an environment's inventory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from fargate_ops.terraform.account_singletons import Found
from tests.support.inventory import INVENTORIES, Inventory, read

ENVIRONMENTS = sorted(path.name for path in INVENTORIES.iterdir() if path.is_dir())
#: The variable of Ansible that holds the values of a root, and the one of those that are no setting.
GIVEN: Mapping[str, tuple[str, str]] = {
    "environment": ("terraform_variables", "terraform_derived"),
    "account": ("__terraform_account_chosen", "terraform_account_derived"),
}
#: What the role account_singletons adds, as it finds an account that has nothing yet.
FOUND: Mapping[str, Mapping[str, Any]] = {"environment": {}, "account": Found().variables()}


@cache
def inventory(environment: str) -> Inventory:
    return read(INVENTORIES / environment)


def given(root: str, environment: str, **changes: Any) -> dict[str, Any]:
    """The values of a root, of this environment's inventory with other values."""
    changed = inventory(environment).changed(**changes)
    return {**changed.template(changed.variables[GIVEN[root][0]]), **FOUND[root]}
