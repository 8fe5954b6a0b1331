"""Checks of a rotation: the connected user, the previous user's login, and a change outside a rotation."""

from __future__ import annotations

from typing import Any

import pytest

from fargate_ops.drill.rotation import change, former_user
from fargate_ops.drill.steady_state import DrillError, ServiceState

BEFORE = ServiceState(
    revision="storefront:5",
    version="v4",
    rollout="COMPLETED",
    desired=2,
    tasks={"a": "storefront:5", "b": "storefront:5"},
    running=2,
    targets={"healthy": 2},
)


def seen(**changes: Any) -> ServiceState:
    return ServiceState(**{**BEFORE.to_plain(), **changes})


class Secrets:
    """One secret and its values, the newest last."""

    def __init__(self) -> None:
        self.values = ["hush"]

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:
        return {"SecretString": self.values[-1]}

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> dict[str, Any]:
        self.values.append(SecretString)
        return {"VersionId": f"v{len(self.values)}"}


def changed(*then: ServiceState) -> tuple[dict[str, Any], Secrets, list[str]]:
    secrets, looks, said, now = Secrets(), [BEFORE, *then], list[str](), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def read_state() -> ServiceState:
        return looks.pop(0) if len(looks) > 1 else looks[0]

    found = change(secrets, "arn:x:secret:app-Ab12Cd", read_state, 5, said.append, clock=lambda: now[0], sleep=sleep)
    return found, secrets, said


def test_the_same_value_is_a_change_and_every_task_is_seen_to_go() -> None:
    rolling = seen(rollout="IN_PROGRESS", tasks={"b": "storefront:5", "c": "storefront:5"})
    found, secrets, said = changed(BEFORE, rolling, seen(tasks={"c": "storefront:5", "d": "storefront:5"}))
    assert found == {"replaced": 2, "seconds": 1.0}
    assert secrets.values == ["hush", "hush"]
    assert "hush" not in "".join(said)


@pytest.mark.parametrize("then", [BEFORE, seen(tasks={"b": "storefront:5", "c": "storefront:5"})])
def test_tasks_that_stay_are_said(then: ServiceState) -> None:
    with pytest.raises(DrillError, match="tasks still run after"):
        changed(then)


def test_the_former_user_is_asked_by_its_own_definition() -> None:
    class Program:
        def start(self, file: str, revision: str = "") -> str:
            assert (file, revision) == ("login.py", "arn:td/storefront:4")
            return "task"

        def until(self, task_arn: str, key: str, limit_seconds: float) -> dict[str, Any]:
            return {"user": "storefront_app"}

    program: Any = Program()
    assert former_user(program, "arn:td/storefront:4", 60, lambda _: None) == "storefront_app"
