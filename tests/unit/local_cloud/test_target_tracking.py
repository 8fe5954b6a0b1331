"""Target tracking on moto's Application Auto Scaling and ECS, by a metric and a clock that the test sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local_cloud.core.pace import Pace
from local_cloud.moto_server.activities import Activities
from local_cloud.moto_server.target_tracking import TargetTracking

TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/c/s",
    "ScalableDimension": "ecs:service:DesiredCount",
}
BUSY: list[float | None] = [90.0] * 3
CALM: list[float | None] = [10.0] * 15


class Running:
    """moto's ECS, which runs no task: as many run as are desired."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs
        self.exceptions = ecs.exceptions
        self.rollout = "COMPLETED"

    def describe_services(self, **names: Any) -> Any:
        answer = self._ecs.describe_services(**names)
        for service in answer["services"]:
            service["runningCount"] = service["desiredCount"]
            service["deployments"] = [{"status": "PRIMARY", "rolloutState": self.rollout}]
        return answer

    def update_service(self, **settings: Any) -> Any:
        return self._ecs.update_service(**settings)


@dataclass
class Account:
    """One service of four tasks with a policy of 60 % CPU, on a cloud whose minutes take two seconds."""

    autoscaling: Any
    moto: Any
    minutes: list[float | None] = field(default_factory=list)
    read: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    now: float = 1000.0
    activities: Activities = field(default_factory=Activities)

    def __post_init__(self) -> None:
        self.ecs = Running(self.moto)
        self.moto.create_cluster(clusterName="c")
        container = {"name": "api", "image": "i", "memory": 1}
        self.moto.register_task_definition(family="s", containerDefinitions=[container])
        self.moto.create_service(cluster="c", serviceName="s", taskDefinition="s", desiredCount=4)
        self.autoscaling.register_scalable_target(**TARGET, MinCapacity=2, MaxCapacity=8)
        self.put()
        self.tracking = TargetTracking(
            self.autoscaling, self.ecs, self.activities, Pace(2), self.read_minutes, clock=lambda: self.now
        )

    def put(self, metric: str = "ECSServiceAverageCPUUtilization", **settings: Any) -> None:
        self.autoscaling.put_scaling_policy(
            **TARGET,
            PolicyName="s-cpu",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 60.0,
                "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
                "ScaleOutCooldown": 60,
                "ScaleInCooldown": 300,
                **settings,
            },
        )

    def read_minutes(self, name: str, dimensions: Mapping[str, str]) -> list[float | None]:
        self.read.append((name, dimensions))
        return self.minutes

    def after(self, minutes: list[float | None]) -> int:
        """The desired count after these minutes."""
        self.minutes = minutes
        self.tracking.scale()
        return int(self.moto.describe_services(cluster="c", services=["s"])["services"][0]["desiredCount"])


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        region = "ap-northeast-2"
        yield Account(boto3.client("application-autoscaling", region), boto3.client("ecs", region))


def test_the_policy_s_metric_of_the_service_sets_its_desired_count(account: Account) -> None:
    assert account.after(BUSY) == 6
    assert account.read == [("CPUUtilization", {"ClusterName": "c", "ServiceName": "s"})]
    account.put("ECSServiceAverageMemoryUtilization")
    account.after([])
    assert account.read[-1][0] == "MemoryUtilization"


def test_cooldowns_follow_the_pace(account: Account) -> None:
    assert account.after(CALM) == 3
    account.now += 9.9
    assert account.after(CALM) == 3
    account.now += 0.1
    assert account.after(CALM) == 2


def test_limits_and_suspensions_are_the_target_s(account: Account) -> None:
    account.autoscaling.register_scalable_target(
        **TARGET, MinCapacity=4, MaxCapacity=5, SuspendedState={"DynamicScalingOutSuspended": True}
    )
    assert account.after(CALM) == 4
    assert account.after(BUSY) == 4
    account.autoscaling.register_scalable_target(
        **TARGET, MinCapacity=2, MaxCapacity=5, SuspendedState={"DynamicScalingInSuspended": True}
    )
    assert account.after(BUSY) == 5
    assert account.after(CALM) == 5


def test_nothing_is_removed_during_a_deployment(account: Account) -> None:
    account.ecs.rollout = "IN_PROGRESS"
    assert account.after(CALM) == 4
    assert account.after(BUSY) == 6
    account.ecs.rollout = "COMPLETED"
    assert account.after(CALM) == 5


def test_a_policy_may_forbid_removals(account: Account) -> None:
    account.put(DisableScaleIn=True)
    assert account.after(CALM) == 4


def test_each_change_is_an_activity_with_its_cause(account: Account) -> None:
    assert not account.activities.of("service/c/s")
    account.after(BUSY)
    account.now += 100
    account.after(CALM)
    newest, oldest = (item.described() for item in account.activities.of("service/c/s"))
    assert oldest["Description"] == "Setting desired count to 6."
    assert oldest["Cause"].startswith("monitor alarm TargetTracking-service/c/s-AlarmHigh-")
    assert oldest["Cause"].endswith(" in state ALARM triggered policy s-cpu")
    assert newest["Description"] == "Setting desired count to 5."
    assert "-AlarmLow-" in newest["Cause"]
    assert not account.activities.of("service/c/other")
    assert len(account.activities.of(None)) == 2


def test_a_target_without_a_service_is_left_alone(account: Account) -> None:
    account.moto.update_service(cluster="c", service="s", desiredCount=0)
    account.moto.delete_service(cluster="c", service="s")
    account.minutes = BUSY
    account.tracking.scale()
    account.moto.delete_cluster(cluster="c")
    account.tracking.scale()
    assert not account.activities.of(None)
