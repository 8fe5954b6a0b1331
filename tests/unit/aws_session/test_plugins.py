"""Every action plugin of the project ends its failures in one way, and documents its arguments."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from roles.aws_session.python.action import OperationsAction
from roles.drill.action_plugins import drill, drill_strike
from roles.drill.python.drills import DRILLS
from roles.preflight.python.arguments import argument_spec

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
