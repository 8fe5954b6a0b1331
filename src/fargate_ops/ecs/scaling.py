"""The service's scalable target at Application Auto Scaling: read and set its limits and its schedule's suspension."""

from __future__ import annotations

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
