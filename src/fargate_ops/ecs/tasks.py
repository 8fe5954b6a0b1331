"""One-off ECS tasks: start one, follow its log, and report how it ended.

Also the functions for tasks in general: why one stopped, and where its log is.

For seconds after RunTask, DescribeTasks may not find the task and return the failure MISSING:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.pace import JITTER, POLL_SECONDS, jittered
from fargate_ops.aws.retry import TransientErrors
from fargate_ops.core.problem import OperationsError

#: DescribeTasks takes at most 100 tasks: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
DESCRIBE_BATCH = 100
#: Print a progress line at least this often, in seconds, even if nothing changes.
PROGRESS_SECONDS = 10.0
#: After StopTask, a task has its stopTimeout to end, at most 120 s on Fargate:
#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
STOP_SECONDS = 150.0
#: For so many seconds after RunTask, ECS may not find the task: the documented back-off adds up to about that.
UNKNOWN_SECONDS = 60.0
#: The wait for an output that holds a result is so many times as long as for one that is only printed.
RESULT_GRACE = 10
#: The least number of reads of a log while its last lines may still arrive.
LOG_READS = 3

#: RunTask sometimes finds no capacity for a moment: number of attempts, and seconds between two.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
#: https://github.com/sil-org/ecs-deploy/issues/277
CAPACITY_ATTEMPTS = 4
CAPACITY_SECONDS = 15.0
_NO_CAPACITY = ("RESOURCE:", "capacity is unavailable", "no capacity", "insufficient capacity")

Say = Callable[[str], None]


class TaskError(OperationsError):
    """A task could not be started, or not followed to its end. ``output`` holds the lines of its log so far."""

    def __init__(self, message: str, output: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.output = list(output)
        if output:
            self.details["output"] = self.output


class TaskTimeoutError(TaskError):
    """A task exceeded its time limit and was stopped."""


@dataclass(frozen=True)
class LogStream:
    """The location of a container's output in CloudWatch Logs."""

    group: str
    stream: str


@dataclass(frozen=True, kw_only=True)
class Stop:
    """How a task ended. ``exit_code`` is None if the container never started, or has not ended yet.

    ``created`` and ``stopped`` are ECS's times; None if it returns none. ``lived`` is how many seconds the task ran
    before its container ended by itself; 0 if something else ended it. ``zone`` is its availability zone.
    """

    task_arn: str
    revision: str
    exit_code: int | None
    code: str
    reason: str
    container_reason: str
    created: datetime | None = None
    stopped: datetime | None = None
    lived: float = 0.0
    zone: str = ""

    @property
    def task_id(self) -> str:
        return self.task_arn.rsplit("/", 1)[-1]

    @property
    def brief(self) -> str:
        """Return how it ended without the whole reason: ``never started; CannotPullContainerError``."""
        return str(replace(self, reason=self.reason.partition(":")[0], container_reason=""))

    def __str__(self) -> str:
        parts = ["never started"] if self.code == "TaskFailedToStart" else []
        parts += [f"exit code {self.exit_code}"] if self.exit_code is not None else []
        parts += [text for text in (self.reason, self.container_reason) if text]
        return "; ".join(parts)


def how_stopped(task: Mapping[str, Any], container: str) -> Stop:
    """Return why a task stopped, with the exit code of this container."""
    containers: list[dict[str, Any]] = task.get("containers", [])
    ours = next((item for item in containers if item.get("name") == container), {})
    code = task.get("stopCode", "")
    exit_code = ours.get("exitCode")
    return Stop(
        task_arn=task["taskArn"],
        revision=task.get("taskDefinitionArn", ""),
        exit_code=None if code == "TaskFailedToStart" else exit_code,
        code=code,
        reason=task.get("stoppedReason", "") or code,
        container_reason=ours.get("reason", ""),
        created=task.get("createdAt"),
        stopped=task.get("stoppedAt"),
        lived=_lived(task) if code == "EssentialContainerExited" else 0.0,
        zone=task.get("availabilityZone", ""),
    )


def _lived(task: Mapping[str, Any]) -> float:
    """Return the seconds between the times of https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html."""
    started, ended = task.get("startedAt"), task.get("executionStoppedAt") or task.get("stoppedAt")
    return (ended - started).total_seconds() if started and ended else 0.0


def short(arn: str) -> str:
    """Return ``family:7`` of a task definition's ARN, the id of a task's ARN."""
    return arn.rsplit("/", 1)[-1]


def private_address(task: Mapping[str, Any]) -> str:
    """Return a task's private address in its VPC; empty while it has none."""
    details = [detail for item in task.get("attachments", []) for detail in item.get("details", [])]
    return next((str(item["value"]) for item in details if item["name"] == "privateIPv4Address"), "")


def log_stream(definition: Mapping[str, Any], container: str, task_arn: str) -> LogStream | None:
    """Return a container's awslogs stream, ``<prefix>/<container>/<task id>``; None with another log driver.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/specify-log-config.html
    """
    for item in definition.get("containerDefinitions", []):
        configuration = item.get("logConfiguration") or {}
        options = configuration.get("options") or {}
        if (
            item.get("name") == container
            and configuration.get("logDriver") == "awslogs"
            and options.get("awslogs-stream-prefix")
        ):
            stream = f"{options['awslogs-stream-prefix']}/{container}/{task_arn.rsplit('/', 1)[-1]}"
            return LogStream(options["awslogs-group"], stream)
    return None


