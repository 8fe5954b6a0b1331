"""The state of the service, and the wait for a steady state."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_ops.drill.steady_state import DrillError, ServiceState, observe, wait_until_steady
from fargate_ops.state.ledger import Event, Ledger, Outcome
from fargate_ops.terraform.stack import Stack

STEADY = ServiceState(
    revision="settlement:4",
    version="5f0c2b7d9e31",
    rollout="COMPLETED",
    desired=2,
    tasks={"a": "settlement:4", "b": "settlement:4"},
    running=2,
    targets={"healthy": 2},
)
STACK = Stack({"cluster_name": "c", "service_name": "s", "target_group_arn": "arn:tg"}, "test")
FAMILY = "arn:aws:ecs:ap-northeast-2:000000000000:task-definition/settlement"


def but(**changes: Any) -> ServiceState:
    return ServiceState(**{**STEADY.to_plain(), **changes})


def test_a_whole_service_misses_nothing() -> None:
    assert STEADY.missing == ""


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        (but(desired=0), "the desired count is 0"),
        (but(rollout="IN_PROGRESS"), "the rollout of settlement:4 is IN_PROGRESS"),
        (but(tasks={"a": "settlement:4", "b": "settlement:5"}), "tasks of settlement:5 run beside settlement:4"),
        (but(tasks={"a": "settlement:4"}, running=1), "1 of 2 tasks run"),
        (but(running=1), "1 of 2 tasks run"),
        (but(targets={"healthy": 1, "draining": 1}), "targets: 1 draining, 1 healthy"),
        (but(targets={}), "targets: none"),
    ],
)
def test_what_is_missing_is_named(seen: ServiceState, missing: str) -> None:
    assert seen.missing == missing


def test_waiting_ends_when_it_is_whole() -> None:
    looks = iter([but(running=1), but(targets={}), STEADY])
    assert wait_until_steady(lambda: next(looks), 60, sleep=lambda _: None) is STEADY


def test_waiting_is_bounded_and_says_what_is_missing() -> None:
    clock = itertools.count(0, 10)
    with pytest.raises(DrillError, match="not in a steady state after 30 s: 1 of 2 tasks run"):
        wait_until_steady(lambda: but(running=1), 30, clock=lambda: next(clock), sleep=lambda _: None)


class Cloud:
    """One service with two tasks, and moto's S3 for the ledger."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3

    def client(self, service: str) -> Any:
        return self.s3 if service == "s3" else self

    def describe_services(self, **_: Any) -> dict[str, Any]:
        deployments = [
            {"status": "ACTIVE", "taskDefinition": f"{FAMILY}:5"},
            {"status": "PRIMARY", "taskDefinition": f"{FAMILY}:4", "rolloutState": "COMPLETED"},
        ]
        return {"services": [{"desiredCount": 2, "deployments": deployments}]}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"taskArns": ["arn:task/c/a", "arn:task/c/b"]}]

    def list_tasks(self, **_: Any) -> dict[str, Any]:
        return {"taskArns": ["arn:task/c/a", "arn:task/c/b"]}

    def describe_tasks(self, tasks: list[str], **_: Any) -> dict[str, Any]:
        return {
            "tasks": [
                {"taskArn": arn, "taskDefinitionArn": f"{FAMILY}:4", "lastStatus": status}
                for arn, status in zip(tasks, ("RUNNING", "PENDING"), strict=True)
            ]
        }

    def describe_target_health(self, **_: Any) -> dict[str, Any]:
        return {"TargetHealthDescriptions": [{"TargetHealth": {"State": state}} for state in ("healthy", "initial")]}


def test_all_of_it_is_seen(s3: Any) -> None:
    ledger = Ledger(s3, "state-bucket", "test")
    for number, (revision, outcome) in enumerate(((4, Outcome.SUCCEEDED), (5, Outcome.FAILED))):
        ledger.append(
            Event(
                release=f"20260131T09000{number}.000000Z-v{revision}",
                outcome=outcome,
                service="s",
                version=f"v{revision}",
                digest="sha256:0",
                revision=f"{FAMILY}:{revision}",
                by="ann@laptop",
                at=datetime(2026, 1, 31, 9, 0, number, tzinfo=UTC),
                why="exit code 1",
            )
        )
    assert observe(Cloud(s3), STACK, "state-bucket", "test") == ServiceState(
        revision="settlement:4",
        version="v4",
        rollout="COMPLETED",
        desired=2,
        tasks={"a": "settlement:4", "b": "settlement:4"},
        running=1,
        targets={"healthy": 1, "initial": 1},
        newest_release="20260131T090001.000000Z-v5",
        newest_outcome="failed",
        newest_why="exit code 1",
    )


def test_a_service_without_history_is_seen_too(s3: Any) -> None:
    seen = observe(Cloud(s3), STACK, "state-bucket", "test")
    assert (seen.version, seen.newest_release, seen.newest_outcome) == ("", "", "")
