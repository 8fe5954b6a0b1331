"""Checks of a rotation: the connected user, the previous user's login, and a change outside a rotation."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from fargate_ops.drill import rotation
from fargate_ops.drill.rotation import change, former_user, users
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


USERS = ["app", "app_clone"]


def listing(*connected: str) -> Any:
    """Return a finished task that has printed the server's sessions."""
    records = [
        {"kind": "server", "max_connections": 100, "reserved": 5},
        *({"kind": "session", "pid": pid, "user": user} for pid, user in enumerate(connected)),
        {"kind": "end", "app_users": USERS},
    ]
    return SimpleNamespace(output=[json.dumps(record) for record in records])


@pytest.mark.parametrize(
    ("listings", "found"),
    [
        ([listing("app_clone", "master")], ["app_clone"]),
        ([listing(*USERS), listing(*USERS, "app"), listing("app_clone")], ["app_clone"]),
        ([listing(*USERS)] * 9, USERS),
    ],
)
def test_the_sessions_of_tasks_that_still_stop_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, listings: list[Any], found: list[str]
) -> None:
    left, seconds = list(listings), iter(range(100))
    monkeypatch.setattr(rotation, "newest_admin_definition", lambda *_: {"taskDefinitionArn": "arn:td/admin:1"})
    monkeypatch.setattr(rotation, "admin_task", lambda *_, **__: None)
    monkeypatch.setattr(rotation, "Runner", lambda *_, **__: SimpleNamespace(run=lambda *_: left.pop(0)))
    target: Any = SimpleNamespace(client=lambda _: None, admin=lambda _: ["sessions"])
    assert users(target, target, target, 5, lambda _: None, clock=lambda: next(seconds)) == found


def test_the_former_user_is_asked_by_its_own_definition() -> None:
    class Program:
        def start(self, file: str, revision: str = "") -> str:
            assert (file, revision) == ("login.py", "arn:td/storefront:4")
            return "task"

        def until(self, task_arn: str, key: str, limit_seconds: float) -> dict[str, Any]:
            return {"user": "storefront_app"}

    program: Any = Program()
    assert former_user(program, "arn:td/storefront:4", 60, lambda _: None) == "storefront_app"
