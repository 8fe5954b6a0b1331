"""Applies target tracking policies to ECS services: reads the metric, decides each minute, sets the desired count.

What AWS does: see ``tracking.py``, which decides.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-autoscaling-targettracking.html
Without this module: moto only stores the policies.

Supported are the average CPU and the average memory of a service. Cool-downs follow the pace of the local cloud.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_cloud.core import metrics, utilization
from local_cloud.core.pace import Pace
from local_cloud.moto_server.activities import Activities, Activity
from local_cloud.moto_server.tracking import SEEN_MINUTES, Alarm, Change, Policy, Service, Step, decide

logger = logging.getLogger(__name__)

METRICS = {
    "ECSServiceAverageCPUUtilization": utilization.CPU,
    "ECSServiceAverageMemoryUtilization": utilization.MEMORY,
}
DEFAULT_COOLDOWN_SECONDS = 300
"""https://docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html"""

ReadMinutes = Callable[[str, Mapping[str, str]], Sequence[float | None]]
"""Returns a metric of ``AWS/ECS`` with these dimensions as ``tracking.Service`` has it."""


class TargetTracking:
    """Scales each service that has a target tracking policy."""

    def __init__(
        self,
        autoscaling: Any,
        ecs: Any,
        activities: Activities,
        pace: Pace,
        read_minutes: ReadMinutes,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._autoscaling, self._ecs, self._activities = autoscaling, ecs, activities
        self._pace, self._read_minutes, self._clock = pace, read_minutes, clock
        self._steps: dict[str, tuple[float, Alarm, int]] = {}
        """By the policy's ARN: when its last step was, and what `tracking.Step` has of it."""

    def scale(self) -> None:
        """Make the changes that the policies ask for now. To be called once a minute."""
        for target in self._described("describe_scalable_targets", "ScalableTargets"):
            for policy in self._described("describe_scaling_policies", "ScalingPolicies", target["ResourceId"]):
                if policy["PolicyType"] == "TargetTrackingScaling":
                    self._apply(target, policy)

    def _described(self, describe: str, key: str, resource_id: str | None = None) -> list[dict[str, Any]]:
        named = {"ResourceId": resource_id} if resource_id else {}
        pages = self._autoscaling.get_paginator(describe).paginate(ServiceNamespace="ecs", **named)
        found: list[dict[str, Any]] = pages.build_full_result()[key]
        return found

    def _apply(self, target: Mapping[str, Any], policy: Mapping[str, Any]) -> None:
        settings = policy["TargetTrackingScalingPolicyConfiguration"]
        metric = METRICS.get((settings.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType", ""))
        service = self._service(target, policy, metric) if metric else None
        if service is None:
            return
        change = decide(
            Policy(
                target=settings["TargetValue"],
                scale_out_cooldown=settings.get("ScaleOutCooldown", DEFAULT_COOLDOWN_SECONDS) / 60,
                scale_in_cooldown=settings.get("ScaleInCooldown", DEFAULT_COOLDOWN_SECONDS) / 60,
                may_scale_in=not settings.get("DisableScaleIn", False),
            ),
            service,
        )
        if change is not None:
            self._set(target["ResourceId"], policy, service, change)

    def _service(self, target: Mapping[str, Any], policy: Mapping[str, Any], metric: str) -> Service | None:
        """Return the service that the target scales, or None if there is none."""
        _, cluster, name = target["ResourceId"].split("/")
        try:
            found = self._ecs.describe_services(cluster=cluster, services=[name])["services"]
        except self._ecs.exceptions.ClusterNotFoundException:
            return None
        active = next((item for item in found if item["status"] == "ACTIVE"), None)
        if active is None:
            return None
        suspended, last = target.get("SuspendedState") or {}, self._steps.get(policy["PolicyARN"])
        return Service(
            minutes=self._read_minutes(metric, utilization.dimensions(cluster, name)),
            running=active["runningCount"],
            desired=active["desiredCount"],
            minimum=target["MinCapacity"],
            maximum=target["MaxCapacity"],
            is_deploying=any(item.get("rolloutState") == "IN_PROGRESS" for item in active["deployments"]),
            is_out_suspended=bool(suspended.get("DynamicScalingOutSuspended")),
            is_in_suspended=bool(suspended.get("DynamicScalingInSuspended")),
            last=Step(alarm=last[1], running=last[2], minutes_ago=(self._clock() - last[0]) / self._pace.minute_seconds)
            if last
            else None,
        )

    def _set(self, resource_id: str, policy: Mapping[str, Any], service: Service, change: Change) -> None:
        _, cluster, name = resource_id.split("/")
        logger.info("%s: %d tasks instead of %d, by %s", resource_id, change.desired, service.desired, change.alarm)
        self._ecs.update_service(cluster=cluster, service=name, desiredCount=change.desired)
        self._steps[policy["PolicyARN"]] = (self._clock(), change.alarm, min(service.running, service.desired))
        alarm = next(item["AlarmName"] for item in policy["Alarms"] if f"-{change.alarm}-" in item["AlarmName"])
        cause = f"monitor alarm {alarm} in state ALARM triggered policy {policy['PolicyName']}"
        self._activities.add(Activity(resource_id=resource_id, desired=change.desired, cause=cause))


def read_minutes(pace: Pace, name: str, dimensions: Mapping[str, str]) -> list[float | None]:
    """Return the averages of a metric that CloudWatch has, as `ReadMinutes`."""
    wanted = metrics.metric(utilization.NAMESPACE, name, dimensions)
    found = metrics.statistics(wanted, "Average", period=pace.seconds(60), periods=SEEN_MINUTES)
    return [found.get(number) for number in range(-SEEN_MINUTES, 0)]
