"""The arithmetic of a rolling deployment, without any I/O.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html,
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class TaskView:
    """A task that is not being stopped."""

    arn: str
    created_at: str
    """ISO 8601, so that it sorts."""
    current: bool
    """Whether it belongs to the PRIMARY deployment."""
    healthy: bool
    """Whether it is RUNNING, and healthy in every target group of the service."""
    failing: bool = False
    """Whether it became unhealthy after being healthy. Such a task is replaced before it is stopped."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How many tasks a service may have while it is deployed."""

    desired: int
    minimum_percent: int = 100
    maximum_percent: int = 200

    @property
    def minimum(self) -> int:
        """Tasks that must stay healthy; rounded up, as AWS does."""
        return math.ceil(self.desired * self.minimum_percent / 100)

    @property
    def maximum(self) -> int:
        """Tasks that may run or be starting; rounded down, as AWS does."""
        return max(1, self.desired * self.maximum_percent // 100)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The scheduler's next step."""

    start: int
    stop: tuple[str, ...]
    """ARNs of the tasks to stop."""


def circuit_breaker_threshold(desired: int) -> int:
    """Return how many failed tasks fail a deployment: half of the desired tasks, at least 3, at most 200."""
    return min(200, max(3, math.ceil(desired / 2)))


def plan(tasks: Sequence[TaskView], limits: Limits, *, startable: int | None = None) -> Plan:
    """Decide the next step towards ``desired`` healthy tasks of the PRIMARY deployment.

    New tasks start first, up to the maximum. An old task stops when a healthy new task replaces it, or to make room
    if the maximum leaves none. At least the minimum stays healthy.

    Args:
        tasks: every task that is not being stopped.
        startable: an upper bound on tasks that may start now; None for no bound.
    """
    if limits.desired == 0:
        return Plan(0, tuple(task.arn for task in tasks))
    by_age = sorted(tasks, key=lambda task: task.created_at)
    current = [task for task in by_age if task.current and not task.failing]
    failing = [task for task in by_age if task.current and task.failing]
    old = [task for task in by_age if not task.current]

    missing = limits.desired - len(current)
    room = limits.maximum - len(tasks)
    start = max(0, min(missing, room))
    if startable is not None:
        start = min(start, startable)

    # An unhealthy old task gets no requests, so it can stop at once.
    stop = [task for task in old if not task.healthy]
    lacking = max(0, missing - max(0, room)) - len(stop)

    healthy_current = sum(task.healthy for task in current)
    replaced = failing if healthy_current >= limits.desired else failing[: max(0, lacking)]
    stop += replaced
    lacking -= len(replaced)

    healthy_old = [task for task in old if task.healthy]
    healthy = healthy_current + len(healthy_old)
    spare = max(0, healthy - limits.minimum)
    surplus = max(0, healthy - limits.desired)
    stop += healthy_old[: min(spare, max(surplus, lacking))]

    if missing < 0:  # scale in: unhealthy tasks first, then the newest
        current.reverse()
        current.sort(key=lambda task: task.healthy)
        stop += current[:-missing]
    return Plan(start, tuple(task.arn for task in stop))
