"""Alarms on what really happens: their states, the metrics of a service, and a deployment that its alarm undoes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import open_queue
from tests.local_cloud.services import StubService

pytestmark = [pytest.mark.local_cloud, pytest.mark.usefixtures("short_minutes")]


class Alarms:
    """Alarms over one metric of a test, deleted with it."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.client = cloud.client("cloudwatch")
        self.made: list[str] = []

    def put(self, name: str, **settings: Any) -> str:
        given: dict[str, Any] = {
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "TreatMissingData": "notBreaching",
            **settings,
        }
        if "Metrics" not in given:
            given = {"Namespace": "states", "MetricName": "Errors", "Statistic": "Sum", "Period": 60, **given}
        self.client.put_metric_alarm(AlarmName=name, **given)
        self.made.append(name)
        return name

    def put_composite(self, name: str, rule: str) -> None:
        self.client.put_composite_alarm(AlarmName=name, AlarmRule=rule)
        self.made.insert(0, name)  # before those that it refers to

    def states(self) -> dict[str, str]:
        found = self.client.describe_alarms(AlarmNames=self.made, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return {
            alarm["AlarmName"]: alarm["StateValue"]
            for kind in ("MetricAlarms", "CompositeAlarms")
            for alarm in found[kind]
        }

    def wait(self, _before: Callable[[], Any] = lambda: None, **wanted: str) -> None:
        """Wait until these alarms are in these states; call `_before` each time before it looks."""

        def reached() -> bool:
            _before()
            return wanted.items() <= self.states().items()

        wait_for(reached, what=f"alarms {wanted}")

    def report(self, value: float, who: str) -> None:
        data = {"MetricName": "Errors", "Value": value, "Dimensions": [{"Name": "Who", "Value": who}]}
        self.client.put_metric_data(Namespace="states", MetricData=[data])


@pytest.fixture
def alarms(cloud: RunningCloud) -> Iterator[Alarms]:
    made = Alarms(cloud)
    yield made
    for name in made.made:
        made.client.delete_alarms(AlarmNames=[name])


def of(who: str, **stat: Any) -> dict[str, Any]:
    metric = {"Namespace": "states", "MetricName": "Errors", "Dimensions": [{"Name": "Who", "Value": who}]}
    return {"MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum", **stat}, "ReturnData": False}


