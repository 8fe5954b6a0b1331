"""Every action plugin of the project ends its failures in one way, and documents its arguments."""

from __future__ import annotations

import importlib
from dataclasses import fields
from pathlib import Path

import pytest

from fargate_ops.drill.drills import DRILLS
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.arguments import argument_spec
from fargate_ops.release.operation import Limits
from fargate_ops.release.verify import Settings, Source
from roles.drill.action_plugins import drill, drill_strike
from roles.ecs_release.action_plugins import ecs_release, ecs_rollback, ecs_rotation
from roles.ecs_release.doc_fragments import ecs_release_context

PROJECT = Path(__file__).parents[3]
PLUGINS = sorted(path.relative_to(PROJECT) for path in PROJECT.glob("roles/*/action_plugins/*.py"))


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_failures_and_arguments_are_those_of_the_base(path: Path) -> None:
    action = importlib.import_module(".".join(path.with_suffix("").parts)).ActionModule
    assert issubclass(action, OperationsAction)
    assert action.run is OperationsAction.run
    documented = argument_spec(action.documentation)
    assert documented
    assert not action.arguments or action.arguments.keys() == documented.keys()


def test_every_drill_and_every_strike_can_be_asked_for() -> None:
    assert set(argument_spec(drill.DOCUMENTATION)["name"]["choices"]) == {"", *DRILLS}
    strikes = {name.removeprefix("_strike_") for name in dir(drill_strike.ActionModule) if name.startswith("_strike_")}
    assert set(argument_spec(drill_strike.DOCUMENTATION)["what"]["choices"]) == strikes


def test_a_release_a_rollback_and_a_rotation_take_the_same_context() -> None:
    specs = [argument_spec(plugin.DOCUMENTATION) for plugin in (ecs_release, ecs_rollback, ecs_rotation)]
    shared = argument_spec(ecs_release_context.ModuleDocFragment.DOCUMENTATION)
    assert all(spec.items() >= shared.items() for spec in specs)
    assert shared["limits"]["options"].keys() == {"flow", *(field.name for field in fields(Limits))}
    assert shared["verify"]["options"].keys() == {field.name for field in fields(Settings)}
    assert shared["verify"]["options"]["source"]["choices"] == list(Source)
