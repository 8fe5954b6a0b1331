"""An environment in moto, whose ECS service a test changes, and an event loop whose time passes only where it waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse

from fargate_ops.aws.session import AwsSession, client_config
from fargate_ops.console.budget import Budget, CountedClients
from fargate_ops.console.document import Page
from fargate_ops.console.poller import Poller
from fargate_ops.console.readings import readings
from fargate_ops.release.journal import incarnation
from fargate_ops.state.ledger import Event, Ledger, Outcome, release_id
from fargate_ops.state.lock import Machine
from fargate_ops.terraform.stack import Stack
from tests.unit.conftest import STATE_BUCKET

HERE = "ap-northeast-2:123456789012"
CREATED = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)
SERVICE = {
    "serviceArn": f"arn:aws:ecs:{HERE}:service/app-test/app-test",
    "serviceName": "app-test",
    "status": "ACTIVE",
    "createdAt": CREATED,
    "desiredCount": 2,
}


def revision(number: int) -> str:
    return f"arn:aws:ecs:{HERE}:task-definition/app-test:{number}"


def deployment(number: int, *, status: str = "PRIMARY", state: str = "COMPLETED", **counts: int) -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{number}",
        "status": status,
        "taskDefinition": revision(number),
        "desiredCount": 2,
        "pendingCount": counts.get("pending", 0),
        "runningCount": counts.get("running", 2),
        "failedTasks": counts.get("failed", 0),
        "rolloutState": state,
        "rolloutStateReason": f"ECS deployment ecs-svc/{number} {state.lower()}.",
        "createdAt": CREATED + timedelta(minutes=number),
    }


def task(name: str, number: int, status: str = "RUNNING") -> dict[str, Any]:
    """A task of a revision, at an address of that revision."""
    details = [{"name": "privateIPv4Address", "value": f"10.0.0.{10 + number}"}]
    return {
        "taskArn": f"arn:aws:ecs:{HERE}:task/app-test/{name}",
        "taskDefinitionArn": revision(number),
        "lastStatus": status,
        "startedAt": CREATED,
        "attachments": [{"details": details}],
    }


@dataclass
class Ecs:
    """What ECS answers."""

    deployments: list[dict[str, Any]] = field(default_factory=lambda: [deployment(1)])
    tasks: list[dict[str, Any]] = field(default_factory=lambda: [task("one", 1), task("two", 1)])
    service_deployments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def service(self) -> dict[str, Any]:
        return SERVICE | {"deployments": self.deployments}

    def describe_services(self, _: Any) -> ActionResult:
        return ActionResult({"services": [self.service]})

    def list_tasks(self, _: Any) -> ActionResult:
        return ActionResult({"taskArns": [item["taskArn"] for item in self.tasks]})

    def describe_tasks(self, _: Any) -> ActionResult:
        return ActionResult({"tasks": self.tasks})

    def list_service_deployments(self, _: Any) -> ActionResult:
        return ActionResult({"serviceDeployments": self.service_deployments})


class _Selector(selectors.DefaultSelector):
    """Does not wait: the time of `Loop` passes instead."""

    loop: Loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, and nothing will happen"
            self.loop.now += max(0.0, timeout)
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop in which a wait takes no time of this machine."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Runs coroutines in one `Loop`. At the end nothing of them is left for another test."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        yield runner


@pytest.fixture
def loop(runner: asyncio.Runner) -> Loop:
    loop = runner.get_loop()
    assert isinstance(loop, Loop)
    return loop


Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run(runner: asyncio.Runner) -> Run:
    return runner.run


def at_once(work: Callable[[], None]) -> None:
    """Do work where a thread would."""
    work()


@pytest.fixture(scope="module")
def _load_balancer(_s3_of_this_module: Any) -> str:
    """The ARN of a target group behind a load balancer, with one target."""
    ec2, elbv2 = boto3.client("ec2"), boto3.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate(("ap-northeast-2a", "ap-northeast-2b"))
    ]
    balancer = elbv2.create_load_balancer(Name="app", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    group = elbv2.create_target_group(Name="app", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    arn: str = group["TargetGroups"][0]["TargetGroupArn"]
    forward = {"Type": "forward", "TargetGroupArn": arn}
    elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[forward])
    elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.0.0.11"}])
    return arn


@dataclass
class Cloud:
    """The environment, and every request that botocore sent for it: when, and which operation."""

    s3: Any
    loop: Loop
    ecs: Ecs
    stack: Stack
    sent: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.s3, STATE_BUCKET, "test")
        session = AwsSession("ap-northeast-2", client_config(retries={"total_max_attempts": 1}))
        self.budget = Budget(clock=self.loop.time, sleep=self._sleep)
        self.clients = clients = CountedClients(session, self.budget)
        for name in ("ecs", "elbv2", "cloudwatch", "s3"):
            clients.client(name).meta.events.register("before-send", self._send)
        sources = readings(clients, self.stack, environment="test", bucket=STATE_BUCKET)
        page = Page(environment="test", stack=self.stack, machine=Machine("here"))
        self.poller = Poller(sources, self.budget, page, now=self._now, run=at_once)

    def _now(self) -> datetime:
        return CREATED + timedelta(seconds=self.loop.now)

    def _send(self, event_name: str, **_: Any) -> None:
        self.sent.append((self.loop.now, event_name.rpartition(".")[2]))

    def _sleep(self, seconds: float) -> None:
        raise AssertionError(f"a call waits {seconds} s for room in the budget")

    def released(self, number: int, *outcomes: Outcome, **changes: Any) -> None:
        """Record events of a release of a revision."""
        at = CREATED + timedelta(minutes=number)
        for second, outcome in enumerate(outcomes):
            values: dict[str, Any] = {
                "release": release_id(f"v{number}", at),
                "outcome": outcome,
                "service": incarnation(self.ecs.service),
                "version": f"v{number}",
                "digest": f"sha256:{number}",
                "revision": revision(number),
                "by": "ann@laptop",
                "at": at + timedelta(seconds=second),
                "why": "Deploy",
            }
            self.ledger.append(Event(**values | changes))

    def operations(self) -> set[str]:
        return {operation for _, operation in self.sent}

    def times(self, operation: str) -> list[float]:
        """Return when an operation was called."""
        return [moment for moment, name in self.sent if name == operation]

    def busiest_minute(self) -> int:
        """Return the highest number of requests within 60 seconds."""
        moments = [moment for moment, _ in self.sent]
        return max(sum(start <= moment < start + 60 for moment in moments) for start in moments)


@pytest.fixture
def cloud(s3: Any, loop: Loop, _load_balancer: str, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    ecs = Ecs()
    for name in ("describe_services", "list_tasks", "describe_tasks", "list_service_deployments"):
        answer = getattr(ecs, name)
        monkeypatch.setattr(EC2ContainerServiceResponse, name, lambda self, answer=answer: answer(self), raising=False)
    outputs = {
        "name_prefix": "app-test",
        "region": "ap-northeast-2",
        "account_id": "123456789012",
        "cluster_name": "app-test",
        "service_name": "app-test",
        "target_group_arn": _load_balancer,
        "public_url": "https://app.example",
        "database": {"instance_identifier": "app-test", "max_connections": 210},
    }
    return Cloud(s3, loop, ecs, Stack(outputs, "test"))
