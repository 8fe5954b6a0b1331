"""Every action plugin of the project ends its failures in one way, and documents its arguments."""

from __future__ import annotations

import importlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.drill.drills import DRILLS
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.arguments import argument_spec
from fargate_ops.release.context import Limits
from fargate_ops.release.verify import Settings, Source

PROJECT = Path(__file__).parents[3]
PLUGINS = {path.stem: path.relative_to(PROJECT) for path in sorted(PROJECT.glob("roles/*/action_plugins/*.py"))}


def loaded(path: Path) -> Any:
    """The module of a plugin, which Ansible finds by its file."""
    return importlib.import_module(".".join(path.with_suffix("").parts))


def arguments(plugin: str) -> dict[str, Any]:
    return argument_spec(loaded(PLUGINS[plugin]).DOCUMENTATION)


@pytest.mark.parametrize("name", PLUGINS)
def test_failures_and_arguments_are_those_of_the_base(name: str) -> None:
    action = loaded(PLUGINS[name]).ActionModule
    assert issubclass(action, OperationsAction)
    assert action.run is OperationsAction.run
    documented = argument_spec(action.documentation)
    assert documented
    assert not action.arguments or action.arguments.keys() == documented.keys()


def test_every_drill_and_every_strike_can_be_asked_for() -> None:
    assert set(arguments("drill")["name"]["choices"]) == {"", *DRILLS}
    methods = dir(loaded(PLUGINS["drill_strike"]).ActionModule)
    strikes = {name.removeprefix("_strike_") for name in methods if name.startswith("_strike_")}
    assert set(arguments("drill_strike")["what"]["choices"]) == strikes


def test_a_release_a_rollback_and_a_rotation_take_the_same_context() -> None:
    fragment = loaded(Path("roles/ecs_release/doc_fragments/ecs_release_context.py")).ModuleDocFragment
    shared = argument_spec(fragment.DOCUMENTATION)
    for plugin in ("ecs_release", "ecs_rollback", "ecs_rotation"):
        assert arguments(plugin).items() >= shared.items()
    assert shared["limits"]["options"].keys() == {"flow", *(field.name for field in fields(Limits))}
    assert shared["verify"]["options"].keys() == {field.name for field in fields(Settings)}
    assert shared["verify"]["options"]["source"]["choices"] == list(Source)