def test_alarms_follow_their_own_metrics_and_missing_data(alarms: Alarms) -> None:
    for who in ("one", "two"):
        alarms.put(who, Dimensions=[{"Name": "Who", "Value": who}])
    expression = {"Id": "rate", "Expression": "IF(a > 0, 100 * SUM([FILL(a, 0), FILL(b, 0)]) / a, 0)"}
    alarms.put("math", Threshold=200, Metrics=[expression, {"Id": "a", **of("one")}, {"Id": "b", **of("two")}])
    alarms.put("p99", Threshold=7, Metrics=[{"Id": "a", **of("one", Stat="p99"), "ReturnData": True}])
    for setting in ("missing", "ignore", "breaching"):
        alarms.put(setting, MetricName="Silent", TreatMissingData=setting)
    alarms.put_composite("both", 'ALARM("one") AND NOT ALARM("two")')
    alarms.wait(one="OK", two="OK", math="OK", p99="OK", breaching="ALARM", both="OK")
    assert alarms.states()["missing"] == alarms.states()["ignore"] == "INSUFFICIENT_DATA"

    # Data of another dimension than that of "two", and too little for "math"
    alarms.wait(lambda: alarms.report(7, "one"), one="ALARM", both="ALARM", p99="ALARM")
    assert (alarms.states()["two"], alarms.states()["math"]) == ("OK", "OK")

    # The sum of both is far more than twice as much as one of them.
    def report_both() -> None:
        alarms.report(1, "one")
        alarms.report(1000, "two")

    alarms.wait(report_both, two="ALARM", math="ALARM", both="OK")

    # What SetAlarmState sets lasts until the next evaluation, and as long as "ignore" has no data.
    for name in ("missing", "ignore"):
        alarms.client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    alarms.wait(one="OK", two="OK", math="OK", p99="OK", missing="INSUFFICIENT_DATA")
    assert alarms.states()["ignore"] == "ALARM"
    history = alarms.client.describe_alarm_history(AlarmName="one", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    reasons = [json.loads(item["HistoryData"])["newState"]["stateReason"] for item in history]
    assert "no datapoints were received for 1 period" in reasons[0]
    assert "greater than or equal to the threshold (1.0)" in reasons[1]


def test_a_release_that_fails_every_fifth_request_is_undone_by_its_alarm(
    make: Callable[..., StubService], alarms: Alarms
) -> None:
    service = make()
    cloudwatch, sqs, events = (service.cloud.client(name) for name in ("cloudwatch", "sqs", "events"))
    queue, queue_arn = open_queue(service.cloud, service.name)
    events.put_rule(
        Name=service.name,
        EventPattern=json.dumps({"source": ["aws.ecs"], "detail": {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}}),
    )
    events.put_targets(Rule=service.name, Targets=[{"Id": "queue", "Arn": queue_arn}])
    dimensions = {
        "LoadBalancer": service.load_balancer.split(":loadbalancer/")[1],
        "TargetGroup": service.target_group.split(":")[5],
    }
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    errors = alarms.put(
        f"{service.name}-errors",
        Namespace="AWS/ApplicationELB",
        MetricName="HTTPCode_Target_5XX_Count",
        Dimensions=named,
    )
    already = alarms.put(f"{service.name}-already", MetricName="Silent", TreatMissingData="breaching")
    alarms.wait(**{errors: "OK", already: "ALARM"})
    service.create(
        service.register(),
        deploymentConfiguration={
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            "alarms": {"alarmNames": [errors, already], "enable": True, "rollback": True},
        },
    )
    first = service.wait_deployed()
    assert first["alarms"] == {"status": "MONITORING_COMPLETE", "alarmNames": [errors], "triggeredAlarmNames": []}
    good = service.primary()["id"]

    service.update(taskDefinition=service.register(environment={"FAIL_EVERY": "5"}))
    answers = []

    def undone() -> bool:
        # The alarm has to see errors before the bake time is over.
        answers.extend(service.get() for _ in range(10))
        return bool(service.deployment()["status"] == "ROLLBACK_SUCCESSFUL")

    wait_for(undone, what="the rollback")
    assert set(answers) == {200, 500}
    failed = service.deployment()
    assert failed["alarms"] == {"status": "TRIGGERED", "alarmNames": [errors], "triggeredAlarmNames": [errors]}
    assert "alarm" in failed["rollback"]["reason"]
    assert service.primary()["id"] == good
    (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    event = json.loads(message["Body"])
    assert event["resources"] == [service.describe()["serviceArn"]]
    assert event["detail"]["reason"] == "ECS deployment failed: alarm detected."
    alarms.wait(**{errors: "OK"})

    # All that the requests left in CloudWatch, and how long they took
    assert service.get("/slow/1") == 200

    def total(name: str, statistic: str) -> float:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=name,
            Dimensions=named,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=86_400,
            **{"ExtendedStatistics" if statistic.startswith("p") else "Statistics": [statistic]},
        )["Datapoints"]
        return sum(point.get(statistic) or point["ExtendedStatistics"][statistic] for point in points)

    wait_for(lambda: total("RequestCount", "Sum") == len(answers) + 1, what="every request is counted")
    assert total("HTTPCode_Target_5XX_Count", "Sum") == answers.count(500)
    wait_for(lambda: total("TargetResponseTime", "SampleCount") == len(answers) + 1, what="every time is measured")
    assert 1 <= total("TargetResponseTime", "p100") < 30
    assert total("TargetResponseTime", "p50") < 1
    assert total("HealthyHostCount", "Maximum") >= 2
