"""The service's scalable target at Application Auto Scaling: which limits it has, and setting them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roles.ecs_release.python.schedule import Capacity


class ScalableTarget:
    """One target, by the output ``scalable_target``."""

    def __init__(self, autoscaling: Any, output: Mapping[str, Any]) -> None:
        self._autoscaling = autoscaling
        self._resource = str(output["resource_id"])
        self._kind = {
            "ServiceNamespace": str(output["service_namespace"]),
            "ScalableDimension": str(output["scalable_dimension"]),
        }

    def limits(self) -> Capacity | None:
        """The registered limits; None when there is no such target."""
        found = self._autoscaling.describe_scalable_targets(**self._kind, ResourceIds=[self._resource])
        return next((Capacity(item["MinCapacity"], item["MaxCapacity"]) for item in found["ScalableTargets"]), None)

    def register(self, limits: Capacity) -> None:
        """Set the limits. Tasks fewer than the minimum are started, and more than the maximum stopped, at once."""
        self._autoscaling.register_scalable_target(
            **self._kind, ResourceId=self._resource, MinCapacity=limits.minimum, MaxCapacity=limits.maximum
        )
