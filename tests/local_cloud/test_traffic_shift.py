"""Blue/green, canary and linear deployments: which tasks run, which get requests, and how all of it is undone."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.drill.load import Clients, Report, Request, background
from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import open_queue
from tests.local_cloud.services import StubService, make_service

pytestmark = pytest.mark.local_cloud

CLIENTS = [
    Clients(request=Request(name="kept", path="/"), count=10, per_second=100),
    Clients(request=Request(name="fresh", path="/"), count=10, per_second=50, keep_alive=False),
    Clients(request=Request(name="slow", path="/slow/0.5"), count=2),
]
#: Minutes take a second in this file.
CANARY = {
    "strategy": "CANARY",
    "bakeTimeInMinutes": 1,
    "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 8},
}
HELD = {**CANARY, "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1_440}}


class Shifting:
    """A service with two target groups, a rule for its traffic and one for test traffic."""

    def __init__(self, service: StubService) -> None:
        self.service = service
        elb = service.elb
        made = elb.create_target_group(
            Name=f"{service.name}-b",
            Port=8000,
            Protocol="HTTP",
            TargetType="ip",
            VpcId="vpc-1",
            HealthCheckPath="/healthz",
            HealthCheckIntervalSeconds=1,
            HealthCheckTimeoutSeconds=20,
        )
        self.groups = [service.target_group, made["TargetGroups"][0]["TargetGroupArn"]]
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "1"}
        elb.modify_target_group_attributes(TargetGroupArn=self.groups[1], Attributes=[delay])
        (listener,) = elb.describe_listeners(LoadBalancerArn=service.load_balancer)["Listeners"]
        header = {"HttpHeaderName": "X-Test", "Values": ["1"]}
        self.test = self._rule(listener, 100, {"Field": "http-header", "HttpHeaderConfig": header})
        self.production = self._rule(listener, 50_000, {"Field": "path-pattern", "Values": ["/*"]})
        balancer = {"targetGroupArn": self.groups[0], "containerName": "app", "containerPort": 8000}
        advanced = {
            "alternateTargetGroupArn": self.groups[1],
            "productionListenerRule": self.production,
            "testListenerRule": self.test,
            "roleArn": "arn:aws:iam::000000000000:role/balancer",
        }
        self.balancers = [{**balancer, "advancedConfiguration": advanced}]

    def _rule(self, listener: dict[str, Any], priority: int, condition: dict[str, Any]) -> str:
        groups = [{"TargetGroupArn": arn, "Weight": 100 if arn == self.groups[0] else 0} for arn in self.groups]
        made = self.service.elb.create_rule(
            ListenerArn=listener["ListenerArn"],
            Priority=priority,
            Conditions=[condition],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
        )
        return str(made["Rules"][0]["RuleArn"])

    def weights(self, rule: str = "") -> list[int]:
        (found,) = self.service.elb.describe_rules(RuleArns=[rule or self.production])["Rules"]
        by_group = {
            group["TargetGroupArn"]: group["Weight"] for group in found["Actions"][0]["ForwardConfig"]["TargetGroups"]
        }
        return [by_group[group] for group in self.groups]

    def deploy(self, version: int, configuration: dict[str, Any], **settings: Any) -> None:
        task = self.service.register(environment={"VERSION": str(version), **settings})
        self.service.update(taskDefinition=task, deploymentConfiguration=configuration)

    def stage(self) -> str:
        return str(self.service.deployment().get("lifecycleStage"))

    def answer(self, **headers: str) -> str:
        url = f"http://127.0.0.1:{self.service.cloud.config.load_balancer_port}/"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answered:
                return str(answered.read().decode())
        except urllib.error.HTTPError as error:
            return f"HTTP {error.code}"

    def running(self) -> dict[str, int]:
        """Count the running tasks by their deployment's status."""
        return {item["status"]: item["runningCount"] for item in self.service.describe()["deployments"]}


@pytest.fixture(scope="module")
def shifting(start_cloud: Callable[..., RunningCloud], stub_image: str) -> Shifting:
    """A service with one version in service. All tests of the file share it, one after the other."""
    cloud = start_cloud(minute_seconds=1)
    service = make_service(cloud, stub_image)
    made = Shifting(service)
    service.create(service.register(environment={"VERSION": "1"}), desired=2)
    service.wait_deployed()
    wait_for(lambda: made.answer() == "1")
    return made


@contextmanager
def load(shifting: Shifting, *, may_lose: bool = False) -> Iterator[Report]:
    with background(f"http://127.0.0.1:{shifting.service.cloud.config.load_balancer_port}", CLIENTS) as report:
        wait_for(lambda: report.total > 50)
        yield report
    print(f"{report.total} requests, {report.lost} lost")
    assert may_lose or not report.lost, report.examples


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return str(raised.value.response["Error"]["Message"])


