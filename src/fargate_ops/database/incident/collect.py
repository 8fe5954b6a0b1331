"""Collect the evidence concurrently. A failed source is named and does not affect the others."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.aws.pace import POLL_SECONDS
from fargate_ops.core.application import (
    CANNOT_BE_USED,
    HELD_TOO_LONG,
    NO_FREE_CONNECTION,
    POOL_METRICS,
    STILL_HELD,
    Application,
)
from fargate_ops.database.incident.evidence import (
    Database,
    Ended,
    Evidence,
    Logs,
    NoListing,
    Pools,
    Task,
    read_ended,
    read_listing,
)
from fargate_ops.ecs.one_off import admin_task, newest_admin_definition
from fargate_ops.ecs.tasks import (
    LogReader,
    LogStream,
    Runner,
    TaskError,
    describe_tasks,
    list_tasks,
    log_stream,
    private_address,
)
from fargate_ops.state.ledger import Ledger, LedgerError, Outcome, as_row
from fargate_ops.terraform.stack import Stack

T = TypeVar("T")

#: How long to read the log of an incident, which may be long.
LOG_SECONDS = 10.0
#: Part of the last line of the admin task's output.
END = '"kind": "end"'
LAST_LINE_SECONDS = 15.0

_FAILURES = (ClientError, BotoCoreError, LedgerError, TaskError, NoListing, KeyError, IndexError)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The environment of an incident, and how much evidence to collect."""

    environment: str
    stack: Stack
    application: Application
    bucket: str
    max_tasks: int
    minutes: int
    log_minutes: int
    wait_seconds: float
    poll_seconds: float = POLL_SECONDS


def collect(
    clients: Clients, scope: Scope, listing: Callable[[], Database] | None, now: datetime, why_not: str = ""
) -> Evidence:
    """Query all sources concurrently. ``why_not`` is the reason if there is no ``listing``."""
    stack, missing = scope.stack, list[str]()
    services = {name: clients.client(name) for name in ("cloudwatch", "ecs", "elbv2", "logs", "rds", "s3")}
    with ThreadPoolExecutor(8) as pool:

        def submit(source: str, query: Callable[[], T]) -> Callable[[], T | None]:
            future = pool.submit(query)

            def answer() -> T | None:
                try:
                    return future.result()
                except _FAILURES as error:
                    missing.append(f"{source}: {error}")
                    return None

            return answer

        database_ = submit("the database's sessions", listing) if listing else None
        series_ = submit("CloudWatch's metrics", lambda: _series(services, scope, now))
        service_ = submit("tasks and their pools", lambda: _service(services["ecs"], stack))
        releases_ = submit("the release ledger", lambda: _releases(services, scope))
        instance_ = submit("the RDS instance", lambda: _instance(services["rds"], stack))
        logs_ = submit("the service's log", lambda: _logs(services["logs"], scope, now))
        tasks, percent, serving = service_() or ((), 200, None)
        releases = releases_() or []
        before = submit("the previous release", lambda: _before(services["ecs"], stack, releases, serving))()
        series, logs, instance = series_() or {}, logs_(), instance_() or {}
        database = database_() if database_ else None
    return Evidence(
        environment=scope.environment,
        max_connections=stack.database.max_connections,
        max_tasks=scope.max_tasks,
        minutes=scope.log_minutes,
        database=database,
        series=series,
        tasks=tasks,
        maximum_percent=percent,
        serving=serving,
        before=before,
        releases=releases,
        instance=instance,
        logs=logs,
        missing=missing if listing else [*missing, f"the database's sessions: {why_not}"],
    )


#: Name → namespace, metric, statistic.
_QUERIES = {
    "connections": ("AWS/RDS", "DatabaseConnections", "Maximum"),
    "requests": ("AWS/ApplicationELB", "RequestCount", "Sum"),
    "target_5xx": ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum"),
    "elb_5xx": ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum"),
    "latency_p99": ("AWS/ApplicationELB", "TargetResponseTime", "p99"),
}
_PERIOD = 60


