"""Read all signals concurrently. A source that refuses or is silent is named, and does not delay the others.

Everything is found by the environment's name, and by the service itself: neither Terraform's outputs nor the lock nor
the database's sessions are needed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.alarms import alarms
from fargate_ops.aws.clients import Clients
from fargate_ops.aws.errors import error_code
from fargate_ops.core.application import CANNOT_BE_USED, HELD_TOO_LONG, NO_FREE_CONNECTION
from fargate_ops.core.problem import OperationsError
from fargate_ops.ecs.rollout import ServiceError, Snapshot, describe_service
from fargate_ops.ecs.tasks import Stop, describe_tasks, how_stopped, list_tasks, private_address
from fargate_ops.incident.signals import Change, Database, Entry, Scope, Service, Signals, Source, Target, Task
from fargate_ops.release.journal import incarnation
from fargate_ops.state.ledger import Ledger, Release, of_service

T = TypeVar("T")
D = TypeVar("D")

#: How a client may wait, in seconds: a silent service must not hold up the answer.
CLIENT_LIMITS: Mapping[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 2},
    "connect_timeout": 2,
    "read_timeout": 4,
}
#: The whole look. What has not answered by then is not read.
LIMIT_SECONDS = 9.0
#: How long to read one log, whose newest lines come last.
LOG_SECONDS = 6.0
#: The number of newest releases to read.
RELEASES = 5
#: Minutes of the tasks' CPU.
CPU_MINUTES = 5

#: Parts of the lines that tell of a cause, in the application's log.
APPLICATION_PHRASES = (
    CANNOT_BE_USED,
    NO_FREE_CONNECTION,
    HELD_TOO_LONG,
    "password authentication failed",
    "connection to server",
    "timeout expired",
    "onnection refused",
)
#: The same in PostgreSQL's log. https://www.postgresql.org/docs/current/runtime-config-logging.html
DATABASE_PHRASES = (
    "duration: ",
    "still waiting for",
    "canceling statement due to",
    "too many clients",
    "remaining connection slots",
)
#: Calls that can cause an incident. CloudTrail has many others.
CHANGES = frozenset(
    {"UpdateService", "StopTask", "PutSecretValue", "UpdateSecret", "DeleteSecret", "ModifyDBInstance"}
    | {"RebootDBInstance", "StopDBInstance", "ModifyDBParameterGroup", "BatchDeleteImage", "ModifyTargetGroup"}
    | {"DeregisterTargets", "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress", "DeleteRolePolicy"}
    | {"PutRolePolicy", "DetachRolePolicy", "DeleteLogGroup", "RegisterScalableTarget"}
)


class _NoSuchThing(OperationsError):
    """What is looked for does not exist."""


def gather(clients: Clients, scope: Scope, now: datetime) -> Signals:
    """Return the signals of one environment, after `LIMIT_SECONDS` at most."""
    look = _Look(clients, scope, now)
    service = look.start(Source.SERVICE, look.service)
    tasks = look.start(Source.TASKS, look.tasks)
    targets = look.start(Source.TARGETS, lambda: look.targets(service.result()))
    releases = look.start(Source.LEDGER, look.releases)
    known_alarms = look.start(Source.ALARMS, lambda: alarms(look.client("cloudwatch"), scope.name))
    log = look.start(Source.APPLICATION_LOG, lambda: look.log(f"/ecs/{scope.name}", APPLICATION_PHRASES))
    database = look.start(Source.DATABASE, lambda: look.database(service.result())) if scope.has_database else None
    database_log = look.start(Source.DATABASE_LOG, lambda: look.database_log(database)) if database else None
    cpu = look.start(Source.CPU, look.cpu)
    queue = look.start(Source.QUEUE, look.undelivered)
    changes = look.start(Source.CHANGES, look.changes) if scope.cloudtrail else None
    look.wait()
    description = service.otherwise(None)
    running, stopped = tasks.otherwise(([], []))
    history = releases.otherwise([])
    return Signals(
        scope=scope,
        now=now,
        service=_service(description) if description else None,
        is_missing=_is_missing(service.error()),
        tasks=running,
        stops=stopped,
        targets=targets.otherwise([]),
        releases=of_service(history, incarnation(description)) if description else history,
        alarms=known_alarms.otherwise([]),
        application_log=log.otherwise([]),
        database=database.otherwise(None) if database else None,
        database_log=database_log.otherwise([]) if database_log else [],
        cpu=cpu.otherwise([]),
        undelivered=queue.otherwise(0),
        changes=changes.otherwise([]) if changes else [],
        read=[source for source, answer in look.answers.items() if not answer.why],
        unread={source: answer.why for source, answer in look.answers.items() if answer.why},
    )


class _Answer(Generic[T]):
    """What one source answers. ``why`` is the reason if there is no answer when it is needed."""

    def __init__(self, future: Future[T]) -> None:
        self.future, self.why = future, ""

    def result(self) -> T:
        """Wait for the answer, in the thread of another source. Raises the source's error."""
        return self.future.result()

    def error(self) -> BaseException | None:
        return self.future.exception() if self.future.done() and not self.future.cancelled() else None

    def otherwise(self, default: D) -> T | D:
        """Return the answer if it is there."""
        if not self.future.done() or self.future.cancelled():
            self.why = f"no answer within {LIMIT_SECONDS:g} s"
        elif error := self.future.exception():
            self.why = _why(error)
        else:
            return self.future.result()
        return default


