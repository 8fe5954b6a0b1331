"""Move the load balancer's traffic away from an availability zone, and back.

Auto scaling does not prepare for it: it follows the average CPU of all tasks, and those of the zone are idle then. So
the other zones must be able to carry the load with the tasks that they have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError
from fargate_ops.ecs.tasks import describe_tasks, list_tasks
from fargate_ops.ecs.traffic import target_groups, target_health
from fargate_ops.ecs.zones import Managed, Shift, healthy_by_zone, managed
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]


class RefusedError(OperationsError):
    """The shift is not started; the message says why."""

    kind = Kind.REFUSED


@dataclass(frozen=True, kw_only=True)
class Load:
    """The service's load now: its healthy targets in the zone and elsewhere, and its running tasks.

    ``cpu`` is the highest average of all tasks in a recent minute, in percent; None if CloudWatch has none.
    """

    inside: int
    elsewhere: int
    running: int
    cpu: float | None

    @property
    def cpu_elsewhere(self) -> float | None:
        """The average CPU of the other zones' targets if they carry the whole load; None if it is not known."""
        return None if self.cpu is None or not self.elsewhere else self.cpu * self.running / self.elsewhere


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The CPU that the other zones' targets may reach, in percent, and how far back the load is read, in minutes."""

    cpu_percent: float
    minutes: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is now true: the zone that traffic is away from (empty: none), and a sentence."""

    changed: bool
    zone: str
    what: str


def refusal(zone: str, load: Load, limits: Limits, environment: str) -> str:
    """Return why a shift away from ``zone`` is refused; empty if it is not."""
    if not load.elsewhere:
        return (
            f"the other zones have no healthy target, so a shift away from {zone} would have no effect. "
            f"Next: make status ENV={environment}"
        )
    cpu = load.cpu_elsewhere
    # A zone without a healthy target carries nothing that the others would have to take over.
    if not load.inside or cpu is None or cpu <= limits.cpu_percent:
        return ""
    needed = math.ceil((load.cpu or 0.0) * load.running / limits.cpu_percent)
    return (
        f"without {zone}, the other zones' {load.elsewhere} healthy targets would need {cpu:.0f} % CPU, more than "
        f"{limits.cpu_percent:.0f} %; the load needs {needed} of them. Next: raise app_min_tasks, then "
        f"make deploy ENV={environment}"
    )


class ZoneAway:
    """The zonal shift of one environment's load balancer."""

    def __init__(self, clients: Clients, stack: Stack, environment: str, say: Say) -> None:
        self._clients, self._stack, self._environment, self._say = clients, stack, environment, say
        self._arc = clients.client("arc-zonal-shift")

    def find(self) -> Managed:
        """Return the load balancer's zones and its shift.

        Raises:
            RefusedError: zonal shift is not enabled on it.
        """
        found = managed(self._clients, self._stack.target_group_arn)
        if found is None:
            raise RefusedError(
                f"zonal shift is not enabled on the load balancer. Next: make infra ENV={self._environment}"
            )
        return found

    def start(
        self, zone: str, expires_in: str, comment: str, limits: Limits, now: datetime, *, preview: bool
    ) -> Result:
        """Move traffic away from a zone for ``expires_in`` (``1h``, ``90m``).

        Raises:
            RefusedError: there is no such zone, another shift is active, or the other zones could not carry the load.
        """
        found = self.find()
        if zone not in found.ids:
            raise RefusedError(
                f"{f'{zone} is no zone' if zone else 'ZONE names no zone'} of the load balancer; its zones are "
                f"{', '.join(found.ids)}. Next: make zone-away ZONE={next(iter(found.ids))} ENV={self._environment}"
            )
        if shift := found.shift:
            if shift.zone != zone:
                raise RefusedError(
                    f"traffic is away from {shift.zone} until {shift.end}, and a load balancer has one shift "
                    f"at a time. Next: make zone-away CANCEL=1 ENV={self._environment}"
                )
            return Result(changed=False, zone=zone, what=f"traffic is already away from {zone} until {shift.end}")
        load = self._load(zone, limits, now)
        if why := refusal(zone, load, limits, self._environment):
            raise RefusedError(why)
        self._say(_text(load))
        if preview:
            return Result(changed=False, zone="", what=f"would move traffic away from {zone} for {expires_in}")
        made = self._arc.start_zonal_shift(
            resourceIdentifier=found.arn, awayFrom=found.ids[zone], expiresIn=expires_in, comment=comment
        )
        shift = Shift(id=made["zonalShiftId"], zone=zone, until=made["expiryTime"])
        return Result(changed=True, zone=zone, what=f"no new request goes to {zone} until {shift.end}")

    def cancel(self, *, preview: bool) -> Result:
        """Cancel the active shift, if there is one.

        Raises:
            RefusedError: zonal shift is not enabled on the load balancer.
        """
        shift = self.find().shift
        if shift is None:
            return Result(changed=False, zone="", what="traffic goes to all zones: no zonal shift was active")
        if preview:
            return Result(changed=False, zone=shift.zone, what=f"would let traffic go to {shift.zone} again")
        self._arc.cancel_zonal_shift(zonalShiftId=shift.id)
        return Result(changed=True, zone="", what=f"traffic goes to {shift.zone} again")

    def _load(self, zone: str, limits: Limits, now: datetime) -> Load:
        ecs, cluster = self._clients.client("ecs"), self._stack.cluster_name
        tasks = describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=self._stack.service_name))
        health = target_health(self._clients.client("elbv2"), target_groups(self._stack))
        healthy = healthy_by_zone(tasks, health)
        return Load(
            inside=healthy[zone],
            elsewhere=healthy.total() - healthy[zone],
            running=sum(task["lastStatus"] == "RUNNING" for task in tasks),
            cpu=self._cpu(limits, now),
        )

    def _cpu(self, limits: Limits, now: datetime) -> float | None:
        """Return the highest average of a minute; None if CloudWatch has none or does not answer.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html
        """
        dimensions = {"ClusterName": self._stack.cluster_name, "ServiceName": self._stack.service_name}
        metric: dict[str, Any] = {
            "Namespace": "AWS/ECS",
            "MetricName": "CPUUtilization",
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        }
        query = {"Id": "cpu", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}}
        try:
            (found,) = self._clients.client("cloudwatch").get_metric_data(
                MetricDataQueries=[query], StartTime=now - timedelta(minutes=limits.minutes), EndTime=now
            )["MetricDataResults"]
        except (ClientError, BotoCoreError):
            return None  # an emergency does not wait for CloudWatch
        return max(found["Values"], default=None)


def _text(load: Load) -> str:
    cpu = load.cpu_elsewhere
    carried = "the load is not known: CloudWatch has no CPU of the service" if cpu is None else f"at {cpu:.0f} % CPU"
    return f"the other zones have {load.elsewhere} of {load.inside + load.elsewhere} healthy targets; {carried}"
