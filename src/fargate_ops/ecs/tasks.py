"""One-off ECS tasks: start one, follow its log, and say how it ended.

Also what release and status share about tasks: why one stopped, and where its log is.

DescribeTasks may not know a task for seconds after RunTask, and fails with MISSING then:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.pace import JITTER, POLL_SECONDS, jittered
from fargate_ops.aws.retry import TransientErrors

#: DescribeTasks takes at most 100 tasks: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
DESCRIBE_BATCH = 100
#: Say that a silent task is still alive at least this often, in seconds.
PROGRESS_SECONDS = 10.0
#: A task that is told to stop has its stopTimeout, at most 120 s on Fargate, to end what it does:
#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
STOP_SECONDS = 150.0
#: For so long after RunTask ECS may not know the task: the documented back-off adds up to about that.
UNKNOWN_SECONDS = 60.0
#: An output that decides what happens next may take so many times as long to arrive as one that is only shown.
RESULT_GRACE = 10
#: So often, at least, is a log read while its last lines may still arrive.
LOG_READS = 3

#: RunTask finds no capacity now and then, and has it a moment later: so often is it asked again, after so many seconds.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
#: https://github.com/sil-org/ecs-deploy/issues/277
CAPACITY_ATTEMPTS = 4
CAPACITY_SECONDS = 15.0
_NO_CAPACITY = ("RESOURCE:", "capacity is unavailable", "no capacity", "insufficient capacity")

Say = Callable[[str], None]


class TaskError(Exception):
    """A task could not be started, or not followed to its end. ``output`` holds the last lines of its log."""

    def __init__(self, message: str, output: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.output = list(output)


class TaskTimeoutError(TaskError):
    """A task was not done within its time, and was stopped."""


@dataclass(frozen=True)
class LogStream:
    """Where a container's output is in CloudWatch Logs."""

    group: str
    stream: str


@dataclass(frozen=True, kw_only=True)
class Stop:
    """How a task ended. ``exit_code`` is None when the container never started, or has not ended yet.

    ``created`` and ``stopped`` are ECS's times; None where it gives none. ``lived`` are the seconds for which it ran
    before its container ended by itself; 0 where something else ended it.
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

    @property
    def task_id(self) -> str:
        return self.task_arn.rsplit("/", 1)[-1]

    def __str__(self) -> str:
        parts = ["never started"] if self.code == "TaskFailedToStart" else []
        parts += [f"exit code {self.exit_code}"] if self.exit_code is not None else []
        parts += [text for text in (self.reason, self.container_reason) if text]
        return "; ".join(parts)


def how_stopped(task: Mapping[str, Any], container: str) -> Stop:
    """Why a stopped task stopped, with the exit code of the container that matters."""
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
    )


def _lived(task: Mapping[str, Any]) -> float:
    """Seconds between the times of https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html."""
    started, ended = task.get("startedAt"), task.get("executionStoppedAt") or task.get("stoppedAt")
    return (ended - started).total_seconds() if started and ended else 0.0


def short(arn: str) -> str:
    """``family:7`` of a task definition's ARN, the id of a task's."""
    return arn.rsplit("/", 1)[-1]


def private_address(task: Mapping[str, Any]) -> str:
    """A task's private address in its VPC; empty while it has none."""
    details = [detail for item in task.get("attachments", []) for detail in item.get("details", [])]
    return next((str(item["value"]) for item in details if item["name"] == "privateIPv4Address"), "")


def log_stream(definition: Mapping[str, Any], container: str, task_arn: str) -> LogStream | None:
    """The awslogs stream of a task's container: ``<prefix>/<container>/<task id>``; None with another log driver.

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
    """Reads one stream forward, from its beginning, a batch at a time."""

    def __init__(self, logs: Any, stream: LogStream | None) -> None:
        self._logs = logs
        self._stream = stream
        self._token: str | None = None
        self._unread: list[str] = []

    def new_lines(self) -> list[str]:
        """The lines since the last call. A stream that does not exist yet has none.

        A call that fails half-way keeps what it has read for the next one.
        """
        if self._stream:
            for line in self._read():
                self._unread.append(line)
        lines, self._unread = self._unread, []
        return lines

    def _read(self) -> Iterator[str]:
        assert self._stream is not None  # noqa: S101 - for the type checker; new_lines looks
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
    """The last lines of a stream; none when there is no such stream."""
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
    """DescribeTasks in as few calls as it takes."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(arns), DESCRIBE_BATCH):
        found += ecs.describe_tasks(cluster=cluster, tasks=list(arns[start : start + DESCRIBE_BATCH]))["tasks"]
    return found


def list_tasks(ecs: Any, cluster: str, **filters: Any) -> list[str]:
    """ARNs of the tasks that match (``serviceName``, ``family``, ``startedBy``, ``desiredStatus``)."""
    pages = ecs.get_paginator("list_tasks").paginate(cluster=cluster, **filters)
    return [arn for page in pages for arn in page["taskArns"]]


@dataclass(frozen=True, kw_only=True)
class OneOff:
    """What to run. ``task_definition`` is an ARN: a bare family could be another revision by the time it runs."""

    cluster: str
    task_definition: str
    container: str
    command: Sequence[str]
    environment: Mapping[str, str]
    subnets: Sequence[str]
    security_groups: Sequence[str]
    started_by: str

    def request(self) -> dict[str, Any]:
        """The arguments of RunTask."""
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
        """Tasks with the same ``started_by`` that an interrupted flow left running.

        ECS lists tasks that are to run unless it is asked for others, and takes no other filter beside this one:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
        """
        return list_tasks(self._ecs, what.cluster, startedBy=what.started_by)

    def start(self, what: OneOff) -> str:
        """Start the task; its ARN.

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
        """Wait for a task to stop, saying each line that it logs; a task over its time is stopped.

        ``complete`` says whether an output has what it must have: the log may arrive after the end.

        Raises:
            TaskTimeoutError: it did not end within `limit_seconds`.
            TaskError: ECS knows it no more.
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
            elif self._clock() - quiet_since + rest > PROGRESS_SECONDS:  # the next look would come too late
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
                raise TaskTimeoutError(f"{late}, was told to stop and still runs", output)
            self._sleep(rest)

    def _rest(self) -> float:
        """Seconds until the next look."""
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
