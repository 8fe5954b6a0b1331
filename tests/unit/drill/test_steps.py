"""Each step calls its fault with the environment and with the result of an earlier step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fargate_ops.core.application import Application
from fargate_ops.drill import connection_exhaustion, rotation, steps
from fargate_ops.drill.client import LoadFile, Step
from fargate_ops.drill.connection_exhaustion import Exhaustion, SlowStatement
from fargate_ops.drill.steps import STEPS, Target
from fargate_ops.ecs.scaling import ScalableTarget
from fargate_ops.terraform.stack import Stack

STACK = Stack(
    {
        "cluster_name": "c",
        "service_name": "shop",
        "public_url": "http://qa",
        "container_name": "api",
        "database": {"instance_identifier": "db"},
        "scalable_target": {
            "resource_id": "service/c/s",
            "service_namespace": "ecs",
            "scalable_dimension": "ecs:service:DesiredCount",
        },
    },
    "qa",
)


APPLICATION = Application(name="shop", port=8000, health_path="/health", ready_path="/ready")
LOAD_FILE = LoadFile(steps=[Step(path="/items")])
READY = "http://qa/ready"


class Clients:
    def client(self, service: str) -> str:
        return service


class Fault:
    """Stands in for any fault, and records its arguments."""

    def __init__(self) -> None:
        self.args: Any = ()

    def __call__(self, *args: Any, **_: Any) -> Any:
        self.args = args
        return SimpleNamespace(to_plain=lambda: {"happened": True})


class Rows:
    """Stands in for the drill's rows."""

    def __init__(self, *args: Any, **_: Any) -> None:
        self.args = args

    def delete(self) -> Any:
        return SimpleNamespace(to_plain=lambda: {"deleted of": self.args})

    def count(self) -> dict[str, Any]:
        return {"counted of": self.args}

    def drop(self) -> None:
        """Nothing to return."""


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    fault = Fault()
    for name in ("stop_task", "stop_unplaced", "lose_zone", "give_back", "restart_database", "wait_until_scaled"):
        monkeypatch.setattr(steps, name, fault)
    for name in ("exhaust", "recover", "hold", "starve", "clear"):
        monkeypatch.setattr(connection_exhaustion, name, fault)
    monkeypatch.setattr(connection_exhaustion, "Program", lambda *_, **__: "program")
    for name in ("users", "former_user", "change"):
        monkeypatch.setattr(rotation, name, fault)
    monkeypatch.setattr(steps, "Rows", Rows)
    monkeypatch.setattr(steps, "observe", lambda *args: args)
    return fault


def target(**earlier: Any) -> Target:
    return Target(
        clients=Clients(),
        stack=STACK,
        application=APPLICATION,
        load_file=LOAD_FILE,
        bucket="b",
        limit_seconds=9,
        say=print,
        hold_seconds=3,
        earlier=earlier,
    )


@pytest.mark.parametrize(
    ("what", "first"),
    [
        ("task", ("ecs", "c")),
        ("unplaced", ("ecs", "c", "shop")),
        ("database", ("rds", "db", "http://qa", READY, LOAD_FILE, 9, print)),
        ("sessions", ("program", READY, 9, print)),
        ("slow", ("program", 3, 9, print)),
    ],
)
def test_a_fault_is_done_to_the_environment(fault: Fault, what: str, first: tuple[Any, ...]) -> None:
    assert STEPS[what](target()) == {"happened": True}
    assert fault.args[: len(first)] == first


def test_a_zone_is_lost_in_the_environment(fault: Fault) -> None:
    drill = target()
    assert STEPS["zone"](drill) == {"happened": True}
    clients, stack, observed, limit, _ = fault.args
    assert (clients, stack, limit) == (drill.clients, STACK, 9)
    assert observed() == (drill.clients, STACK, "b", "qa")
    assert STEPS["zone_back"](drill) == {}
    assert fault.args == (drill.clients, STACK)


def test_rows_and_users_are_looked_at_by_the_session_of_the_drill(fault: Fault) -> None:
    drill = target()
    where = (drill.clients, STACK, print, 9)
    assert STEPS["rows"](drill) == {"deleted of": where}
    assert STEPS["restored"](drill) == {"counted of": where}
    assert STEPS["drop"](drill) == {}
    assert STEPS["users"](drill).keys() == {"users"}
    assert list(fault.args) == [drill.clients, STACK, APPLICATION, 9, print]


def test_what_an_earlier_step_returned_is_passed_on(fault: Fault) -> None:
    sessions = dict.fromkeys(Exhaustion.__dataclass_fields__, "x")
    STEPS["recovery"](target(**sessions))
    assert fault.args[1] == Exhaustion(**sessions)
    slow = dict.fromkeys(SlowStatement.__dataclass_fields__, "x")
    assert STEPS["cleared"](target(**slow)).keys() == {"over"}
    assert fault.args[1] == SlowStatement(**slow)
    assert STEPS["starving"](target()).keys() == {"answers"}
    assert fault.args == (READY, 9, print)


def test_auto_scaling_is_compared_with_the_number_before(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScalableTarget, "newest_activity", lambda _: "a")
    monkeypatch.setattr(ScalableTarget, "numbers_after", lambda _, activity: [activity])
    drill = target(desired=2)
    out = STEPS["scaled_out"](drill)
    assert out == {"happened": True, "before": 2, "activity": "a"}
    read_state, _, is_reached, *rest = fault.args
    assert read_state() == (drill.clients, STACK, "b", "qa")
    assert [count for count in range(5) if is_reached(count)] == [3, 4]
    assert rest == [9, print]
    assert STEPS["scaled_in"](target(**out)) == {"happened": True, "numbers": ["a"]}
    assert [count for count in range(5) if fault.args[2](count)] == [0, 1, 2]


def test_a_rotation_is_followed_by_its_secret_and_its_former_definition(fault: Fault) -> None:
    STEPS["former_user"](target(previous_revision="app:6"))
    assert fault.args[:2] == ("program", "app:6")
    drill = target(secret="arn:secret")
    STEPS["secret"](drill)
    assert fault.args[:2] == ("secretsmanager", "arn:secret")
    assert fault.args[2]() == (drill.clients, STACK, "b", "qa")
