"""Scheduled actions by a clock that the test sets, on moto's Application Auto Scaling and ECS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from local_cloud.moto_server.activities import Activities
from local_cloud.moto_server.scheduled_scaling import ScheduledActions, keep_within

SEOUL = ZoneInfo("Asia/Seoul")
TARGET = {
    "ServiceNamespace": "ecs",
    "ResourceId": "service/c/s",
    "ScalableDimension": "ecs:service:DesiredCount",
}


@dataclass
class Account:
    """One service of two tasks, its target, and the clock."""

    autoscaling: Any
    ecs: Any
    now: datetime = datetime(2026, 1, 27, 23, 59, tzinfo=SEOUL)
    actions: ScheduledActions = field(init=False)
    activities: Activities = field(default_factory=Activities)

    def __post_init__(self) -> None:
        self.ecs.create_cluster(clusterName="c")
        container = {"name": "api", "image": "i", "memory": 1}
        self.ecs.register_task_definition(family="s", containerDefinitions=[container])
        self.ecs.create_service(cluster="c", serviceName="s", taskDefinition="s", desiredCount=2)
        self.autoscaling.register_scalable_target(**TARGET, MinCapacity=2, MaxCapacity=4)
        self.put("up", "cron(0 0 28 * ? *)", 3, 6)
        self.put("down", "cron(0 0 2 * ? *)", 2, 4)
        self.actions = ScheduledActions(self.autoscaling, clock=lambda: self.now)

    def put(self, name: str, schedule: str, least: int, most: int) -> None:
        self.autoscaling.put_scheduled_action(
            **TARGET,
            ScheduledActionName=name,
            Schedule=schedule,
            Timezone="Asia/Seoul",
            ScalableTargetAction={"MinCapacity": least, "MaxCapacity": most},
        )

    def at(self, moment: datetime) -> tuple[int, int]:
        """The limits after a look at this moment."""
        self.now = moment
        self.actions.run_due()
        (target,) = self.autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        return target["MinCapacity"], target["MaxCapacity"]

    def tasks(self, least: int, most: int) -> int:
        """The number of tasks after it was brought within these limits."""
        keep_within(self.ecs, self.activities, "service/c/s", least, most)
        return int(self.ecs.describe_services(cluster="c", services=["s"])["services"][0]["desiredCount"])


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        region = "ap-northeast-2"
        yield Account(boto3.client("application-autoscaling", region), boto3.client("ecs", region))


def test_a_suspended_schedule_runs_no_action_and_makes_up_for_none(account: Account) -> None:
    def suspend(suspended: bool) -> None:
        account.autoscaling.register_scalable_target(
            **TARGET, SuspendedState={"ScheduledScalingSuspended": suspended}, MinCapacity=2, MaxCapacity=4
        )

    suspend(True)
    assert account.at(datetime(2026, 1, 28, 0, 0, tzinfo=SEOUL)) == (2, 4)
    suspend(False)
    assert account.at(datetime(2026, 1, 28, 0, 1, tzinfo=SEOUL)) == (2, 4)
    assert account.at(datetime(2026, 2, 28, 0, 0, tzinfo=SEOUL)) == (3, 6)


def test_an_action_sets_the_limits_at_its_time_in_its_zone(account: Account) -> None:
    assert account.at(datetime(2026, 1, 27, 14, 59, 59, tzinfo=UTC)) == (2, 4)
    assert account.at(datetime(2026, 1, 27, 15, 0, 0, tzinfo=UTC)) == (3, 6)
    assert account.at(datetime(2026, 2, 1, 23, 59, tzinfo=SEOUL)) == (3, 6)
    assert account.at(datetime(2026, 2, 2, tzinfo=SEOUL)) == (2, 4)


def test_it_acts_once_and_what_somebody_sets_afterwards_stays(account: Account) -> None:
    account.at(datetime(2026, 1, 28, tzinfo=SEOUL))
    account.autoscaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=9)
    assert account.at(datetime(2026, 1, 28, 0, 0, 1, tzinfo=SEOUL)) == (1, 9)


def test_what_was_missed_is_made_up_for_in_its_order(account: Account) -> None:
    account.actions.ran_until = datetime(2026, 1, 20, tzinfo=UTC)
    assert account.at(datetime(2026, 1, 29, tzinfo=SEOUL)) == (3, 6)
    account.actions.ran_until = datetime(2026, 1, 20, tzinfo=UTC)
    assert account.at(datetime(2026, 2, 5, tzinfo=SEOUL)) == (2, 4)


def test_an_action_that_is_older_than_the_last_look_is_left_alone(account: Account) -> None:
    account.actions.ran_until = datetime(2026, 1, 29, tzinfo=UTC)
    assert account.at(datetime(2026, 1, 30, tzinfo=UTC)) == (2, 4)


def test_one_time_actions_and_those_that_are_not_understood(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    account.put("weekly", "cron(0 0 ? * MON *)", 9, 9)
    account.put("once", "at(2026-01-28T00:00:30)", 5, 5)
    assert account.at(datetime(2026, 1, 28, 0, 0, 29, tzinfo=SEOUL)) == (3, 6)
    assert account.at(datetime(2026, 1, 28, 0, 0, 30, tzinfo=SEOUL)) == (5, 5)
    assert account.at(datetime(2026, 1, 28, 0, 0, 31, tzinfo=SEOUL)) == (5, 5)
    assert caplog.text.count("not acted upon: cron(0 0 ? * MON *)") == 1


def test_a_failure_is_tried_again(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1")

    with monkeypatch.context() as patch:
        patch.setattr(account.autoscaling, "register_scalable_target", refuse)
        with pytest.raises(EndpointConnectionError):
            account.at(datetime(2026, 1, 28, tzinfo=SEOUL))
    assert account.at(account.now + timedelta(seconds=1)) == (3, 6)


def test_the_number_of_tasks_is_brought_to_the_nearer_limit(account: Account) -> None:
    assert account.tasks(1, 4) == 2
    assert account.tasks(3, 6) == 3
    assert account.tasks(1, 2) == 2
    assert account.tasks(0, 0) == 0
    causes = [activity.cause for activity in account.activities.of("service/c/s")]
    assert causes == [
        "maximum capacity was set to 0",
        "maximum capacity was set to 2",
        "minimum capacity was set to 3",
    ]


def test_a_service_that_is_not_there_is_no_error(account: Account) -> None:
    keep_within(account.ecs, account.activities, "service/c/none", 1, 2)
    keep_within(account.ecs, account.activities, "service/none/none", 1, 2)
