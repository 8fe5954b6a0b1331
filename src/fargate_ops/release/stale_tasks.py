"""Find running tasks that do not use the current log stream, secret values or target group.

Each of these may have been recreated since a task started, and a task does not notice:
- the awslogs driver creates its stream once, so a task whose log group was deleted never logs again
  (https://github.com/moby/moby/issues/52976);
- ECS reads secrets when a task starts
  (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html);
- a service registers a task in its target group only when the task starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.ecs.rollout import Deployment
from fargate_ops.ecs.tasks import describe_tasks, list_tasks, log_stream, private_address
from fargate_ops.ecs.traffic import live_target_groups, target_health
from fargate_ops.terraform.stack import Stack

#: Number of concurrent requests.
PARALLEL = 8
#: Errors for something that does not exist. Whether it should exist is decided by the release's checks.
ABSENT = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True)
class Staleness:
    """Why a running task is stale. ``secret`` is the ARN of a secret that has a newer value."""

    reason: str
    secret: str = ""


def stale_tasks(clients: Clients, stack: Stack, primary: Deployment) -> list[Staleness]:
    """Return why PRIMARY's running tasks are stale; empty if they log, are registered and have current secrets.

    A check that these credentials may not make counts as passed.

    Raises:
        ClientError, BotoCoreError: AWS did not answer.
    """
    ecs, cluster = clients.client("ecs"), stack.cluster_name
    arns = list_tasks(ecs, cluster, serviceName=stack.service_name)
    tasks = [
        task
        for task in describe_tasks(ecs, cluster, arns)
        if task["lastStatus"] == "RUNNING" and task["taskDefinitionArn"] == primary.revision
    ]
    if not tasks:
        return []
    definition = ecs.describe_task_definition(taskDefinition=primary.revision)["taskDefinition"]
    # boto3 makes clients in one thread only; they may then be used in all.
    logs, secrets, elbv2 = (clients.client(name) for name in ("logs", "secretsmanager", "elbv2"))
    questions: list[Callable[[], Staleness | None]] = [
        *(lambda task=task: _silent(logs, definition, stack.container_name, task) for task in tasks),
        *(lambda arn=arn: _outdated(secrets, arn, tasks) for arn in _secrets(definition)),
    ]
    if primary.rollout_state == "COMPLETED":  # before, a task may not be registered yet
        questions.append(lambda: _unregistered(elbv2, stack, tasks))

    def ask(question: Callable[[], Staleness | None]) -> Staleness | None:
        try:
            return question()
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT | DENIED:
                return None
            raise

    with ThreadPoolExecutor(PARALLEL) as pool:
        return [item for item in pool.map(ask, questions) if item]


def _silent(logs: Any, definition: Mapping[str, Any], container: str, task: Mapping[str, Any]) -> Staleness | None:
    stream = log_stream(definition, container, task["taskArn"])
    if stream is None:
        return None
    found = logs.describe_log_streams(logGroupName=stream.group, logStreamNamePrefix=stream.stream, limit=1)
    if found["logStreams"]:
        return None
    return Staleness(
        f"{stream.group} has no log stream of the task {_id(task)}: it was deleted, and the task is silent"
    )


def _secrets(definition: Mapping[str, Any]) -> list[str]:
    """Return the secrets that a definition uses in their current version."""
    values = [
        secret["valueFrom"].split(":")
        for container in definition["containerDefinitions"]
        for secret in container.get("secrets") or []
    ]
    current = [parts for parts in values if parts[2:3] == ["secretsmanager"] and not any(parts[8:10])]
    return list(dict.fromkeys(":".join(parts[:7]) for parts in current))


def _outdated(secrets: Any, arn: str, tasks: Sequence[Mapping[str, Any]]) -> Staleness | None:
    listed = secrets.list_secret_version_ids(SecretId=arn, MaxResults=100)["Versions"]
    put: datetime | None = next(
        (item["CreatedDate"] for item in listed if "AWSCURRENT" in (item.get("VersionStages") or [])), None
    )
    old = [task for task in tasks if put and task["createdAt"] < put]
    if put is None or not old:
        return None
    name = arn.split(":", 6)[-1]
    return Staleness(f"{name} has a new value since {put:%F %T %Z}, and {len(old)} tasks started before that", arn)


def _unregistered(elbv2: Any, stack: Stack, tasks: Sequence[Mapping[str, Any]]) -> Staleness | None:
    groups = live_target_groups(elbv2, stack)
    known = {item["Target"]["Id"] for item in target_health(elbv2, groups)["TargetHealthDescriptions"]}
    missing = [_id(task) for task in tasks if private_address(task) and private_address(task) not in known]
    names = " and ".join(group.rsplit(":", 1)[-1] for group in groups)
    return Staleness(f"no target of {names}: {', '.join(missing)}") if missing else None


def _id(task: Mapping[str, Any]) -> str:
    return str(task["taskArn"].rsplit("/", 1)[-1])
