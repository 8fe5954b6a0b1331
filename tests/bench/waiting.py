"""How waiting for a rollout scales with the number of tasks: API calls and CPU time of one query.

The clients are boto3's own, with the retries of a real run; only the network is replaced, by responses of full size.
The measurement covers all work of the controller.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError

from fargate_ops.aws.session import AwsSession
from fargate_ops.ecs.failure_report import stopped_tasks
from fargate_ops.ecs.rollout import Watch
from fargate_ops.release.status import gather
from fargate_ops.state.lock import Machine
from fargate_ops.terraform.stack import Stack
from tests.bench.load import BenchError
from tests.bench.measure import Row, ratio

TASKS = (10, 100, 1000, 5000)
THROTTLED_ONE_IN = 5
PAGE = 100  # page size of ListTasks, and maximum of DescribeTasks
ACCOUNT = "arn:aws:ecs:ap-northeast-2:000000000000"
REVISION = f"{ACCOUNT}:task-definition/settlement:2"
TARGET_GROUP = "arn:aws:elasticloadbalancing:ap-northeast-2:000000000000:targetgroup/settlement/0123456789abcdef"
STACK = Stack(
    {
        "name_prefix": "settlement",
        "cluster_name": "settlement",
        "service_name": "settlement",
        "target_group_arn": TARGET_GROUP,
        "public_url": "http://127.0.0.1",
        "database": {"max_connections": 100},
        "scalable_target": {
            "resource_id": "service/settlement/settlement",
            "service_namespace": "ecs",
            "scalable_dimension": "ecs:service:DesiredCount",
            "min_capacity": 2,
            "max_capacity": 4,
        },
    },
    "test",
)
#: The services that `Cloud` simulates.
SERVICES = ("ecs", "elbv2", "s3")
NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
_THROTTLED = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
_EMPTY_BUCKET = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
#: A target group without a load balancer has no zonal shift.
_TARGET_GROUP = (
    b'<DescribeTargetGroupsResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">'
    b"<DescribeTargetGroupsResult><TargetGroups><member/></TargetGroups></DescribeTargetGroupsResult>"
    b"</DescribeTargetGroupsResponse>"
)
_NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


class _Unreachable:
    """A client of a service that is unreachable; a query continues without it."""

    def __getattr__(self, operation: str) -> Any:
        raise EndpointConnectionError(endpoint_url="")


class Cloud:
    """A service of `tasks` tasks in the middle of a rollout. Counts calls; with `throttles`, throttles every fifth."""

    def __init__(self, tasks: int, *, throttles: bool = False) -> None:
        self.tasks = tasks
        self.calls: Counter[str] = Counter()
        self._throttles = throttles
        self._session = AwsSession("ap-northeast-2")
        self.status = "RUNNING"
        for service in SERVICES:
            client = self._session.client(service)
            client.meta.events.register("before-send", getattr(self, f"_{service}"))

    def client(self, service: str) -> Any:
        return self._session.client(service) if service in SERVICES else _Unreachable()

    def _ecs(self, request: Any, **_: Any) -> AWSResponse:
        operation = _text(request.headers["X-Amz-Target"]).rpartition(".")[2]
        self.calls[operation] += 1
        if self._throttles and self.calls.total() % THROTTLED_ONE_IN == 0:
            return _answer(request, _THROTTLED, status=400)
        body = json.loads(_text(request.body))
        if operation == "DescribeServices":
            return _answer(request, _services(self.tasks))
        if operation == "ListTasks":
            return _answer(request, _page(self.tasks, int(body.get("nextToken", 0))))
        if operation == "DescribeTasks":
            if len(body["tasks"]) > PAGE:
                raise BenchError(f"DescribeTasks was called with {len(body['tasks'])} tasks; its maximum is {PAGE}")
            return _answer(request, _tasks(tuple(body["tasks"]), self.status))
        raise BenchError(f"unexpected call: {operation}")

    def _elbv2(self, request: Any, **_: Any) -> AWSResponse:
        operation = parse_qs(_text(request.body))["Action"][0]
        self.calls[operation] += 1
        if operation == "DescribeTargetHealth":
            return _answer(request, _targets(self.tasks))
        if operation == "DescribeTargetGroups":
            return _answer(request, _TARGET_GROUP)
        raise BenchError(f"unexpected call: {operation}")

    def _s3(self, request: Any, **_: Any) -> AWSResponse:
        listing = "list-type" in request.url
        self.calls["ListObjectsV2" if listing else "GetObject"] += 1
        return _answer(request, _EMPTY_BUCKET) if listing else _answer(request, _NO_SUCH_KEY, status=404)


def run(rounds: int, _: object = None) -> list[Row]:
    """Measure calls and CPU milliseconds of each query for each number of tasks."""
    rows = []
    for name, query in QUERIES.items():
        clouds = {f"{tasks:,} tasks": Cloud(tasks) for tasks in TASKS} | {
            f"{1000:,} tasks, a fifth of ECS's calls throttled": Cloud(1000, throttles=True)
        }
        calls = {}
        for variant, cloud in clouds.items():
            query(cloud)  # counted, not measured: the first query creates the clients' parsers
            calls[variant] = cloud.calls.total()
        milliseconds: dict[str, list[float]] = {variant: [] for variant in clouds}
        for _ in range(rounds):
            for variant, cloud in clouds.items():
                milliseconds[variant].append(_cpu_milliseconds(query, cloud))
        rows += [
            Row(
                benchmark=name,
                variant=f"{variant}: {calls[variant]} calls",
                unit="ms CPU",
                runs=spent,
                ratio=ratio(milliseconds, variant, f"{TASKS[0]} tasks"),
            )
            for variant, spent in milliseconds.items()
        ]
    return rows


def _cpu_milliseconds(query: Callable[[Cloud], Any], cloud: Cloud) -> float:
    started = time.process_time()
    query(cloud)
    return (time.process_time() - started) * 1000


def _poll(cloud: Cloud) -> None:
    watch = Watch(
        cloud.client("ecs"),
        cloud.client("elbv2"),
        cluster="settlement",
        service="settlement",
        target_groups=[TARGET_GROUP],
        say=lambda _: None,
    )
    snapshot = watch.snapshot()
    assert sum(snapshot.targets.values()) == cloud.tasks


def _report(cloud: Cloud) -> None:
    cloud.status = "STOPPED"
    assert len(stopped_tasks(cloud.client("ecs"), "settlement", "settlement", REVISION, "api")) == cloud.tasks


def _status(cloud: Cloud) -> None:
    cloud.status = "RUNNING"
    status = gather(
        cloud,
        STACK,
        environment="bench",
        bucket="bench",
        stale_after=timedelta(seconds=60),
        newest=10,
        machine=Machine.this(),
        source=Path(__file__).parent,
        now=NOW,
    )
    assert len(status.tasks) == cloud.tasks


QUERIES: dict[str, Callable[[Cloud], None]] = {
    "one poll of a rollout": _poll,
    "report of stopped tasks": _report,
    "status": _status,
}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


class _Raw:
    """The body of a response, streamed as by urllib3."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]

    def read(self, *_: Any) -> bytes:
        body, self._body = self._body, b""
        return body


