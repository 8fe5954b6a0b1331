"""Why a deployment failed: evidence from ECS, the load balancer and the logs, formatted for the screen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fargate_ops.ecs.root_cause import readable, without
from fargate_ops.ecs.tasks import Stop, describe_tasks, how_stopped, list_tasks, log_stream, tail
from fargate_ops.ecs.traffic import target_health

EVENTS = 8
STOPPED_TASKS = 3
LOG_LINES = 20

#: ECS's messages for a secret that is missing, lacks the key, or may not be read.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html
ABSENT_SECRET = re.compile(
    r"ResourceInitializationError.*(?:"
    r"marked for deletion|can't find the specified secret|can't retrieve the secret|did not contain json key"
    r"|invalid character|ParameterNotFound|[Ii]nvalid ssm parameters"
    r"|not authorized to perform: (?:secretsmanager|ssm|kms):)",
    re.DOTALL,
)
#: ECS's messages for an image that does not exist.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
ABSENT_IMAGE = re.compile(
    r"CannotPull(?:Container|ImageManifest)Error.*(?:not found|manifest unknown|does not exist)", re.DOTALL
)
_FORBIDDEN = r"ResourceInitializationError.*(?:AccessDenied|not authorized to perform|log group does not exist)"
#: Something that a task needs is missing or forbidden: a retry does not help.
ABSENT = re.compile("|".join([ABSENT_SECRET.pattern, ABSENT_IMAGE.pattern, _FORBIDDEN]), re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything known about a failure. The evidence does not repeat the lines of the ``cause``."""

    title: str
    cause: str = ""
    stopped: Sequence[Stop] = ()
    log_of: str = ""
    log_lines: Sequence[str] = ()
    targets: Sequence[str] = ()
    events: Sequence[str] = ()
    serving: str = ""
    next_command: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    def summary(self) -> str:
        """Return what happened, what serves now and the next command, without the evidence."""
        lines = [self.title, *self.notes]
        if self.cause and self.cause not in self.title:
            lines.append(f"Cause: {self.cause}")
        if self.serving:
            lines.append(f"What serves now: {self.serving}")
        if self.next_command:
            lines.append(f"Next: {self.next_command}")
        return "\n".join(lines)

    def evidence(self) -> str:
        """Return what is known about the cause, without empty parts."""
        lines: list[str] = []
        stopped = {stop.task_id: without([str(stop)], self.cause) for stop in self.stopped}
        lines += _part("Stopped tasks", [": ".join([task, *how]) for task, how in stopped.items()])
        lines += _part(f"Last log lines of {self.log_of}", without(readable(self.log_lines), self.cause))
        lines += _part("Targets that are not healthy", self.targets)
        lines += _part("Service events", without(self.events, self.cause))
        return "\n".join(lines)


def _part(heading: str, lines: Sequence[str]) -> list[str]:
    return [f"{heading}:", *(f"  {line}" for line in lines)] if lines else []


def stopped_tasks(ecs: Any, cluster: str, service: str, revision: str, container: str) -> list[Stop]:
    """Return a revision's stopped and stopping tasks, the newest last. ECS lists them for about an hour.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-errors.html
    """
    arns = list_tasks(ecs, cluster, serviceName=service, desiredStatus="STOPPED")
    tasks = [task for task in describe_tasks(ecs, cluster, arns) if task.get("taskDefinitionArn") == revision]
    tasks.sort(key=lambda task: str(task.get("stoppedAt") or task.get("stoppingAt", "")))
    return [how_stopped(task, container) for task in tasks]


def failed_by_themselves(stops: Sequence[Stop]) -> list[Stop]:
    """Return the tasks that ended, never started or failed a health check, without those that were scaled in."""
    return [stop for stop in stops if stop.code != "UserInitiated" and not stop.reason.startswith("Scaling activity")]


def failures_first(stops: Sequence[Stop], newest: int) -> list[Stop]:
    """Return the newest tasks that failed by themselves; if there are none, those that the scheduler stopped."""
    return list(failed_by_themselves(stops) or stops)[-newest:]


def cannot_start(stops: Sequence[Stop]) -> str:
    """Return why no task can start: something was missing for a task, and again for a later one; empty if not so.

    One failure is not enough: a new secret, permission or log group may take seconds to become visible.
    """
    absent = [stop for stop in stops if stop.code == "TaskFailedToStart" and ABSENT.search(str(stop))]
    first = min((stop.stopped for stop in absent if stop.stopped), default=None)
    return next((str(stop) for stop in absent if first and stop.created and stop.created >= first), "")


def target_lines(elbv2: Any, groups: Sequence[str]) -> list[str]:
    """Return the targets of these target groups that are not healthy, with the load balancer's reason."""
    answer = target_health(elbv2, groups)
    return [
        ", ".join(
            [f"{target['Id']}:{target.get('Port', '')} {health['State']}"]
            + [health[key] for key in ("Reason", "Description") if health.get(key)]
        )
        for target, health in ((item["Target"], item["TargetHealth"]) for item in answer["TargetHealthDescriptions"])
        if health["State"] != "healthy"
    ]


def event_lines(service: Mapping[str, Any], since: datetime, newest: int = EVENTS) -> list[str]:
    """Return the service's own events since a time, oldest first."""
    # ECS lists the newest first; a second may hold several.
    events = [event for event in reversed(service.get("events", [])) if event["createdAt"] >= since]
    events.sort(key=lambda event: event["createdAt"])
    return [f"{event['createdAt']:%H:%M:%S} {event['message']}" for event in events[-newest:]]


def newest_task(ecs: Any, cluster: str, service: str, revision: str) -> str | None:
    """Return the ARN of a revision's newest task that has not stopped; None if there is none."""
    tasks = [
        task
        for task in describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=service))
        if task.get("taskDefinitionArn") == revision
    ]
    return str(max(tasks, key=lambda task: str(task.get("createdAt", "")))["taskArn"]) if tasks else None


def started(ecs: Any, cluster: str, service: str, revision: str) -> datetime | None:
    """Return when the oldest running task of a revision started; None if none runs."""
    times: list[datetime] = [
        task["startedAt"]
        for task in describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=service))
        if task.get("taskDefinitionArn") == revision and task.get("startedAt")
    ]
    return min(times, default=None)


def log_tail(ecs: Any, logs: Any, revision: str, task_arn: str, container: str, lines: int = LOG_LINES) -> list[str]:
    """Return the last log lines of a task."""
    definition = ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
    return tail(logs, log_stream(definition, container, task_arn), lines)
