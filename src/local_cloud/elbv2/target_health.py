"""Targets are checked, and DescribeTargetHealth returns the results.

What AWS does: a load balancer checks every registered target by the target group's path, port, interval, timeout,
thresholds and success codes; a new target needs one passing check; a deregistered one drains for the deregistration
delay (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html).
Without this patch: the emulator reports every registered target as healthy, and removes a deregistered one at once.

Only HTTP checks are made. If every target is unhealthy, an ALB sends requests to all of them ("fail open"); here they
get none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install, replaces
from local_cloud.core.runtime import Cloud
from local_cloud.elbv2.health import Health, Settings, State
from local_cloud.elbv2.targets import Target, TargetRegistry

DEFAULT_DEREGISTRATION_DELAY_SECONDS = 300.0
_MANAGED = "_managed_by_ecs"


def apply(cloud: Cloud) -> TargetGroups:
    groups = TargetGroups(emulator.service("alb"))
    install(Handlers(groups))
    cloud.at_start(groups.restore)
    cloud.at_stop(groups.registry.stop)
    return groups


class Handlers:
    """The actions on targets."""

    def __init__(self, groups: TargetGroups) -> None:
        self._alb = emulator.service("alb")
        self._groups = groups

    @replaces("alb", "RegisterTargets")
    def register_targets(self, params: dict[str, Any]) -> Any:
        group = self._alb._p(params, "TargetGroupArn")
        if group not in self._alb._tgs:
            return self._alb._error("TargetGroupNotFound", f"Target group '{group}' not found.")
        for target in self._groups.parse(params, group):
            self._groups.register(group, target)
        return self._alb._empty("RegisterTargets")

    @replaces("alb", "DeregisterTargets")
    def deregister_targets(self, params: dict[str, Any]) -> Any:
        group = self._alb._p(params, "TargetGroupArn")
        if group not in self._alb._tgs:
            return self._alb._error("TargetGroupNotFound", f"Target group '{group}' not found.")
        for target in self._groups.parse(params, group):
            self._groups.deregister(group, target)
        return self._alb._empty("DeregisterTargets")

    @replaces("alb", "DescribeTargetHealth")
    def describe_target_health(self, params: dict[str, Any]) -> Any:
        group = self._alb._p(params, "TargetGroupArn")
        if group not in self._alb._tgs:
            return self._alb._error("TargetGroupNotFound", f"Target group '{group}' not found.")
        members = self._groups.registry.members(group)
        asked = self._groups.parse(params, group)
        if asked:
            members = {target: members.get(target, _NOT_REGISTERED) for target in asked}
        described = "".join(_describe(*item, self._groups.zone(item[0])) for item in members.items())
        return self._alb._xml(
            200,
            "DescribeTargetHealth",
            f"<TargetHealthDescriptions>{described}</TargetHealthDescriptions>",
        )

    @extends("alb", "DeleteTargetGroup")
    def delete_target_group(self, delete: Handler, params: dict[str, Any]) -> Any:
        answer = delete(params)
        self._groups.registry.remove_group(self._alb._p(params, "TargetGroupArn"))
        return answer


class TargetGroups:
    """Connects the registry of targets with the emulator's records of target groups."""

    def __init__(self, alb: Any) -> None:
        self._alb = alb
        self.registry = TargetRegistry(self._settings, self.in_use)
        self.registry.observe(self._publish)
        self._managed: set[tuple[str, Target]] = set()
        self._zones: dict[str, str] = {}

    def register(self, group: str, target: Target, *, managed: bool = False, zone: str | None = None) -> None:
        """Register a target. ``managed`` ones belong to an ECS service and are not restored after a restart."""
        if managed:
            self._managed.add((group, target))
        if zone:
            self._zones[target.address] = zone
        self.registry.register(group, target)

    def zone(self, target: Target) -> str | None:
        """Return the name of the target's availability zone; None if it is not known."""
        return self._zones.get(target.address)

    def deregister(self, group: str, target: Target) -> None:
        self._managed.discard((group, target))
        self.registry.deregister(group, target, self.deregistration_delay(group))

    def deregistration_delay(self, group: str) -> float:
        """Return the group's ``deregistration_delay.timeout_seconds``."""
        for attribute in self._find(self._alb._tg_attrs, group) or []:
            if attribute["Key"] == "deregistration_delay.timeout_seconds":
                return float(attribute["Value"])
        return DEFAULT_DEREGISTRATION_DELAY_SECONDS

    def parse(self, params: dict[str, Any], group: str) -> list[Target]:
        """Return the request's ``Targets``; a target without a port has the group's port."""
        default = self._alb._tgs[group].get("Port", 80)
        return [
            Target(target["Id"], int(target.get("Port") or default))
            for target in self._alb._parse_targets_param(params)
        ]

    def restore(self) -> None:
        """Register the targets again that did not belong to an ECS service; the scheduler registers the others."""
        for (_account, group), targets in list(self._alb._targets._data.items()):
            for target in list(targets):
                if not target.get(_MANAGED):
                    self.register(group, Target(target["Id"], int(target.get("Port", 80))))
        self._publish()

    def _publish(self) -> None:
        """Copy the registrations into the emulator's record, which it saves."""
        records = self._alb._targets._data
        for key in list(records):
            members = self.registry.members(key[1])
            records[key] = [
                {"Id": target.address, "Port": target.port, _MANAGED: (key[1], target) in self._managed}
                for target, health in members.items()
                if health.state is not State.DRAINING
            ]

    def _settings(self, group: str) -> Settings | None:
        record = self._find(self._alb._tgs, group)
        if record is None:
            return None
        port = record["HealthCheckPort"]
        return Settings(
            path=record["HealthCheckPath"],
            port=None if port == "traffic-port" else int(port),
            interval=record["HealthCheckIntervalSeconds"],
            timeout=record["HealthCheckTimeoutSeconds"],
            healthy_threshold=record["HealthyThresholdCount"],
            unhealthy_threshold=record["UnhealthyThresholdCount"],
            matcher=record["Matcher"]["HttpCode"],
            enabled=record["HealthCheckEnabled"],
        )

    def in_use(self, group: str) -> bool:
        """Return whether a listener or one of its rules forwards to the group."""
        rules = [*self._alb._listeners._data.values(), *self._alb._rules._data.values()]
        return any(
            group in forwarded_groups(action)
            for rule in rules
            for action in rule.get("DefaultActions") or rule.get("Actions") or []
        )

    @staticmethod
    def _find(store: Any, arn: str) -> Any:
        """Return a record by its ARN, independent of the account and region of the caller's thread."""
        parts = arn.split(":")
        return store.get_scoped(parts[4], parts[3], arn)


def forwarded_groups(action: Mapping[str, Any]) -> list[str]:
    """Return the target groups that an action of a listener or rule forwards to."""
    if action.get("Type") != "forward":
        return []
    weighted = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    groups = [action.get("TargetGroupArn"), *(group.get("TargetGroupArn") for group in weighted)]
    return list(dict.fromkeys(group for group in groups if group))


_NOT_REGISTERED = Health(State.UNUSED, "Target.NotRegistered", "Target is not registered to the target group")


def _describe(target: Target, health: Health, zone: str | None) -> str:
    reason = f"<Reason>{health.reason}</Reason>" if health.reason else ""
    text = f"<Description>{escape(health.description)}</Description>" if health.description else ""
    place = f"<AvailabilityZone>{escape(zone)}</AvailabilityZone>" if zone else ""
    return (
        f"<member><Target><Id>{escape(target.address)}</Id><Port>{target.port}</Port>{place}</Target>"
        f"<HealthCheckPort>{target.port}</HealthCheckPort>"
        f"<TargetHealth><State>{health.state}</State>{reason}{text}</TargetHealth></member>"
    )
