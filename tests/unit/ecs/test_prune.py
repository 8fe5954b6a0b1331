"""Which old revisions are pruned, which stay, and that pruning never fails or delays a release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from fargate_ops.ecs import prune as module
from fargate_ops.ecs.prune import needed_for_rollback, prune, superseded
from fargate_ops.state.ledger import Event, Kind, Outcome, Release, fold, release_id

CLUSTER = FAMILY = "settlement-test"
FAMILIES = (FAMILY, f"{FAMILY}-admin")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def arn(number: int, family: str = FAMILY) -> str:
    return f"arn:aws:ecs:ap-northeast-2:123456789012:task-definition/{family}:{number}"


def numbers(arns: list[str] | frozenset[str]) -> list[int]:
    return sorted(int(item.rpartition(":")[2]) for item in arns)


def history(*happened: tuple[int, Outcome] | tuple[int, Outcome, str]) -> list[Release]:
    """Return releases of revisions, one minute apart; a third member names the release that is put back."""
    events = []
    for minute, (number, outcome, *restores) in enumerate(happened):
        at = BEGIN + timedelta(minutes=minute)
        events.append(
            Event(
                release=release_id(f"v{number}", at),
                outcome=outcome,
                kind=Kind.ROLLBACK if restores else Kind.RELEASE,
                service="s",
                version=f"v{number}",
                digest="d",
                revision=arn(number),
                by="ann",
                at=at,
                restores=restores[0] if restores else None,
            )
        )
    return fold(events)


# -- what a rollback may need ------------------------------------------------------------------------------------------


def test_the_newest_successes_and_what_has_no_end_are_needed() -> None:
    releases = history(
        (1, Outcome.IN_PROGRESS),
        *((number, Outcome.SUCCEEDED) for number in range(2, 20)),
        (20, Outcome.FAILED),
        (21, Outcome.PREPARED),
    )
    assert numbers(needed_for_rollback(releases, 3)) == [1, 16, 17, 18, 19, 21]


def test_what_was_rolled_back_since_is_needed_for_the_way_forward_again() -> None:
    releases = history(
        *((number, Outcome.SUCCEEDED) for number in range(1, 5)),
        (5, Outcome.ROLLED_BACK),
        (4, Outcome.SUCCEEDED, release_id("v4", BEGIN + timedelta(minutes=3))),
    )
    assert numbers(needed_for_rollback(releases, 1)) == [3, 4]
    assert numbers(needed_for_rollback(releases, 2)) == [2, 3, 4, 5]


def test_nothing_is_needed_before_the_first_release() -> None:
    assert needed_for_rollback([]) == frozenset()


# -- what may go -------------------------------------------------------------------------------------------------------


def test_order_is_by_number_and_other_families_stay() -> None:
    revisions = [arn(number) for number in (10, 9, 1, 2)]
    others = [arn(1, f"{FAMILY}-placeholder"), arn(1, f"{FAMILY}-admin"), arn(1, FAMILY[:-1])]
    assert superseded(revisions + others, FAMILY, 1, {arn(2)}) == [arn(1), arn(9)]
    assert superseded(revisions, FAMILY, 20, ()) == []


@given(
    registered=st.sets(st.integers(1, 60)),
    needed=st.sets(st.integers(1, 60)),
    keep=st.integers(0, 70),
)
def test_newest_and_needed_always_stay(registered: set[int], needed: set[int], keep: int) -> None:
    gone = superseded(map(arn, registered), FAMILY, keep, set(map(arn, needed)))
    stay = registered - set(numbers(gone))
    assert needed & registered <= stay
    assert set(sorted(registered)[len(registered) - keep if keep < len(registered) else 0 :]) <= stay
    assert len(stay) <= keep + len(needed)


# -- against ECS -------------------------------------------------------------------------------------------------------


class Ecs:
    """moto's ECS, which counts the calls."""

    def __init__(self) -> None:
        self.client = boto3.client("ecs", "ap-northeast-2", aws_access_key_id="k", aws_secret_access_key="s")
        self.calls: list[str] = []
        self.client.meta.events.register("before-call.ecs", self._count)
        self.client.create_cluster(clusterName=CLUSTER)

    def _count(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)

    def register(self, family: str, count: int) -> list[str]:
        containers = [{"name": "api", "image": "i", "memory": 128}]
        return [
            self.client.register_task_definition(family=family, containerDefinitions=containers)["taskDefinition"][
                "taskDefinitionArn"
            ]
            for _ in range(count)
        ]

    def active(self, family: str) -> list[int]:
        found = self.client.list_task_definitions(familyPrefix=family)["taskDefinitionArns"]
        return numbers([item for item in found if f"/{family}:" in item])


@pytest.fixture(scope="module")
def _ecs() -> Iterator[Ecs]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        with mock_aws():
            yield Ecs()


@pytest.fixture
def ecs(_ecs: Ecs) -> Iterator[Ecs]:
    yield _ecs
    for found in _ecs.client.list_task_definitions()["taskDefinitionArns"]:
        _ecs.client.deregister_task_definition(taskDefinition=found)


def run(ecs: Ecs, *deployed: str, releases: list[Release] | None = None, keep: int = 3, **more: Any) -> list[str]:
    ecs.calls.clear()
    service = {"deployments": [{"taskDefinition": item} for item in deployed]}
    said: list[str] = []
    values = {"cluster": CLUSTER, "families": FAMILIES, "say": said.append, **more}
    prune(ecs.client, service=service, releases=releases or [], keep=keep, **values)
    return said


