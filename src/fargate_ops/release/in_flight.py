"""The deployment in flight of a strategy that is not rolling: its stage, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from fargate_ops.aws.clients import Clients
from fargate_ops.ecs import service_deployments, traffic
from fargate_ops.ecs.rollout import Deployment, Snapshot
from fargate_ops.ecs.service_deployments import SHIFTING, ServiceDeployment
from fargate_ops.release.stages import clock_time, describe
from fargate_ops.release.strategy import Strategy
from fargate_ops.terraform.stack import Stack


@dataclass(frozen=True, kw_only=True)
class InFlight:
    """One deployment in flight. ``percent`` of the users' requests go to its tasks."""

    seen: ServiceDeployment
    deployment: Deployment
    strategy: Strategy
    percent: float

    @classmethod
    def read(cls, clients: Clients, stack: Stack, strategy: Strategy, snapshot: Snapshot) -> Self | None:
        """Return the deployment in flight; None if there is none, or a rolling one. ``strategy`` is the inventory's."""
        ecs = clients.client("ecs")
        seen = service_deployments.in_flight(ecs, stack.cluster_name, stack.service_name)
        if seen is None or (its := strategy.in_flight(seen.configuration)).is_rolling:
            return None
        percent = 0.0
        if seen.stage in SHIFTING and (group := service_deployments.target_group(ecs, seen.target)):
            weights = traffic.weights(clients.client("elbv2"), stack.production_listener_rule_arn)
            percent = traffic.percent(weights, group)
        return cls(seen=seen, deployment=snapshot.primary, strategy=its, percent=percent)

    @property
    def line(self) -> str:
        """Return what it does now: ``10 % of the requests go to family:7, bake of 5 min``."""
        return describe(self.seen, self.strategy, self.percent, self.deployment.revision_name)

    @property
    def end(self) -> str:
        """Return when it ends. ECS does not say when a stage began, so it may be earlier."""
        if self.seen.goes_back:
            return "ECS undoes it"
        if self.seen.pause:
            expires = self.seen.pause.expires
            return f"ECS undoes it at {clock_time(expires)}" if expires else "it waits"
        minutes = self.strategy.minutes_left(self.percent)
        since = self.seen.updated if self.percent and self.seen.updated else datetime.now(UTC)
        return f"it ends by {clock_time(since + timedelta(seconds=minutes * self.strategy.minute_seconds))}"
