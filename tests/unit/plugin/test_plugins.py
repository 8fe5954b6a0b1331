"""Every action plugin of the project fails in the same way, and documents its arguments."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.drill.drills import DRILLS
from fargate_ops.drill.steps import STEPS
from fargate_ops.notify.kinds import KINDS
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.arguments import argument_spec
from fargate_ops.plugin.doc_fragments.ecs_release_context import ModuleDocFragment
from fargate_ops.preflight.checks import Checks
from fargate_ops.release.context import Limits
from fargate_ops.release.verify import Settings, Source

PROJECT = Path(__file__).parents[3]
PLUGINS = {path.stem: path.relative_to(PROJECT) for path in sorted(PROJECT.glob("roles/*/action_plugins/*.py"))}


def loaded(path: Path) -> Any:
    """Return the module of a plugin, which Ansible finds by its file."""
    return importlib.import_module(".".join(path.with_suffix("").parts))


def arguments(plugin: str) -> dict[str, Any]:
    return argument_spec(loaded(PLUGINS[plugin]).DOCUMENTATION)


@pytest.mark.parametrize("name", PLUGINS)
def test_failures_and_arguments_are_those_of_the_base(name: str) -> None:
    module = loaded(PLUGINS[name])
    assert issubclass(module.ActionModule, OperationsAction)
    assert module.ActionModule.run is OperationsAction.run
    assert argument_spec(module.DOCUMENTATION)
    assert all(isinstance(line, str) for line in yaml.safe_load(module.DOCUMENTATION)["description"])
    assert not {"AnsibleActionFail", "display", "Display"} & vars(module).keys()


def test_every_drill_step_and_message_can_be_asked_for() -> None:
    assert set(arguments("drill")["name"]["choices"]) == set(DRILLS)
    assert set(arguments("drill_step")["what"]["choices"]) == STEPS.keys()
    assert set(arguments("notification")["kind"]["choices"]) == KINDS.keys()


def test_preflight_offers_every_check() -> None:
    assert all(callable(getattr(Checks, name)) for name in arguments("preflight")["checks"]["choices"])


def test_a_release_a_rollback_and_a_rotation_take_the_same_context() -> None:
    shared = argument_spec(ModuleDocFragment.DOCUMENTATION)
    for plugin in ("ecs_release", "ecs_rollback", "ecs_rotation"):
        assert arguments(plugin).items() >= shared.items()
    assert shared["limits"]["options"].keys() == {"flow", *(field.name for field in fields(Limits))}
    assert shared["verify"]["options"].keys() == {field.name for field in fields(Settings)}
    assert shared["verify"]["options"]["source"]["choices"] == list(Source)


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a file of tasks, so that blocks need no special case."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from tasks(child)


@pytest.mark.parametrize("name", PLUGINS)
def test_roles_pass_every_argument_that_has_no_default(name: str) -> None:
    spec = arguments(name)
    required = {argument for argument, option in spec.items() if option.get("required")}
    found = [
        task
        for file in (PROJECT / PLUGINS[name]).parents[1].glob("tasks/*.yml")
        for task in tasks(yaml.safe_load(file.read_text()))
    ]
    defaults = {argument for task in found for argument in (task.get("module_defaults") or {}).get(name, {})}
    calls = [task[name] for task in found if name in task and "name" in task]
    assert calls
    for call in calls:
        assert spec.keys() >= call.keys()
        assert {*call, *defaults} >= required
