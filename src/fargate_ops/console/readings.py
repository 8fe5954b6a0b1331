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
from fargate_ops.ecs.traffic import target_groups, target_health
from fargate_ops.state.ledger import Ledger
from fargate_ops.state.lock import LockStore
from fargate_ops.terraform.stack import Stack

#: The number of releases on the page, and the number of newest successes that are read beside them.
RELEASES = 20
#: The number of objects of the ledger that one reading fetches, beside those of the newest release. A release has two
#: or three, seldom more. During a rollout older releases wait.
LEDGER_OBJECTS = 3


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reading: the seconds between two of them, shorter or longer while something happens (``busy``).

    ``read`` is told whether it is ``busy``. It makes ``calls`` AWS calls. ``follows`` returns a part of the reading
    ``service``: after a change of it, this reading is due at once.
    """

    name: str
    read: Callable[[bool], Any]
    interval: float = 60
    busy_interval: float = 60
    calls: int = 1
    follows: Callable[[Mapping[str, Any]], Any] | None = None


class NotDeployedError(OperationsError):
    """There are no Terraform outputs."""

    def __init__(self, environment: str) -> None:
        super().__init__(f"nothing is deployed here. Next: make deploy ENV={environment}")


def readings(clients: Clients, stack: Stack, *, environment: str, bucket: str) -> list[Reading]:
    """Return the readings of one environment, the most important first.

    Together they take 18 calls a minute, and 26 during a rollout. A rollout adds some whenever its tasks change, and so
    does the ledger while its older releases are unread: what exceeds the budget waits (`Poller`).
    """
    ledger = Ledger(clients.client("s3"), bucket, environment)
    lock = LockStore(clients.client("s3"), bucket, environment)
    traffic = TrafficReader(clients, stack)

    def of_stack(read: Callable[[], Any]) -> Callable[[bool], Any]:
        def checked(_: bool) -> Any:
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

    def targets() -> Any:
        return target_health(clients.client("elbv2"), target_groups(stack))

    def all_alarms() -> Any:
        return alarms(clients.client("cloudwatch"), stack.name_prefix)

    def releases(busy: bool) -> Any:
        return ledger.history(RELEASES, reads=0 if busy else LEDGER_OBJECTS)

    def metrics() -> Any:
        return traffic.read(datetime.now(UTC))

    return [
        Reading(name="service", read=of_stack(service), interval=10, busy_interval=5),
        Reading(name="lock", read=lambda _: lock.read(), interval=20, busy_interval=40),
        Reading(name="targets", read=of_stack(targets), busy_interval=15, follows=_counts),
        Reading(name="tasks", read=of_stack(tasks), calls=2, follows=_counts),
        Reading(
            name="ledger", read=releases, calls=1 + LEDGER_OBJECTS, interval=30, busy_interval=30, follows=_rollouts
        ),
        Reading(name="alarms", read=of_stack(all_alarms), interval=30, busy_interval=30),
        Reading(name="traffic", read=of_stack(metrics), calls=2),
        Reading(name="service_deployments", read=of_stack(service_deployments), follows=_rollouts),
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
