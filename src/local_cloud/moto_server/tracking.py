"""The decisions of target tracking, without any I/O.

What AWS documents: capacity grows in proportion to the metric, rounded up, and shrinks more gradually; a metric without
data scales nothing
(https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html). For an ECS
service the count starts from the running tasks, and while a deployment is in progress nothing is removed, though tasks
may be added (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html). Each direction has
a cool-down
(https://docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html) and
can be suspended
(https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-suspend-resume-scaling.html).

AWS documents neither the numbers of the two alarms nor how many tasks a step removes. In accounts one sees: high, above
the target for 3 of 3 minutes; low, below nine tenths of it for 15 of 15. Here a step removes one task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

OUT_MINUTES = 3
IN_MINUTES = 15
LOW_SHARE = 0.9
SPARE_MINUTES = 3
"""An alarm looks at more minutes than it needs, so that one without data does not end it."""
SEEN_MINUTES = IN_MINUTES + SPARE_MINUTES


class Alarm(StrEnum):
    HIGH = "AlarmHigh"
    LOW = "AlarmLow"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A target tracking policy. Cool-downs are in minutes."""

    target: float
    scale_out_cooldown: float
    scale_in_cooldown: float
    may_scale_in: bool = True


@dataclass(frozen=True, kw_only=True)
class Step:
    """An earlier change by the policy: its alarm, the tasks that ran before it, and how many minutes ago it was."""

    alarm: Alarm
    running: int
    minutes_ago: float


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service with the limits and suspensions of its scalable target, and the policy's last step.

    ``minutes`` are the metric's averages, the oldest first; None without data.
    """

    minutes: Sequence[float | None]
    running: int
    desired: int
    minimum: int
    maximum: int
    is_deploying: bool = False
    is_out_suspended: bool = False
    is_in_suspended: bool = False
    last: Step | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """The number of tasks to set, and the alarm that asked for it."""

    desired: int
    alarm: Alarm


def decide(policy: Policy, service: Service) -> Change | None:
    """Return the change to make now, if any."""
    out = _latest(service.minutes, OUT_MINUTES, lambda value: value > policy.target)
    if out is not None:
        return None if service.is_out_suspended else _more(policy, service, out)
    low = _latest(service.minutes, IN_MINUTES, lambda value: value < policy.target * LOW_SHARE)
    if low is None or not policy.may_scale_in or service.is_in_suspended or service.is_deploying:
        return None
    return _fewer(policy, service)


def _latest(minutes: Sequence[float | None], needed: int, breaches: Callable[[float], bool]) -> float | None:
    """Return the newest value if each of the newest `needed` values breaches. Minutes without data are skipped."""
    values = [value for value in minutes[-(needed + SPARE_MINUTES) :] if value is not None][-needed:]
    return values[-1] if len(values) == needed and all(breaches(value) for value in values) else None


def _more(policy: Policy, service: Service, value: float) -> Change | None:
    """Scale out in proportion. During the cool-down only beyond what the step before it added."""
    base = min(service.running, service.desired)
    last = service.last
    if last is not None and last.alarm is Alarm.HIGH and last.minutes_ago < policy.scale_out_cooldown:
        base = last.running
    wanted = _within(service, math.ceil(base * value / policy.target))
    return Change(desired=wanted, alarm=Alarm.HIGH) if wanted > service.desired else None


def _fewer(policy: Policy, service: Service) -> Change | None:
    """Scale in by one task. A scale-out ends the cool-down of the scale-in before it."""
    last = service.last
    if last is not None and last.alarm is Alarm.LOW and last.minutes_ago < policy.scale_in_cooldown:
        return None
    wanted = _within(service, min(service.running, service.desired) - 1)
    return Change(desired=wanted, alarm=Alarm.LOW) if wanted < service.desired else None


def _within(service: Service, count: int) -> int:
    return max(service.minimum, min(service.maximum, count))
