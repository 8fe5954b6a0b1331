"""Why a deployment failed, gathered from ECS, the load balancer and the logs, and put on the screen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fargate_ops.ecs.tasks import Stop, describe_tasks, how_stopped, list_tasks, log_stream, tail

EVENTS = 8
STOPPED_TASKS = 3
LOG_LINES = 20

#: Words of ECS for what a task needs and is not there, or is not allowed: trying again brings none of it.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
ABSENT = re.compile(
    r"ResourceInitializationError.*("
    r"marked for deletion|can't find the specified secret|can't retrieve the secret|did not contain json key"
    r"|invalid character|ParameterNotFound|[Ii]nvalid ssm parameters|AccessDenied|not authorized to perform"
    r"|log group does not exist)"
    r"|CannotPullContainerError.*(not found|manifest unknown|does not exist)",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is known about a failure."""

    title: str
    stopped: Sequence[Stop] = ()
    log_of: str = ""
    log_lines: Sequence[str] = ()
    targets: Sequence[str] = ()
    events: Sequence[str] = ()
    serving: str = ""
    next_command: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    def summary(self) -> str:
        """What happened, what serves now and what to type next, without the evidence."""
        lines = [self.title, *self.notes]
        if self.serving:
            lines.append(f"What serves now: {self.serving}")
        if self.next_command:
            lines.append(f"Next: {self.next_command}")
        return "\n".join(lines)

    def evidence(self) -> str:
        """What is known about the cause; parts of which nothing is known are left out."""
        lines: list[str] = []
        lines += _part("Stopped tasks", [f"{stop.task_id}: {stop}" for stop in self.stopped])
        lines += _part(f"Last log lines of {self.log_of}", self.log_lines)
        lines += _part("Targets that are not healthy", self.targets)
        lines += _part("Service events", self.events)
        return "\n".join(lines)


def _part(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"{heading}:", *(f"  {line}" for line in lines)] if lines else []


def stopped_tasks(ecs: Any, cluster: str, service: str, revision: str, container: str) -> list[Stop]:
    """Tasks of a revision that stopped, or are being stopped, the newest last. ECS remembers them for about an hour.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-errors.html
    """
    arns = list_tasks(ecs, cluster, serviceName=service, desiredStatus="STOPPED")
    tasks = [task for task in describe_tasks(ecs, cluster, arns) if task.get("taskDefinitionArn") == revision]
    tasks.sort(key=lambda task: str(task.get("stoppedAt") or task.get("stoppingAt", "")))
    return [how_stopped(task, container) for task in tasks]


def failed_by_themselves(stops: Sequence[Stop]) -> list[Stop]:
    """Tasks that ended, never started or failed a health check; not those that the scheduler scaled in."""
    return [stop for stop in stops if stop.code != "UserInitiated" and not stop.reason.startswith("Scaling activity")]


def failures_first(stops: Sequence[Stop], newest: int) -> list[Stop]:
    """The newest tasks that failed by themselves; those that the scheduler stopped only when there is no other."""
    return list(failed_by_themselves(stops) or stops)[-newest:]


def cannot_start(stops: Sequence[Stop]) -> str:
    """Why no task can start: what it needs was not there, and was not there for a later task either; or empty.

    One failure is not enough: a secret, a right or a log group that was just made may take seconds to be seen.
    """
    absent = [stop for stop in stops if stop.code == "TaskFailedToStart" and ABSENT.search(str(stop))]
    first = min((stop.stopped for stop in absent if stop.stopped), default=None)
    return next((str(stop) for stop in absent if first and stop.created and stop.created >= first), "")


def target_lines(elbv2: Any, target_group_arn: str) -> list[str]:
    """Targets that are not healthy, with the load balancer's reason."""
    answer = elbv2.describe_target_health(TargetGroupArn=target_group_arn)
    return [
        ", ".join(
            [f"{target['Id']}:{target.get('Port', '')} {health['State']}"]
            + [health[key] for key in ("Reason", "Description") if health.get(key)]
        )
        for target, health in ((item["Target"], item["TargetHealth"]) for item in answer["TargetHealthDescriptions"])
        if health["State"] != "healthy"
    ]


def event_lines(service: Mapping[str, Any], since: datetime, newest: int = EVENTS) -> list[str]:
    """The service's own events since a moment, oldest first."""
    # ECS lists the newest first; a second may hold several.
    events = [event for event in reversed(service.get("events", [])) if event["createdAt"] >= since]
    events.sort(key=lambda event: event["createdAt"])
    return [f"{event['createdAt']:%H:%M:%S} {event['message']}" for event in events[-newest:]]


def newest_task(ecs: Any, cluster: str, service: str, revision: str) -> str | None:
    """The ARN of the task of a revision that started last and has not stopped; None when there is none."""
    tasks = [
        task
        for task in describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=service))
        if task.get("taskDefinitionArn") == revision
    ]
    return str(max(tasks, key=lambda task: str(task.get("createdAt", "")))["taskArn"]) if tasks else None


def started(ecs: Any, cluster: str, service: str, revision: str) -> datetime | None:
    """When the first of a revision's tasks that still run started; None when none does."""
    times: list[datetime] = [
        task["startedAt"]
        for task in describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=service))
        if task.get("taskDefinitionArn") == revision and task.get("startedAt")
    ]
    return min(times, default=None)


def log_tail(ecs: Any, logs: Any, revision: str, task_arn: str, container: str, lines: int = LOG_LINES) -> list[str]:
    """The last log lines of a task."""
    definition = ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
    return tail(logs, log_stream(definition, container, task_arn), lines)