def _series(services: Mapping[str, Any], scope: Scope, now: datetime) -> dict[str, list[float | None]]:
    """Return each metric by the minute, oldest first; None where CloudWatch has no data point."""
    groups = services["elbv2"].describe_target_groups(TargetGroupArns=[scope.stack.target_group_arn])
    balancer = str(groups["TargetGroups"][0]["LoadBalancerArns"][0]).split(":loadbalancer/")[-1]
    dimensions = {
        "AWS/RDS": {"DBInstanceIdentifier": scope.stack.database.instance_identifier},
        "AWS/ApplicationELB": {"LoadBalancer": balancer},
    }
    end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    start = end - timedelta(minutes=scope.minutes)
    queries = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": metric,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions[namespace].items()],
                },
                "Period": _PERIOD,
                "Stat": statistic,
            },
        }
        for name, (namespace, metric, statistic) in _QUERIES.items()
    ]
    pages = (
        services["cloudwatch"]
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=start, EndTime=end)
    )
    found: dict[str, list[float | None]] = {name: [None] * scope.minutes for name in _QUERIES}
    for page in pages:
        for result in page["MetricDataResults"]:
            for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                minute = int((moment - start).total_seconds() // _PERIOD)
                if 0 <= minute < scope.minutes:
                    found[result["Id"]][minute] = float(value)
    return found


def _service(ecs: Any, stack: Stack) -> tuple[Sequence[Task], int, Pools | None]:
    cluster, name = stack.cluster_name, stack.service_name
    service = ecs.describe_services(cluster=cluster, services=[name])["services"][0]
    tasks = describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=name))
    percent = int(service.get("deploymentConfiguration", {}).get("maximumPercent", 200))
    serving = pools_of(ecs, str(service["taskDefinition"]), stack.container_name)
    return [_task(task) for task in tasks], percent, serving


def _task(task: Mapping[str, Any]) -> Task:
    return Task(
        id=task["taskArn"].rsplit("/", 1)[-1],
        revision=task["taskDefinitionArn"].rsplit("/", 1)[-1],
        status=task["lastStatus"],
        address=private_address(task),
    )


def pools_of(ecs: Any, revision: str, container: str) -> Pools | None:
    """Return the pools of a task definition; unset values are the image's defaults."""
    definition = ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]
    ours = next((item for item in definition["containerDefinitions"] if item["name"] == container), None)
    if ours is None:
        return None
    values = {item["name"]: item["value"] for item in ours.get("environment", [])}

    def number(name: str, default: int) -> int:
        text = values.get(name, "")
        return int(text) if text.lstrip("-").isdecimal() else default

    return Pools(
        revision=f"{definition['family']}:{definition['revision']}",
        workers=number("WEB_CONCURRENCY", 1),
        pool_size=number("DATABASE_POOL_SIZE", 10),
        max_overflow=number("DATABASE_MAX_OVERFLOW", 0),
    )


def _releases(services: Mapping[str, Any], scope: Scope) -> list[dict[str, Any]]:
    """Return the last releases, newest last."""
    releases = Ledger(services["s3"], scope.bucket, scope.environment).releases()
    return [as_row(release) for release in releases[-8:]]


def _before(ecs: Any, stack: Stack, releases: Sequence[Mapping[str, Any]], serving: Pools | None) -> Pools | None:
    """Return the pools of the newest successful release that does not serve."""
    for row in reversed(releases):
        name = str(row["revision"]).rsplit("/", 1)[-1]
        if row["outcome"] == Outcome.SUCCEEDED and serving and name != serving.revision:
            return pools_of(ecs, str(row["revision"]), stack.container_name)
    return None


def _instance(rds: Any, stack: Stack) -> dict[str, Any]:
    identifier = stack.database.instance_identifier
    found = rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]
    return {"identifier": identifier, "class": found["DBInstanceClass"], "status": found["DBInstanceStatus"]}


