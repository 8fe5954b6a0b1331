"""The scheduled limits of the number of tasks at a given time (requirement B2), from the output ``scalable_target``.

A scheduled action rewrites the target's limits permanently, so the limits of the last action hold; before the first,
the target's own. The output has the expressions that AWS was given: there is no second copy of the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fargate_ops.aws.cron import parse
from fargate_ops.terraform.stack import ScheduledAction, ServiceScaling


class Capacity(NamedTuple):
    """Minimum and maximum number of tasks."""

    minimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} tasks"


@dataclass(frozen=True, kw_only=True)
class Change:
    """New limits from a time on; ``at`` is in the schedule's time zone."""

    at: datetime
    capacity: Capacity


def capacity_at(target: ServiceScaling, moment: datetime) -> Capacity:
    """Return the limits at ``moment``, which has a time zone. Of simultaneous actions the later in the list counts.

    Raises:
        CronError: an expression cannot be parsed.
    """
    zone = _zone(target)
    fired = [
        (last, number, _capacity(action))
        for number, action in enumerate(_actions(target))
        if (last := parse(action.schedule).last(moment, zone))
    ]
    return max(fired)[2] if fired else _capacity(target)


def next_change(target: ServiceScaling, moment: datetime) -> Change | None:
    """Return the next change of the limits after ``moment``; None if there is none.

    Raises:
        CronError: an expression cannot be parsed.
    """
    zone = _zone(target)
    now = capacity_at(target, moment)
    upcoming = [
        following
        for action in _actions(target)
        if _capacity(action) != now and (following := parse(action.schedule).after(moment, zone))
    ]
    if not upcoming:
        return None
    at = min(upcoming)
    return Change(at=at.astimezone(zone), capacity=capacity_at(target, at))


def _actions(target: ServiceScaling) -> list[ScheduledAction]:
    return target.get(ServiceScaling.scheduled_actions, [])


def _zone(target: ServiceScaling) -> ZoneInfo:
    return ZoneInfo(target.get(ServiceScaling.timezone, "") or "UTC")


def _capacity(limits: ServiceScaling | ScheduledAction) -> Capacity:
    return Capacity(limits.min_capacity, limits.max_capacity)
