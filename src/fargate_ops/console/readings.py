"""The readings of AWS that the page is made of: what each calls, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fargate_ops.aws.alarms import alarms
from fargate_ops.aws.clients import Clients
from fargate_ops.console.traffic import TrafficReader
from fargate_ops.core.problem import OperationsError
from fargate_ops.ecs.rollout import Snapshot, describe_service
from fargate_ops.ecs.tasks import describe_tasks, list_tasks
from fargate_ops.state.ledger import Ledger
from fargate_ops.state.lock import LockStore
from fargate_ops.terraform.stack import Stack

#: The number of releases on the page, and the number of newest successes that are read beside them.
RELEASES = 20
#: The number of the ledger's objects that one reading fetches. A release has two to four.
LEDGER_OBJECTS = 8


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reading: the seconds between two of them, shorter or longer while something happens (``busy``).

    It needs room for ``calls`` AWS calls, and gets it for up to ``most``: ``read`` is given that number. ``follows``
    returns a part of the reading ``service``: after a change of it, this reading is due at once.
    """

    name: str
    read: Callable[[int], Any]
    interval: float
    busy_interval: float
    calls: int = 1
    most: int = 0
    follows: Callable[[Mapping[str, Any]], Any] | None = None


class NotDeployedError(OperationsError):
    """There are no Terraform outputs."""

    def __init__(self, environment: str) -> None:
        super().__init__(f"nothing is deployed here. Next: make deploy ENV={environment}")


def readings(clients: Clients, stack: Stack, *, environment: str, bucket: str) -> list[Reading]:
    """Return the readings of one environment, the most important first.

    Together they take 22 calls a minute, and 28 during a rollout. A rollout adds some whenever its tasks change, and so
    does the ledger while its older releases are unread: what exceeds the budget waits (`Poller`).
    """
    ledger = Ledger(clients.client("s3"), bucket, environment)
    lock = LockStore(clients.client("s3"), bucket, environment)
    traffic = TrafficReader(clients, stack)

    def of_stack(read: Callable[[], Any]) -> Callable[[int], Any]:
        def checked(_: int) -> Any:
            if not stack:
                raise NotDeployedError(environment)
            return read()

        return checked

    def ecs() -> Any:
        return clients.client("ecs")

    def service() -> Any:
        found = describe_service(ecs(), stack.cluster_name, stack.service_name)
        Snapshot(service=found, targets={}).primary  # noqa: B018 - raises without one
        return found

    def tasks() -> Any:
        return describe_tasks(
            ecs(), stack.cluster_name, list_tasks(ecs(), stack.cluster_name, serviceName=stack.service_name)
        )

    def service_deployments() -> Any:
        listed = ecs().list_service_deployments(cluster=stack.cluster_name, service=stack.service_name, maxResults=10)
        return listed["serviceDeployments"]

    return [
        Reading(
            name="service",
            read=of_stack(service),
            interval=10,
            busy_interval=5,
        ),
        Reading(name="lock", read=lambda _: lock.read(), interval=10, busy_interval=30),
        Reading(
            name="targets",
            read=of_stack(
                lambda: clients.client("elbv2").describe_target_health(TargetGroupArn=stack.target_group_arn)
            ),
            interval=30,
            busy_interval=10,
            follows=_counts,
        ),
        Reading(name="tasks", read=of_stack(tasks), interval=60, busy_interval=60, calls=2, follows=_counts),
        Reading(
            name="alarms",
            read=of_stack(lambda: alarms(clients.client("cloudwatch"), stack.name_prefix)),
            interval=30,
            busy_interval=30,
        ),
        Reading(
            name="ledger",
            read=lambda calls: ledger.history(RELEASES, reads=calls - 1),
            interval=30,
            busy_interval=30,
            calls=2,
            most=1 + LEDGER_OBJECTS,
            follows=_rollouts,
        ),
        Reading(
            name="service_deployments",
            read=of_stack(service_deployments),
            interval=60,
            busy_interval=60,
            follows=_rollouts,
        ),
        Reading(
            name="traffic",
            read=of_stack(lambda: traffic.read(datetime.now(UTC))),
            interval=60,
            busy_interval=60,
            calls=2,
        ),
    ]


def _counts(service: Mapping[str, Any]) -> Any:
    """Return what changes with the service's tasks."""
    counts = ("id", "status", "pendingCount", "runningCount", "failedTasks")
    return [[deployment.get(name) for name in counts] for deployment in service["deployments"]]


def _rollouts(service: Mapping[str, Any]) -> Any:
    """Return what changes with the service's deployments."""
    return [
        [deployment.get(name) for name in ("id", "status", "rolloutState")] for deployment in service["deployments"]
    ]
