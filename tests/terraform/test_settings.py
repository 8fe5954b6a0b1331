"""A setting has one name from the inventory to the module that uses it, and its value stands in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fargate_ops.inventory.values import VALUES
from tests.terraform.configuration import MODULES, ROOTS, calls, example, variables
from tests.terraform.inventories import ENVIRONMENTS, FOUND, GIVEN, given, inventory
from tests.terraform.terraform import SOURCE

#: Variables of the roots that are left to their default, and why.
LEFT_TO_DEFAULT = {
    "environment bots_package_path": "where the role bots_package makes the package, in every environment",
    "environment ecr_repository_name": "its default is app_name",
    "account bots_package_path": "where the role bots_package makes the package, in every environment",
    "account ecr_force_delete": "no playbook destroys the account",
    "account ecr_repository_name": "its default is app_name",
}
#: Variables of the modules that a call may leave to their default, and why.
FIXED = {
    "autoscaling cpu_target_percent": "requirement B1",
    "autoscaling scale_in_cooldown_seconds": "part of the CPU tracking that the tests show",
    "autoscaling scale_out_cooldown_seconds": "part of the CPU tracking that the tests show",
    "bot memory_mb": "enough for every bot",
    "bot permissions": "the alarm-bot calls nothing of AWS",
    "bot permissions_boundary_arn": "bootstrap's own rights bound the account's bots",
    "bot timeout_seconds": "enough for every bot but the rotation-bot",
    "cost budget_threshold_percent": "requirement H5",
    "github cost_environment": "the cost report is production's",
    "github main_environment": "requirement C2",
    "monitoring cpu_target_percent": "requirement B1",
    "notifications permissions_boundary_arn": "bootstrap's own rights bound it",
    "security_groups database_port": "requirement A5",
}
DIRECTORIES = [*ROOTS.values(), *MODULES]


def required(directory: Path) -> set[str]:
    return {name for name, declaration in variables(directory).items() if "default" not in declaration}


@pytest.mark.parametrize("root", ROOTS)
def test_a_root_takes_each_setting_under_its_own_name(root: str) -> None:
    """A variable without a default is a setting, or is derived in playbooks/group_vars."""
    production = inventory("production")
    derived = production.variables[GIVEN[root][1]].keys()
    settings = required(ROOTS[root]) - derived
    assert sorted(settings - VALUES.keys()) == []
    values = given(root, "production")
    assert values.keys() == settings | derived | FOUND[root].keys()
    assert [name for name in settings if values[name] != production.template(production.variables[name])] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("root", ROOTS)
def test_what_is_derived_is_made_of_settings(root: str, environment: str) -> None:
    """A constant in playbooks/group_vars would be settable nowhere else."""
    variables = inventory(environment).variables
    for name, value in variables[GIVEN[root][1]].items():
        used = set(re.findall(r"\b[a-z][a-z0-9_]*\b", value)) & variables.keys() if "{{" in value else set()
        assert used, name
        assert sorted(used - VALUES.keys() - {"github_boundary_arn", "project_dir"}) == []


@pytest.mark.parametrize("root", ROOTS)
def test_a_variable_of_a_root_has_a_default_only_where_it_is_left_to_it(root: str) -> None:
    """What is settable in Terraform alone needs a change of the code in an incident, or of the plan by hand."""
    # The playbook destroy adds its own to the environment's.
    of_playbooks = inventory("production").variables["destroy_variables"] if root == "environment" else {}
    with_default = variables(ROOTS[root]).keys() - required(ROOTS[root]) - FOUND[root].keys() - of_playbooks.keys()
    left = {name.partition(" ")[2] for name in LEFT_TO_DEFAULT if name.startswith(f"{root} ")}
    assert sorted(with_default) == sorted(left)
    assert sorted((FOUND[root].keys() | of_playbooks.keys()) - variables(ROOTS[root]).keys()) == []
    assert sorted(left & VALUES.keys()) == []


def test_a_module_takes_what_is_handed_on_under_its_own_name() -> None:
    renamed = [
        f"{directory.name}: module {call.name}: {name} = {expression}"
        for directory in DIRECTORIES
        for call in calls(directory)
        for name, expression in call.arguments.items()
        if re.fullmatch(r"\$\{var\.\w+\}", str(expression)) and expression != f"${{var.{name}}}"
    ]
    assert renamed == []


def test_a_variable_of_a_module_has_a_default_only_where_a_call_leaves_it_out() -> None:
    """A value that every call gives stands in the inventory or in the caller."""
    left_out = {
        f"{call.module.name} {name}"
        for directory in DIRECTORIES
        for call in calls(directory)
        for name in variables(call.module).keys() - call.arguments.keys()
    }
    with_default = {
        f"{module.name} {name}" for module in MODULES for name in variables(module).keys() - required(module)
    }
    assert sorted(left_out) == sorted(FIXED)
    assert sorted(with_default) == sorted(FIXED)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_a_readme_shows_a_whole_call(module: Path) -> None:
    given = example(module / "README.md").arguments.keys()
    assert sorted(required(module) - given) == []
    assert sorted(given - variables(module).keys()) == []


def test_configurations_of_the_tests_call_modules_as_they_are() -> None:
    found = [call for file in (SOURCE.parent / "tests").rglob("*.tf") for call in calls(file.parent)]
    assert found
    assert [(call.name, sorted(required(call.module) - call.arguments.keys())) for call in found] == [
        (call.name, []) for call in found
    ]
    assert {name for call in found for name in call.arguments.keys() - variables(call.module).keys()} == set()
