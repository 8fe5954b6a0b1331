"""How many requests fit into a minute, and how long one too many waits."""

from __future__ import annotations

from fargate_ops.console.budget import Budget


class Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_request_above_the_limit_waits_until_the_first_is_a_minute_old() -> None:
    clock = Clock()
    budget = Budget(3, clock, clock.sleep)
    for _ in range(3):
        budget.take()
        clock.now += 1
    assert (budget.used(), clock.slept) == (3, [])
    budget.take()
    assert (clock.now, clock.slept) == (160.0, [57.0])
    assert budget.used() == 3


def test_room_for_several_requests() -> None:
    clock = Clock()
    budget = Budget(3, clock, clock.sleep)
    budget.take()
    clock.now += 10
    budget.take()
    assert [budget.seconds_until(calls) for calls in (1, 2, 3)] == [0.0, 50.0, 60.0]
    assert budget.seconds_until(9) == 60.0  # there will never be room for more than the limit
    clock.now += 60
    assert (budget.used(), budget.seconds_until(3)) == (0, 0.0)