class _Look:
    """One look: a thread for each source."""

    def __init__(self, clients: Clients, scope: Scope, now: datetime) -> None:
        self._scope, self._now = scope, now
        self._since = now - scope.recent
        # boto3 creates clients in one thread only.
        names = ("ecs", "elbv2", "cloudwatch", "logs", "rds", "sqs", "s3", "cloudtrail")
        self._clients = {name: clients.client(name) for name in names}
        self._pool = ThreadPoolExecutor(len(Source))
        self.answers: dict[Source, _Answer[Any]] = {}

    def client(self, name: str) -> Any:
        return self._clients[name]

    def start(self, source: Source, read: Callable[[], T]) -> _Answer[T]:
        answer = _Answer(self._pool.submit(read))
        self.answers[source] = answer
        return answer

    def wait(self) -> None:
        """Wait for all sources, but not longer than `LIMIT_SECONDS`."""
        wait([answer.future for answer in self.answers.values()], LIMIT_SECONDS)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- the sources -----------------------------------------------------------------------------------------------

    def service(self) -> Mapping[str, Any]:
        return describe_service(self.client("ecs"), self._scope.name, self._scope.name)

    def releases(self) -> list[Release]:
        return Ledger(self.client("s3"), self._scope.bucket, self._scope.environment).history(RELEASES).releases

    def tasks(self) -> tuple[list[Task], list[Stop]]:
        """Return the tasks that run or start, and those that stop or have stopped, which ECS lists for an hour."""
        ecs, name = self.client("ecs"), self._scope.name
        running = describe_tasks(ecs, name, list_tasks(ecs, name, serviceName=name))
        stopped = describe_tasks(ecs, name, list_tasks(ecs, name, serviceName=name, desiredStatus="STOPPED"))
        stops = [
            replace(how_stopped(task, _failing_container(task)), stopped=at)
            for task in stopped
            if (at := task.get("stoppedAt") or task.get("stoppingAt"))
        ]
        return [_task(task) for task in running], sorted(stops, key=lambda stop: stop.stopped or self._now)

    def targets(self, service: Mapping[str, Any]) -> list[Target]:
        groups = [item["targetGroupArn"] for item in service.get("loadBalancers", ()) if item.get("targetGroupArn")]
        answers = [self.client("elbv2").describe_target_health(TargetGroupArn=group) for group in groups]
        return [
            Target(address=item["Target"]["Id"], state=health["State"], reason=health.get("Reason", ""))
            for answer in answers
            for item in answer["TargetHealthDescriptions"]
            for health in [item["TargetHealth"]]
        ]

    def database(self, service: Mapping[str, Any]) -> Database:
        """Return the instance that the tasks use; behind RDS Proxy, the original."""
        name = self._scope.name
        pages = self.client("rds").get_paginator("describe_db_instances").paginate()
        ours = {
            item["DBInstanceIdentifier"]: item
            for page in pages
            for item in page["DBInstances"]
            if item["DBInstanceIdentifier"] == name or item["DBInstanceIdentifier"].startswith(f"{name}-")
        }
        host = self._database_host(str(service["taskDefinition"]))
        serving = next(
            (item for item in ours.values() if item.get("Endpoint", {}).get("Address") == host), ours.get(name)
        )
        if serving is None:
            raise _NoSuchThing(f"there is no RDS instance {name}")
        return Database(identifier=serving["DBInstanceIdentifier"], status=serving["DBInstanceStatus"])

    def _database_host(self, revision: str) -> str:
        definition = self.client("ecs").describe_task_definition(taskDefinition=revision)["taskDefinition"]
        variables = [
            item for container in definition["containerDefinitions"] for item in container.get("environment", ())
        ]
        return next((str(item["value"]) for item in variables if item["name"] == "DATABASE_HOST"), "")

    def database_log(self, database: _Answer[Database]) -> list[Entry]:
        try:
            identifier = database.result().identifier
        except Exception:  # the report names it
            identifier = self._scope.name
        return self.log(f"/aws/rds/instance/{identifier}/postgresql", DATABASE_PHRASES)

    def log(self, group: str, phrases: Sequence[str]) -> list[Entry]:
        """Return the recent lines with one of these phrases, oldest first, read for at most `LOG_SECONDS`.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
        """
        deadline = time.monotonic() + LOG_SECONDS
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=group,
                filterPattern=" ".join(f'?"{phrase}"' for phrase in phrases),
                startTime=int(self._since.timestamp() * 1000),
            )
        )
        found: list[Entry] = []
        for page in pages:
            found += [Entry(at=_moment(event["timestamp"]), text=said(event["message"])) for event in page["events"]]
            if time.monotonic() > deadline:
                break
        return found

    def cpu(self) -> list[tuple[datetime, float]]:
        """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/available-metrics.html"""
        name = self._scope.name
        answer = self.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ECS",
            MetricName="CPUUtilization",
            Dimensions=[{"Name": "ClusterName", "Value": name}, {"Name": "ServiceName", "Value": name}],
            StartTime=self._now - timedelta(minutes=CPU_MINUTES),
            EndTime=self._now,
            Period=60,
            Statistics=["Average"],
        )
        return sorted((point["Timestamp"].astimezone(UTC), float(point["Average"])) for point in answer["Datapoints"])

    def undelivered(self) -> int:
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=f"{self._scope.name}-undelivered")["QueueUrl"]
        names = ["ApproximateNumberOfMessages"]
        return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])

    def changes(self) -> list[Change]:
        """Return the newest changes of this environment, oldest first. CloudTrail shows a call some minutes late.

        https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
        """
        answer = self.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "false"}],
            StartTime=self._now - self._scope.release,
            EndTime=self._now,
        )
        return [
            Change(at=event["EventTime"].astimezone(UTC), call=event["EventName"], by=event.get("Username", "unknown"))
            for event in reversed(answer["Events"])
            if event["EventName"] in CHANGES and self._scope.name in str(event)
        ]


