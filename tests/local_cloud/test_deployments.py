"""The arithmetic of a rolling deployment."""

from __future__ import annotations

import pytest

from local_cloud.ecs.deployments import Limits, Plan, TaskView, circuit_breaker_threshold, plan


@pytest.mark.parametrize(("desired", "threshold"), [(1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (800, 200)])
def test_the_breaker_trips_at_half_of_the_tasks_within_bounds(desired: int, threshold: int) -> None:
    assert circuit_breaker_threshold(desired) == threshold


@pytest.mark.parametrize(
    ("limits", "minimum", "maximum"),
    [
        (Limits(2), 2, 4),
        (Limits(3, 50, 150), 2, 4),
        (Limits(1, 100, 100), 1, 1),
        (Limits(1, 0, 100), 0, 1),
        (Limits(0), 0, 1),
    ],
)
def test_minimum_rounds_up_and_maximum_down(limits: Limits, minimum: int, maximum: int) -> None:
    assert (limits.minimum, limits.maximum) == (minimum, maximum)


def tasks(specification: str) -> list[TaskView]:
    """Make tasks: ``O`` old and healthy, ``o`` old and unhealthy, ``N`` new and healthy, ``n`` new, ``f`` failing."""
    return [
        TaskView(
            arn=f"{letter}{number}",
            created_at=f"2030-01-01T00:00:{number:02}Z",
            current=letter in "Nnf",
            healthy=letter in "ON",
            failing=letter == "f",
        )
        for number, letter in enumerate(specification)
    ]


@pytest.mark.parametrize(
    ("specification", "limits", "start", "stop"),
    [
        pytest.param("", Limits(2), 2, [], id="first tasks"),
        pytest.param("OO", Limits(2), 2, [], id="new ones start first, to the maximum"),
        pytest.param("OOnn", Limits(2), 0, [], id="no old one stops before a new one is healthy"),
        pytest.param("OONn", Limits(2), 0, ["O0"], id="one old for one healthy new, the oldest first"),
        pytest.param("ONN", Limits(2), 0, ["O0"], id="the last old one"),
        pytest.param("NN", Limits(2), 0, [], id="steady"),
        pytest.param("OOOO", Limits(4, 100, 125), 1, [], id="one by one at 125 %"),
        pytest.param("OO", Limits(2, 50, 100), 0, ["O0"], id="an old one makes room when there is none"),
        pytest.param("OO", Limits(2, 100, 100), 0, [], id="no room and none may go: stuck, as on AWS"),
        pytest.param("OOoonn", Limits(2), 0, ["o2", "o3"], id="a superseded deployment's own tasks go at once"),
        pytest.param("NNN", Limits(2), 0, ["N2"], id="scale in: the newest"),
        pytest.param("NnN", Limits(2), 0, ["n1"], id="scale in: what is not healthy first"),
        pytest.param("OOON", Limits(2), 0, ["O0", "O1"], id="scaled in while deploying"),
        pytest.param("NNOn", Limits(0), 0, ["N0", "N1", "O2", "n3"], id="none wanted"),
        pytest.param("Nf", Limits(2), 1, [], id="an ill task is replaced first"),
        pytest.param("NfN", Limits(2), 0, ["f1"], id="then stopped"),
        pytest.param("Nf", Limits(2, 50, 100), 0, ["f1"], id="or stopped to make room"),
    ],
)
def test_next_step(specification: str, limits: Limits, start: int, stop: list[str]) -> None:
    assert plan(tasks(specification), limits) == Plan(start, tuple(stop))


def test_what_may_not_start_does_not() -> None:
    assert plan([], Limits(3), startable=1).start == 1
    assert plan(tasks("OO"), Limits(2), startable=0) == Plan(0, ())


@pytest.mark.parametrize("limits", [Limits(1), Limits(2), Limits(5, 50, 150), Limits(4, 75, 100), Limits(3, 0, 100)])
def test_a_rollout_of_good_tasks_ends_and_keeps_its_bounds(limits: Limits) -> None:
    state = {f"old{number}": True for number in range(limits.desired)}
    for step in range(40):
        views = [
            TaskView(arn, f"{step:03}" if healthy else "999", not arn.startswith("old"), healthy)
            for arn, healthy in state.items()
        ]
        done = plan(views, limits)
        if not done.start and not done.stop and all(state.values()):
            break
        for arn in done.stop:
            del state[arn]
        state = dict.fromkeys(state, True)  # every started task becomes healthy
        assert sum(state.values()) >= limits.minimum
        state |= {f"new{step}-{number}": False for number in range(done.start)}
        assert len(state) <= limits.maximum
    assert len(state) == limits.desired
    assert not any(arn.startswith("old") for arn in state)
