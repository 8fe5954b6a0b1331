"""The wait for auto scaling, against a service whose states the test lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from fargate_ops.drill.cpu_load import Scaled, wait_until_scaled
from fargate_ops.drill.steady_state import DrillError, ServiceState
from fargate_ops.ecs.scaling import Registered
from fargate_ops.ecs.schedule import Capacity

LIMITS = Capacity(2, 4)


def state(desired: int, running: int | None = None) -> ServiceState:
    running = desired if running is None else running
    return ServiceState(
        revision="shop:4",
        version="v4",
        rollout="COMPLETED",
        desired=desired,
        tasks={str(number): "shop:4" for number in range(running)},
        running=running,
        targets={"healthy": running},
    )


@dataclass
class World:
    """Each read of the service takes half a second. The last state stays."""

    states: list[ServiceState]
    limits: Capacity | None = LIMITS
    now: float = 0.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reads: Iterator[ServiceState] = iter(self.states)

    def read(self) -> ServiceState:
        return next(self._reads, self.states[-1])

    def registered(self) -> Registered | None:
        return None if self.limits is None else Registered(self.limits, {})

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def more_than_two(self) -> Scaled:
        target: Any = self
        return wait_until_scaled(
            self.read,
            target,
            lambda desired: desired > 2,
            9,
            self.said.append,
            clock=lambda: self.now,
            sleep=self.sleep,
        )


def test_it_waits_until_the_new_tasks_serve() -> None:
    world = World([state(2), state(2), state(4, running=2), state(4)])
    assert world.more_than_two() == Scaled(desired=4, seconds=1.5, outside=[], limits="2 to 4 tasks")
    assert world.said == [
        "    0.0 s  2 tasks desired, 2 run, targets: 2 healthy",
        "    1.0 s  4 tasks desired, 2 run, targets: 2 healthy",
        "    1.5 s  4 tasks desired, 4 run, targets: 4 healthy",
    ]


def test_a_number_outside_the_limits_is_kept() -> None:
    assert World([state(1), state(5), state(4)]).more_than_two().outside == [1, 5]


def test_it_gives_up_after_the_limit() -> None:
    with pytest.raises(DrillError, match=r"within 9 s: 2 tasks desired, 2 run, targets: 2 healthy, 2 to 4 tasks"):
        World([state(2)]).more_than_two()


def test_a_service_that_nothing_scales() -> None:
    with pytest.raises(DrillError, match="no scalable target"):
        World([state(2)], limits=None).more_than_two()