def _answer(request: Any, body: bytes, status: int = 200) -> AWSResponse:
    return AWSResponse(request.url, status, {"Content-Length": str(len(body))}, _Raw(body))


def _arn(number: int) -> str:
    return f"{ACCOUNT}:task/settlement/{number:032x}"


def _address(number: int) -> str:
    return f"10.0.{number // 250}.{number % 250 + 1}"


@cache
def _services(tasks: int) -> bytes:
    moment = NOW.timestamp()

    def deployment(number: int, status: str, running: int) -> dict[str, Any]:
        return {
            "id": f"ecs-svc/{number}",
            "status": status,
            "taskDefinition": f"{ACCOUNT}:task-definition/settlement:{number}",
            "desiredCount": tasks,
            "pendingCount": 0,
            "runningCount": running,
            "failedTasks": 0,
            "createdAt": moment,
            "updatedAt": moment,
            "rolloutState": "IN_PROGRESS" if number == 2 else "COMPLETED",
        }

    # ECS returns the last hundred events with each response.
    message = "(service settlement) registered 10 targets in (target-group settlement)"
    events = [{"id": f"{n:036x}", "createdAt": moment, "message": message} for n in range(100)]
    service = {
        "serviceArn": f"{ACCOUNT}:service/settlement/settlement",
        "serviceName": "settlement",
        "status": "ACTIVE",
        "createdAt": moment,
        "desiredCount": tasks,
        "runningCount": tasks,
        "deployments": [deployment(2, "PRIMARY", tasks // 2), deployment(1, "ACTIVE", tasks - tasks // 2)],
        "events": events,
    }
    return json.dumps({"services": [service], "failures": []}).encode()


@cache
def _page(tasks: int, start: int) -> bytes:
    end = min(start + PAGE, tasks)
    page: dict[str, Any] = {"taskArns": [_arn(number) for number in range(start, end)]}
    return json.dumps(page | ({"nextToken": str(end)} if end < tasks else {})).encode()


@cache
def _tasks(arns: tuple[str, ...], status: str) -> bytes:
    moment = NOW.timestamp()
    return json.dumps(
        {
            "tasks": [
                {
                    "taskArn": arn,
                    "taskDefinitionArn": REVISION,
                    "clusterArn": f"{ACCOUNT}:cluster/settlement",
                    "lastStatus": status,
                    "desiredStatus": status,
                    "createdAt": moment,
                    "startedAt": moment,
                    "stopCode": "EssentialContainerExited",
                    "stoppedReason": "Essential container in task exited",
                    "containers": [{"name": "api", "lastStatus": status, "exitCode": 1, "image": "settlement"}],
                    "attachments": [
                        {
                            "type": "ElasticNetworkInterface",
                            "details": [{"name": "privateIPv4Address", "value": _address(int(arn[-32:], 16))}],
                        }
                    ],
                }
                for arn in arns
            ],
            "failures": [],
        }
    ).encode()


@cache
def _targets(tasks: int) -> bytes:
    members = "".join(
        f"<member><Target><Id>{_address(number)}</Id><Port>8000</Port>"
        "<AvailabilityZone>ap-northeast-2a</AvailabilityZone></Target><HealthCheckPort>8000</HealthCheckPort>"
        "<TargetHealth><State>healthy</State></TargetHealth></member>"
        for number in range(tasks)
    )
    return (
        '<DescribeTargetHealthResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">'
        f"<DescribeTargetHealthResult><TargetHealthDescriptions>{members}</TargetHealthDescriptions>"
        "</DescribeTargetHealthResult></DescribeTargetHealthResponse>"
    ).encode()
