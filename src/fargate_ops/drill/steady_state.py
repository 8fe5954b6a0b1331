"""The state of the service before and after a drill, as AWS reports it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import OperationsError
from fargate_ops.ecs.tasks import describe_tasks, list_tasks, short
from fargate_ops.ecs.traffic import target_groups, target_health
from fargate_ops.state.ledger import Ledger
from fargate_ops.terraform.stack import Stack


class DrillError(OperationsError):
    """The expected state was not reached in time; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """The service at one moment. ``tasks``: id → revision, for tasks that should run; ``targets``: state → number.

    ``newest_release``, ``newest_outcome`` and ``newest_why`` are the ledger's newest entry; ``version`` is the ledger's
    version of the revision.
    """

    revision: str
    version: str
    rollout: str
    desired: int
    tasks: Mapping[str, str]
    running: int
    targets: Mapping[str, int]
    newest_release: str = ""
    newest_outcome: str = ""
    newest_why: str = ""

    @property
    def missing(self) -> str:
        """Return why the service is not in a steady state; empty if it is."""
        if self.desired < 1:
            return "the desired count is 0"
        if self.rollout != "COMPLETED":
            return f"the rollout of {self.revision} is {self.rollout}"
        others = sorted(set(self.tasks.values()) - {self.revision})
        if others:
            return f"tasks of {', '.join(others)} run beside {self.revision}"
        if self.running != self.desired or len(self.tasks) != self.desired:
            return f"{self.running} of {self.desired} tasks run"
        if self.targets != {"healthy": self.desired}:
            return f"targets: {self.targets_text}"
        return ""

    @property
    def targets_text(self) -> str:
        return ", ".join(f"{count} {state}" for state, count in sorted(self.targets.items())) or "none"

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def observe(clients: Clients, stack: Stack, bucket: str, environment: str) -> ServiceState:
    """Read the state once. Raises botocore's errors and LedgerError."""
    ecs, cluster, name = clients.client("ecs"), stack.cluster_name, stack.service_name
    service = ecs.describe_services(cluster=cluster, services=[name])["services"][0]
    primary = next(item for item in service["deployments"] if item["status"] == "PRIMARY")
    tasks = describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=name))
    health = target_health(clients.client("elbv2"), target_groups(stack))
    releases = Ledger(clients.client("s3"), bucket, environment).releases()
    serving = [release for release in releases if release.revision == primary["taskDefinition"]]
    newest = releases[-1] if releases else None
    return ServiceState(
        revision=short(primary["taskDefinition"]),
        version=next((item.version for item in reversed(serving) if item.succeeded), ""),
        rollout=primary.get("rolloutState", "IN_PROGRESS"),
        desired=service["desiredCount"],
        tasks={short(task["taskArn"]): short(task["taskDefinitionArn"]) for task in tasks},
        running=sum(task["lastStatus"] == "RUNNING" for task in tasks),
        targets=dict(Counter(item["TargetHealth"]["State"] for item in health["TargetHealthDescriptions"])),
        newest_release=newest.id if newest else "",
        newest_outcome=str(newest.outcome) if newest else "",
        newest_why=newest.why if newest else "",
    )


def wait_until_steady(
    read_state: Callable[[], ServiceState],
    limit_seconds: float,
    *,
    poll_seconds: float = 0.5,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ServiceState:
    """Wait until the service is in a steady state, and return that state.

    Raises:
        DrillError: it did not reach a steady state within the limit.
    """
    started = clock()
    while (seen := read_state()).missing:
        if clock() - started > limit_seconds:
            raise DrillError(f"the service is not in a steady state after {limit_seconds:.0f} s: {seen.missing}")
        sleep(poll_seconds)
    return seen