def test_down_to_a_number_in_both_families_and_never_the_placeholder(ecs: Ecs) -> None:
    service = ecs.register(FAMILY, 6)
    admin = ecs.register(f"{FAMILY}-admin", 5)
    placeholder = ecs.register(f"{FAMILY}-placeholder", 5)
    said = run(ecs, service[0])
    assert ecs.active(FAMILY) == numbers([service[0], *service[-3:]])
    assert ecs.active(f"{FAMILY}-admin") == numbers(admin[-3:])
    assert ecs.active(f"{FAMILY}-placeholder") == numbers(placeholder)
    gone = [*service[1:3], *admin[:2]]
    assert said == [f"deregistered old task definitions: {', '.join(item.rpartition('/')[2] for item in gone)}"]
    assert run(ecs, service[0]) == []
    assert set(ecs.calls) == {"ListTaskDefinitions"}


def test_what_a_rollback_needs_stays(ecs: Ecs) -> None:
    revisions = ecs.register(FAMILY, 6)
    first = int(revisions[0].rpartition(":")[2])
    run(ecs, releases=history((first, Outcome.SUCCEEDED), (first + 1, Outcome.IN_PROGRESS)), keep=1)
    assert ecs.active(FAMILY) == [first, first + 1, first + 5]


@dataclass
class Paginator:
    """What ``get_paginator`` returns; ``paginate`` is the operation."""

    paginate: Callable[..., Iterator[dict[str, Any]]]


@pytest.fixture
def running(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The revisions of the running tasks by family, which a test fills; moto runs no task without an instance."""
    revisions: dict[str, list[str]] = {}
    original = ecs.client.get_paginator

    def list_tasks(*, cluster: str, family: str) -> Iterator[dict[str, Any]]:
        assert cluster == CLUSTER
        for number in range(len(revisions.get(family, []))):
            ecs.calls.append("ListTasks")
            yield {"taskArns": [f"{family}/{number}"]}

    def describe_tasks(*, cluster: str, tasks: list[str]) -> dict[str, Any]:
        assert cluster == CLUSTER
        found = [(family, int(number)) for family, number in (task.split("/") for task in tasks)]
        return {"tasks": [{"taskDefinitionArn": revisions[family][number]} for family, number in found]}

    monkeypatch.setattr(
        ecs.client, "get_paginator", lambda name: Paginator(list_tasks) if name == "list_tasks" else original(name)
    )
    monkeypatch.setattr(ecs.client, "describe_tasks", describe_tasks)
    return revisions


def test_a_revision_of_which_a_task_runs_stays(ecs: Ecs, running: dict[str, list[str]]) -> None:
    revisions = ecs.register(FAMILY, 6)
    running[FAMILY] = [revisions[1]]
    run(ecs)
    assert ecs.active(FAMILY) == numbers([revisions[1], *revisions[-3:]])


def test_a_family_with_too_many_tasks_stays_and_the_next_one_is_pruned(
    ecs: Ecs, running: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TASKS_SEEN", 2)
    service, admin = (ecs.register(family, 6) for family in FAMILIES)
    running |= {FAMILY: [service[0]] * 9, f"{FAMILY}-admin": [admin[0]] * 2}
    assert run(ecs)[0] == "more than 2 tasks of settlement-test run: its old revisions stay"
    assert ecs.active(FAMILY) == numbers(service)
    assert ecs.active(f"{FAMILY}-admin") == numbers([admin[0], *admin[-3:]])
    assert ecs.calls.count("ListTasks") == 3 + 2, "no more than necessary"


def test_a_few_at_a_time_oldest_first(ecs: Ecs) -> None:
    revisions = ecs.register(FAMILY, 9)
    ecs.register(f"{FAMILY}-admin", 9)
    run(ecs, at_most=4)
    assert ecs.active(FAMILY) == numbers(revisions[4:])
    assert ecs.calls.count("DeregisterTaskDefinition") == 4
    assert ecs.calls.count("ListTasks") == 1
    run(ecs, at_most=4)
    assert ecs.active(FAMILY) == numbers(revisions[-3:])
    assert len(ecs.active(f"{FAMILY}-admin")) == 7


def test_the_calls_are_bounded_however_many_revisions_there_are(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    revisions = ecs.register(FAMILY, 250)
    original, pages = ecs.client.get_paginator, []

    def paged(**request: Any) -> Iterator[dict[str, Any]]:
        """Return pages of a hundred, as ECS does; moto does not."""
        assert request == {"familyPrefix": FAMILY, "status": "ACTIVE", "sort": "ASC"}
        for start in range(0, len(revisions), 100):
            pages.append(start)
            yield {"taskDefinitionArns": revisions[start : start + 100]}

    monkeypatch.setattr(
        ecs.client,
        "get_paginator",
        lambda name: Paginator(paged) if name == "list_task_definitions" else original(name),
    )
    run(ecs, families=(FAMILY,))
    assert pages == [0]
    assert ecs.calls.count("DeregisterTaskDefinition") == 10


def test_old_revisions_that_are_needed_do_not_stall_it(ecs: Ecs) -> None:
    revisions = ecs.register(FAMILY, 9)
    first = int(revisions[0].rpartition(":")[2])
    needed = history(*((first + offset, Outcome.SUCCEEDED) for offset in range(5)))
    run(ecs, releases=needed, keep=1, at_most=2, families=(FAMILY,))
    assert ecs.active(FAMILY) == numbers([*revisions[:5], *revisions[7:]])


@pytest.mark.parametrize("operation", ["list_task_definitions", "deregister_task_definition"])
def test_a_failure_is_said_and_not_raised(ecs: Ecs, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    ecs.register(FAMILY, 6)

    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, operation)

    monkeypatch.setattr(ecs.client, "get_paginator" if operation.startswith("list") else operation, refuse)
    assert "slow down" in run(ecs)[0]
