"""The service's scalable target at Application Auto Scaling: read and set its limits and its schedule's suspension."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from fargate_ops.ecs.schedule import Capacity
from fargate_ops.terraform.stack import ServiceScaling


class Registered(NamedTuple):
    """The registered settings of a scalable target. ``suspended`` is AWS's ``SuspendedState``."""

    limits: Capacity
    suspended: Mapping[str, bool]

    @property
    def is_schedule_suspended(self) -> bool:
        return bool(self.suspended.get("ScheduledScalingSuspended"))


class ScalableTarget:
    """One target, from the output ``scalable_target``."""

    def __init__(self, autoscaling: Any, output: ServiceScaling) -> None:
        self._autoscaling = autoscaling
        self._resource = output.resource_id
        self._kind = {
            "ServiceNamespace": output.service_namespace,
            "ScalableDimension": output.scalable_dimension,
        }

    def registered(self) -> Registered | None:
        """Return what is registered; None if there is no such target."""
        found = self._autoscaling.describe_scalable_targets(**self._kind, ResourceIds=[self._resource])
        return next(
            (
                Registered(Capacity(item["MinCapacity"], item["MaxCapacity"]), item.get("SuspendedState") or {})
                for item in found["ScalableTargets"]
            ),
            None,
        )

    def newest_activity(self) -> str:
        """Return the id of the last change of the number of tasks by auto scaling; empty if there is none."""
        return next((activity for activity, _ in self._activities()), "")

    def numbers_after(self, activity: str) -> list[int]:
        """Return the numbers of tasks that auto scaling has set since that activity, the oldest first."""
        newer = itertools.takewhile(lambda found: found[0] != activity, self._activities())
        return [number for _, number in newer][::-1]

    def _activities(self) -> list[tuple[str, int]]:
        """Return the id and the number of tasks of each activity that did not fail, the newest first.

        https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DescribeScalingActivities.html
        """
        pages = self._autoscaling.get_paginator("describe_scaling_activities").paginate(
            **self._kind, ResourceId=self._resource
        )
        return [
            (item["ActivityId"], int(number[0]))
            for page in pages
            for item in page["ScalingActivities"]
            if item["StatusCode"] != "Failed" and (number := re.search(r"\d+", item["Description"]))
        ]

    def register(self, limits: Capacity, suspended: Mapping[str, bool]) -> None:
        """Set the limits and resume the schedule. The rest of ``suspended`` stays.

        Auto scaling starts or stops tasks at once to keep their number within the limits.
        """
        self._autoscaling.register_scalable_target(
            **self._kind,
            ResourceId=self._resource,
            MinCapacity=limits.minimum,
            MaxCapacity=limits.maximum,
            SuspendedState={**suspended, "ScheduledScalingSuspended": False},
        )