def _logs(logs: Any, scope: Scope, now: datetime) -> Logs:
    since = int((now - timedelta(minutes=scope.log_minutes)).timestamp() * 1000)
    group = scope.stack.log_group_name

    def lines(phrase: str) -> list[dict[str, Any]]:
        return list(_entries(logs, group, phrase, since))

    held = [item for item in lines(HELD_TOO_LONG) if item.get("endpoint")]
    pools = [item for item in lines(POOL_METRICS) if "PoolInUse" in item]
    return Logs(
        pool_timeouts=len(lines(NO_FREE_CONNECTION)),
        refused=len(lines(CANNOT_BE_USED)),
        leaks=dict(Counter(str(item["endpoint"]) for item in held if str(item["message"]).startswith(STILL_HELD))),
        pool_in_use=max((int(item["PoolInUse"]) for item in pools), default=None),
        pool_size=max((int(item["PoolSize"]) for item in pools), default=None),
    )


def _entries(logs: Any, group: str, phrase: str, since: int) -> Iterable[dict[str, Any]]:
    """Yield log entries that contain `phrase`, for at most `LOG_SECONDS`."""
    deadline = time.monotonic() + LOG_SECONDS
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'"{phrase}"', startTime=since
    )
    for page in pages:
        for event in page["events"]:
            try:
                entry = json.loads(event["message"])
            except ValueError:
                continue
            if isinstance(entry, dict) and phrase in str(entry.get("message", "")):
                yield entry
        if time.monotonic() > deadline:
            return


class SessionsTask:
    """Lists and ends database sessions by a one-off task in the VPC, with the master user's credentials."""

    def __init__(self, clients: Clients, scope: Scope, say: Callable[[str], None], sleep: Any = time.sleep) -> None:
        self._ecs, self._logs = clients.client("ecs"), clients.client("logs")
        self._scope = scope
        self._say = say
        self._sleep = sleep

    def listing(self) -> Database:
        """List all sessions. Raises NoListing, TaskError and botocore's errors."""
        return read_listing(self._run([]))

    def end(self, idle_in_transaction_seconds: float, idle_seconds: float) -> Ended:
        """End unused sessions. Raises the same errors as `listing`."""
        options = {"--idle-in-transaction-seconds": idle_in_transaction_seconds, "--idle-seconds": idle_seconds}
        return read_ended(
            self._run(["--end", *(part for name, value in options.items() for part in (name, f"{value:g}"))])
        )

    def _run(self, options: Sequence[str]) -> list[str]:
        stack, command = self._scope.stack, self._scope.application.admin("sessions", *options)
        definition = newest_admin_definition(self._ecs, stack)
        what = admin_task(stack, str(definition["taskDefinitionArn"]), command, purpose="incident")
        self._say(f"querying the database: {' '.join(command)}, as a task of {definition['family']}")
        runner = Runner(
            self._ecs, self._logs, self._say_progress, poll_seconds=self._scope.poll_seconds, sleep=self._sleep
        )
        finished = runner.run(what, self._scope.wait_seconds)
        if finished.stop.exit_code == 0:
            return self._complete(finished.output, log_stream(definition, what.container, finished.stop.task_arn))
        if not any('"error"' in line for line in finished.output):
            raise NoListing(f"the task ended with: {'; '.join([str(finished.stop), *finished.output[-2:]])}")
        return finished.output

    def _say_progress(self, line: str) -> None:
        """Print progress, but not the task's output, which has a line for each of thousands of sessions."""
        if not line.startswith("  | "):
            self._say(line)

    def _complete(self, output: list[str], stream: LogStream | None) -> list[str]:
        """Return the complete output. Its last line may reach the log seconds after the task has stopped."""
        deadline = time.monotonic() + LAST_LINE_SECONDS
        reader = LogReader(self._logs, stream)
        lines = list[str]()
        while not any(END in line for line in output) and time.monotonic() < deadline:
            lines += reader.new_lines()
            output = lines or output
            self._sleep(0.5)
        return output