class LogReader:
    """Reads one stream forward from its beginning, batch by batch."""

    def __init__(self, logs: Any, stream: LogStream | None) -> None:
        self._logs = logs
        self._stream = stream
        self._token: str | None = None
        self._unread: list[str] = []

    def new_lines(self) -> list[str]:
        """Return the lines since the last call; none if the stream does not exist yet.

        After an error, the next call returns the lines that were already read.
        """
        if self._stream:
            for line in self._read():
                self._unread.append(line)
        lines, self._unread = self._unread, []
        return lines

    def _read(self) -> Iterator[str]:
        assert self._stream is not None  # noqa: S101 - for the type checker; new_lines checks it
        while True:
            position = {"nextToken": self._token} if self._token else {"startFromHead": True}
            try:
                page = self._logs.get_log_events(
                    logGroupName=self._stream.group, logStreamName=self._stream.stream, **position
                )
            except ClientError as error:
                if error.response["Error"]["Code"] == "ResourceNotFoundException":
                    return
                raise
            yield from (event["message"] for event in page["events"])
            # The same token again means the end for now:
            # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
            if page.get("nextForwardToken") in (None, self._token):
                return
            self._token = page["nextForwardToken"]


def tail(logs: Any, stream: LogStream | None, lines: int) -> list[str]:
    """Return the last lines of a stream; none if it does not exist."""
    if stream is None:
        return []
    try:
        page = logs.get_log_events(
            logGroupName=stream.group, logStreamName=stream.stream, limit=lines, startFromHead=False
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise
    return [event["message"] for event in page["events"]][-lines:]


def describe_tasks(ecs: Any, cluster: str, arns: Sequence[str]) -> list[dict[str, Any]]:
    """Return DescribeTasks' answers, in as few calls as possible."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(arns), DESCRIBE_BATCH):
        found += ecs.describe_tasks(cluster=cluster, tasks=list(arns[start : start + DESCRIBE_BATCH]))["tasks"]
    return found


def list_tasks(ecs: Any, cluster: str, **filters: Any) -> list[str]:
    """Return the ARNs of the tasks that match (``serviceName``, ``family``, ``startedBy``, ``desiredStatus``)."""
    pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, **filters)
    return [arn for page in pages for arn in page["taskArns"]]


@dataclass(frozen=True, kw_only=True)
class OneOff:
    """A task to run. ``task_definition`` is an ARN: a bare family could mean another revision by the time it runs."""

    cluster: str
    task_definition: str
    container: str
    command: Sequence[str]
    environment: Mapping[str, str]
    subnets: Sequence[str]
    security_groups: Sequence[str]
    started_by: str

    def request(self) -> dict[str, Any]:
        """Return the arguments of RunTask."""
        override: dict[str, Any] = {"name": self.container}
        if self.command:
            override["command"] = list(self.command)
        if self.environment:
            override["environment"] = [{"name": key, "value": value} for key, value in self.environment.items()]
        return {
            "cluster": self.cluster,
            "taskDefinition": self.task_definition,
            "count": 1,
            "launchType": "FARGATE",
            "startedBy": self.started_by,
            "overrides": {"containerOverrides": [override]},
            "networkConfiguration": {
                "awsvpcConfiguration": {
                    "subnets": list(self.subnets),
                    "securityGroups": list(self.security_groups),
                    "assignPublicIp": "DISABLED",
                }
            },
        }


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A task that ended, with its whole output."""

    stop: Stop
    output: list[str]


class Runner:
    """Runs one-off tasks and waits for them. ``jitter``, ``clock`` and ``sleep`` are there for tests."""

    def __init__(
        self,
        ecs: Any,
        logs: Any,
        say: Say,
        *,
        poll_seconds: float = POLL_SECONDS,
        log_grace_seconds: float = 3.0,
        jitter: float = JITTER,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ecs = ecs
        self._logs = logs
        self._say = say
        self._poll_seconds, self._jitter = poll_seconds, jitter
        self._log_grace_seconds = log_grace_seconds
        self._clock = clock
        self._sleep = sleep

    def left_running(self, what: OneOff) -> list[str]:
        """Return the tasks with the same ``started_by`` that an interrupted flow left running.

        By default ECS lists tasks whose desired status is RUNNING. It accepts no other filter beside ``startedBy``:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
        """
        return list_tasks(self._ecs, what.cluster, startedBy=what.started_by)

    def start(self, what: OneOff) -> str:
        """Start the task. Return its ARN.

        botocore adds a client token, so that a retried call does not start a second task.

        Raises:
            TaskError: ECS would not start it.
        """
        for attempt in range(1, CAPACITY_ATTEMPTS + 1):
            try:
                answer = self._ecs.run_task(**what.request())
                if answer["tasks"]:
                    return str(answer["tasks"][0]["taskArn"])
                failures = (f"{item.get('reason')} {item.get('detail', '')}".strip() for item in answer["failures"])
                reason = "; ".join(failures) or "no reason given"
            except ClientError as error:
                reason = str(error)
            if attempt == CAPACITY_ATTEMPTS or not any(text.lower() in reason.lower() for text in _NO_CAPACITY):
                break
            self._say(f"  no capacity for the task ({reason}); asking again, {attempt} of {CAPACITY_ATTEMPTS - 1}")
            self._sleep(jittered(CAPACITY_SECONDS, self._jitter))
        raise TaskError(f"ECS would not run {short(what.task_definition)}: {reason}")

    def run(
        self,
        what: OneOff,
        limit_seconds: float,
        *,
        complete: Callable[[Sequence[str]], bool] | None = None,
    ) -> Finished:
        """Start the task and follow it to its end: `start`, then `follow`."""
        return self.follow(what.cluster, what.container, self.start(what), limit_seconds, complete=complete)

    def follow(
        self,
        cluster: str,
        container: str,
        task_arn: str,
        limit_seconds: float,
        *,
        complete: Callable[[Sequence[str]], bool] | None = None,
    ) -> Finished:
        """Wait for a task to stop and print each line that it logs. Stop it after ``limit_seconds``.

        ``complete`` returns whether the output holds its result: the log may arrive after the task's end.

        Raises:
            TaskTimeoutError: it did not end within `limit_seconds`.
            TaskError: ECS does not find it.
        """
        reader: LogReader | None = None
        output: list[str] = []
        started = quiet_since = self._clock()
        status = late = ""
        errors = TransientErrors(self._say)
        while True:
            rest = self._rest()
            found = errors.tolerate(lambda: describe_tasks(self._ecs, cluster, [task_arn]))
            if found is None:
                self._sleep(rest)
                continue
            if not found and self._clock() - started < UNKNOWN_SECONDS:
                if status != "unknown":
                    status = "unknown"
                    self._say(f"  ECS does not know the task {short(task_arn)} yet: looking again")
                self._sleep(rest)
                continue
            if not found:
                raise TaskError(
                    f"ECS does not know the task {task_arn}, {UNKNOWN_SECONDS:.0f} s after it was started", output
                )
            task = found[0]
            reader = reader or errors.tolerate(partial(self._reader, task, container))
            lines = (errors.tolerate(reader.new_lines) if reader else None) or []
            output += lines
            for line in lines:
                self._say(f"  | {line}")
            elapsed = self._clock() - started
            if task["lastStatus"] != status or lines:
                if task["lastStatus"] != status:
                    status = task["lastStatus"]
                    self._say(f"  task {short(task_arn)} {status.lower()} ({elapsed:.0f} s)")
                quiet_since = self._clock()
            elif self._clock() - quiet_since + rest > PROGRESS_SECONDS:  # the next poll would come too late
                quiet_since = self._clock()
                self._say(f"  task {short(task_arn)} still {status.lower()} ({elapsed:.0f} s)")
            if status == "STOPPED":
                stop = how_stopped(task, container)
                failed = bool(late) or stop.exit_code != 0
                reader = reader or self._reader(task, container)
                output = self._last_lines(reader, output, failed=failed, complete=None if failed else complete)
                if late:
                    raise TaskTimeoutError(f"{late} and was stopped", output)
                return Finished(stop=stop, output=output)
            if elapsed > limit_seconds and not late:
                late = f"the task {short(task_arn)} was not done within {limit_seconds:.0f} s"
                self._say(f"  stopping it: {late}")
                self._ecs.stop_task(cluster=cluster, task=task_arn, reason=f"not done within {limit_seconds:.0f} s")
            if elapsed > limit_seconds + STOP_SECONDS:
                raise TaskTimeoutError(f"{late}, and did not stop when asked", output)
            self._sleep(rest)

    def _rest(self) -> float:
        """Return the seconds until the next poll."""
        return jittered(self._poll_seconds, self._jitter)

    def _last_lines(
        self,
        reader: LogReader,
        output: list[str],
        *,
        failed: bool,
        complete: Callable[[Sequence[str]], bool] | None,
    ) -> list[str]:
        """Return the whole output of a task that has stopped: its last lines arrive a moment later.

        A success is read until its output is complete, a failure for the whole grace period. A failed read is repeated.
        """
        ended = self._clock()
        while True:
            missing = complete is not None and not complete(output)
            if self._clock() - ended >= self._log_grace_seconds * (RESULT_GRACE if missing else 1):
                return output
            self._sleep(min(self._rest(), self._log_grace_seconds / LOG_READS))
            try:
                lines = reader.new_lines()
            except (ClientError, BotoCoreError) as error:
                self._say(f"  the log was not read ({error})")
                continue
            output = output + lines
            for line in lines:
                self._say(f"  | {line}")
            if output and not lines and not failed and not missing:
                return output

    def _reader(self, task: Mapping[str, Any], container: str) -> LogReader:
        definition = self._ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        return LogReader(self._logs, log_stream(definition, container, task["taskArn"]))