def test_a_strategy_needs_what_a_rolling_deployment_attached(shifting: Shifting) -> None:
    service = shifting.service
    assert "needs an advancedConfiguration" in refusal(service.update, deploymentConfiguration=CANARY)
    both = {"deploymentConfiguration": CANARY, "loadBalancers": shifting.balancers}
    assert "that a rolling deployment attached" in refusal(service.update, **both)
    broken = json.loads(json.dumps(shifting.balancers).replace(shifting.groups[1], shifting.groups[1] + "0"))
    assert "does not have an associated load balancer" in refusal(service.update, loadBalancers=broken)
    with load(shifting) as report:
        service.update(loadBalancers=shifting.balancers)
        service.wait_deployed()
    assert set(report.answers) == {"200 1"}
    assert shifting.weights() == [100, 0]
    assert "bakeTimeInMinutes" in refusal(service.update, deploymentConfiguration={"strategy": "BLUE_GREEN"})


def test_a_canary_serves_its_share_then_everything(shifting: Shifting) -> None:
    service = shifting.service
    with load(shifting) as report:
        shifting.deploy(2, CANARY)
        wait_for(lambda: shifting.weights() == [90, 10])
        assert shifting.running() == {"PRIMARY": 2, "ACTIVE": 2}
        assert shifting.weights(shifting.test) == [0, 100]
        wait_for(lambda: shifting.answer(**{"X-Test": "1"}) == "2")
        before = report.answers
        wait_for(lambda: (report.answers - before).total() > 600)
        new = report.answers - before
        assert shifting.stage() == "PRODUCTION_TRAFFIC_SHIFT"
        assert 0.05 < new["200 2"] / new.total() < 0.15, new
        ended = service.wait_deployed()
    assert ended["lifecycleStage"] == "CLEAN_UP"
    assert (shifting.weights(), shifting.running()) == ([0, 100], {"PRIMARY": 2})
    assert service.primary()["rolloutState"] == "COMPLETED"
    revisions = service.ecs.describe_service_revisions(
        serviceRevisionArns=[ended["targetServiceRevision"]["arn"], ended["sourceServiceRevisions"][0]["arn"]]
    )["serviceRevisions"]
    groups = [item["resolvedConfiguration"]["loadBalancers"][0]["targetGroupArn"] for item in revisions]
    assert groups == [shifting.groups[1], shifting.groups[0]]


def test_a_stop_gives_the_traffic_back_before_the_new_tasks_stop(shifting: Shifting) -> None:
    service, before = shifting.service, shifting.service.primary()
    with load(shifting) as report:
        shifting.deploy(3, HELD)
        wait_for(lambda: shifting.weights() == [10, 90])
        # Its own desired count changes, and both revisions follow.
        service.update(desiredCount=3)
        wait_for(lambda: shifting.running() == {"PRIMARY": 3, "ACTIVE": 3})
        change = {"deploymentConfiguration": {"strategy": "ROLLING"}}
        assert "cannot be changed while" in refusal(service.update, **change)
        assert "is in progress" in refusal(service.update, forceNewDeployment=True)
        arn = service.deployment()["serviceDeploymentArn"]
        called = time.monotonic()
        service.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
        wait_for(lambda: shifting.weights() == [0, 100])
        assert time.monotonic() - called < 3
        service.wait_deployed("ROLLBACK_SUCCESSFUL")
        answers = report.answers
        wait_for(lambda: (report.answers - answers).total() > 200)
        assert "200 3" not in report.answers - answers
    assert service.primary()["id"] == before["id"]
    assert shifting.running() == {"PRIMARY": 3}
    service.update(desiredCount=2)


def test_a_task_of_either_revision_that_ends_is_replaced_where_it_was(shifting: Shifting) -> None:
    service = shifting.service
    shifting.deploy(3, HELD)
    wait_for(lambda: shifting.weights() == [10, 90])
    known = {task["taskArn"] for task in service.tasks()}
    for arn in known:
        service.ecs.stop_task(cluster=service.cluster, task=arn)

    def replaced() -> bool:
        now = {task["taskArn"] for task in service.tasks()}
        return len(now) == 4 and not now & known

    wait_for(replaced, what="every task is replaced")
    wait_for(lambda: shifting.running() == {"PRIMARY": 2, "ACTIVE": 2})
    states = [
        [item["TargetHealth"]["State"] for item in answer["TargetHealthDescriptions"]]
        for answer in (service.elb.describe_target_health(TargetGroupArn=group) for group in shifting.groups)
    ]
    wait_for(lambda: {shifting.answer() for _ in range(5)} <= {"2", "3"})
    assert [len([state for state in found if state != "draining"]) for found in states] == [2, 2]
    arn = service.deployment()["serviceDeploymentArn"]
    service.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    service.wait_deployed("ROLLBACK_SUCCESSFUL")