def _is_missing(error: BaseException | None) -> bool:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html#API_DescribeServices_Errors"""
    if isinstance(error, ClientError):
        return error_code(error) == "ClusterNotFoundException"
    return isinstance(error, ServiceError)


def _why(error: BaseException) -> str:
    """Return in one line why a source has no answer: AWS's code and message."""
    if isinstance(error, ClientError):
        return f"{error_code(error)}: {error.response['Error'].get('Message', '')}".rstrip(": ")
    if isinstance(error, OperationsError | BotoCoreError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _service(description: Mapping[str, Any]) -> Service:
    events = [
        Entry(at=event["createdAt"].astimezone(UTC), text=event["message"]) for event in description.get("events", ())
    ]
    return Service(
        desired=description["desiredCount"],
        running=description["runningCount"],
        deployments=Snapshot(service=description, targets={}).deployments,
        events=sorted(events, key=lambda event: event.at),
    )


def _task(task: Mapping[str, Any]) -> Task:
    return Task(
        id=task["taskArn"].rsplit("/", 1)[-1],
        revision=task["taskDefinitionArn"],
        zone=task.get("availabilityZone", ""),
        address=private_address(task),
        started=task.get("startedAt"),
    )


def _failing_container(task: Mapping[str, Any]) -> str:
    """Return the name of the container that ended the task."""
    containers: list[dict[str, Any]] = task.get("containers", ())
    failing = (item for item in containers if item.get("reason") or item.get("exitCode"))
    return str(next(failing, containers[0] if containers else {}).get("name", ""))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def said(message: str) -> str:
    """Return a line of a log for a person: of JSON, the message with its reason and its endpoint."""
    try:
        event = json.loads(message)
    except ValueError:
        event = None
    if not isinstance(event, dict) or "message" not in event:
        return " ".join(message.split())
    parts = [event["message"], event.get("reason"), event.get("endpoint"), _last_line(event.get("exception"))]
    return " ".join(": ".join(str(part) for part in parts if part).split())


def _last_line(text: Any) -> str:
    return str(text).strip().splitlines()[-1] if text else ""
