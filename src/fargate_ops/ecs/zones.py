"""The availability zones of a service: its targets in each, and the zonal shift of its load balancer.

Zonal shift is a feature of Amazon Application Recovery Controller (ARC):
https://docs.aws.amazon.com/r53recovery/latest/dg/arc-zonal-shift.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.ecs.tasks import private_address


@dataclass(frozen=True, kw_only=True)
class Shift:
    """An active zonal shift away from ``zone``, a zone's name."""

    id: str
    zone: str
    until: datetime

    @property
    def end(self) -> str:
        return f"{self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, kw_only=True)
class Managed:
    """A load balancer as ARC manages it. ``ids``: the ids of its zones (``apne2-az1``), by their names."""

    arn: str
    ids: Mapping[str, str]
    shift: Shift | None


def load_balancer(elbv2: Any, target_group_arn: str) -> str:
    """Return the ARN of the load balancer that forwards to a target group; empty if none does."""
    (group,) = elbv2.describe_target_groups(TargetGroupArns=[target_group_arn])["TargetGroups"]
    return next(iter(group.get("LoadBalancerArns", [])), "")


def managed(clients: Clients, target_group_arn: str) -> Managed | None:
    """Return the load balancer of a target group as ARC manages it; None if zonal shift is not enabled on it.

    A zone's id is the same in every account, its name is not: https://docs.aws.amazon.com/global-infrastructure/latest/regions/az-ids.html
    """
    arn = load_balancer(clients.client("elbv2"), target_group_arn)
    if not arn:
        return None
    try:
        resource = clients.client("arc-zonal-shift").get_managed_resource(resourceIdentifier=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    zones = clients.client("ec2").describe_availability_zones()["AvailabilityZones"]
    names = {zone["ZoneId"]: str(zone["ZoneName"]) for zone in zones}
    shift = next((item for item in resource["zonalShifts"] if item["appliedStatus"] == "APPLIED"), None)
    return Managed(
        arn=arn,
        ids={names[identifier]: identifier for identifier in sorted(resource["appliedWeights"])},
        shift=_shift(shift, names) if shift else None,
    )


def _shift(item: Mapping[str, Any], names: Mapping[str, str]) -> Shift:
    zone = names.get(item["awayFrom"], item["awayFrom"])
    return Shift(id=item["zonalShiftId"], zone=zone, until=item["expiryTime"])


def healthy_by_zone(tasks: Iterable[Mapping[str, Any]], health: Mapping[str, Any]) -> Counter[str]:
    """Return the number of healthy targets in each zone, from the answers of DescribeTasks and DescribeTargetHealth."""
    zones = {private_address(task): task.get("availabilityZone", "") for task in tasks}
    return Counter(
        zones.get(item["Target"]["Id"], "")
        for item in health["TargetHealthDescriptions"]
        if item["TargetHealth"]["State"] == "healthy"
    )