def test_a_pause_waits_for_its_action_and_is_told(shifting: Shifting) -> None:
    service = shifting.service
    queue, queue_arn = open_queue(service.cloud, service.name)
    events = service.cloud.client("events")
    pattern = {"source": ["aws.ecs"], "detail": {"eventName": ["HOOK_AWAITING_ACTION"]}}
    events.put_rule(Name=service.name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=service.name, Targets=[{"Id": "queue", "Arn": queue_arn}])
    pause = {
        "targetType": "PAUSE",
        "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
        "timeoutConfiguration": {"timeoutInMinutes": 600, "action": "ROLLBACK"},
    }
    paused = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [pause]}

    def hook() -> dict[str, Any] | None:
        details = service.deployment().get("lifecycleHookDetails") or []
        return next((item for item in details if item["status"] == "AWAITING_ACTION"), None)

    act = service.ecs.continue_service_deployment
    for action, status, version in (("ROLLBACK", "ROLLBACK_SUCCESSFUL", "2"), ("CONTINUE", "SUCCESSFUL", "3")):
        shifting.deploy(3, paused)
        found = wait_for(hook, what="the pause")
        assert shifting.answer() == "2"
        assert shifting.answer(**{"X-Test": "1"}) == "3"
        arn = service.deployment()["serviceDeploymentArn"]
        assert "no such hook" in refusal(act, serviceDeploymentArn=arn, hookId="other")
        act(serviceDeploymentArn=arn, hookId=found["hookId"], action=action)
        service.wait_deployed(status)
        wait_for(lambda version=version: {shifting.answer() for _ in range(5)} == {version})
    (message, *_) = service.cloud.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    assert json.loads(message["Body"])["resources"] == [service.describe()["serviceArn"]]

    pause["timeoutConfiguration"] = {"timeoutInMinutes": 1}
    shifting.deploy(4, paused)
    ended = service.wait_deployed("ROLLBACK_SUCCESSFUL")
    assert [item["status"] for item in ended["lifecycleHookDetails"]] == ["TIMED_OUT"]
    assert shifting.answer() == "3"


def test_linear_steps_and_a_rolling_deployment_after_it_stay_where_the_traffic_is(shifting: Shifting) -> None:
    service, live = shifting.service, shifting.weights()
    linear = {
        "strategy": "LINEAR",
        "bakeTimeInMinutes": 0,
        "lifecycleHooks": [],  # those of the last deployment stay otherwise
        "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 2},
    }
    seen: list[list[int]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            if (now := shifting.weights()) not in seen:
                seen.append(now)

    watching = threading.Thread(target=watch)
    watching.start()
    with load(shifting):
        try:
            shifting.deploy(5, linear)
            service.wait_deployed()
        finally:
            ended.set()
            watching.join()
        new = live[::-1]
        at = new.index(100)
        assert [found[at] for found in seen] == [0, 40, 80, 100]
        shifting.deploy(6, {"strategy": "ROLLING"})
        service.wait_deployed()
        assert shifting.weights() == new
        wait_for(lambda: {shifting.answer() for _ in range(5)} == {"6"})
    assert shifting.running() == {"PRIMARY": 2}
    assert "canaryConfiguration" not in service.describe()["deploymentConfiguration"]


def test_an_alarm_gives_the_traffic_back(shifting: Shifting) -> None:
    service = shifting.service
    cloudwatch = service.cloud.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="gate",
        Namespace="test",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    gate = {"alarmNames": ["gate"], "enable": True, "rollback": True}
    before = shifting.weights()
    with load(shifting):
        shifting.deploy(7, {**HELD, "alarms": gate})
        wait_for(lambda: shifting.weights() not in (before, before[::-1]))
        cloudwatch.put_metric_data(Namespace="test", MetricData=[{"MetricName": "Errors", "Value": 5}])
        ended = service.wait_deployed("ROLLBACK_SUCCESSFUL")
        assert shifting.weights() == before
    assert ended["alarms"]["triggeredAlarmNames"] == ["gate"]
    assert shifting.answer() == "6"


def test_new_tasks_that_never_become_healthy_wait_without_traffic(shifting: Shifting) -> None:
    """The circuit breaker is for rolling updates only."""
    service, before = shifting.service, shifting.weights()
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    shifting.deploy(8, {**CANARY, **breaker}, EXIT_CODE="3")
    wait_for(lambda: service.primary()["failedTasks"] >= 4, what="more failures than the circuit breaker's threshold")
    found = service.deployment()
    assert (found["status"], found["lifecycleStage"]) == ("IN_PROGRESS", "SCALE_UP")
    assert (shifting.weights(), shifting.answer()) == (before, "6")
    service.ecs.stop_service_deployment(serviceDeploymentArn=found["serviceDeploymentArn"], stopType="ROLLBACK")
    service.wait_deployed("ROLLBACK_SUCCESSFUL")
