"""An alarm's history shows whether SNS accepted its action, and a test page reads it there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fargate_ops.notify.test_page import through_topic
from tests.local_cloud.conftest import RunningCloud
from tests.local_cloud.functions import open_queue

pytestmark = pytest.mark.local_cloud


def make_alarm(cloudwatch: Any, name: str, topic: str) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Threshold=0,
        Namespace="test/test-page",
        MetricName="urgent",
        Statistic="Sum",
        Period=60,
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
        OKActions=[topic],
    )


@pytest.mark.parametrize(("exists", "outcome"), [(True, "no_recipient"), (False, "refused")])
def test_a_page_says_whether_the_topic_took_it(cloud: RunningCloud, exists: bool, outcome: str) -> None:
    cloudwatch, sns = cloud.client("cloudwatch"), cloud.client("sns")
    topic = sns.create_topic(Name=f"page-{exists}")["TopicArn"]
    make_alarm(cloudwatch, f"page-{exists}", topic if exists else f"{topic}-gone")
    path = through_topic(
        cloudwatch,
        sns,
        urgency="urgent",
        alarm=f"page-{exists}",
        topic_arn=topic,
        by="test",
        wait_seconds=0,
    )
    assert path.outcome == outcome
    summaries = [
        item["HistorySummary"]
        for item in cloudwatch.describe_alarm_history(AlarmName=f"page-{exists}", HistoryItemType="Action")[
            "AlarmHistoryItems"
        ]
    ]
    word = "Successfully executed" if exists else "Failed to execute"
    assert summaries == [f"{word} action {topic if exists else f'{topic}-gone'}"] * 2


def test_a_page_arrives_marked_as_a_test_and_so_does_its_end(cloud: RunningCloud) -> None:
    cloudwatch, sns, sqs = cloud.client("cloudwatch"), cloud.client("sns"), cloud.client("sqs")
    topic = sns.create_topic(Name="page-heard")["TopicArn"]
    url, arn = open_queue(cloud, "page-heard")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    make_alarm(cloudwatch, "page-heard", topic)
    page = {"urgency": "urgent", "alarm": "page-heard", "topic_arn": topic, "by": "test", "wait_seconds": 0}
    path = through_topic(cloudwatch, sns, **page)
    assert (path.outcome, path.said) == ("accepted", "the topic accepted it, for sqs page-heard")
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    heard = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
    assert sorted(message["NewStateValue"] for message in heard) == ["ALARM", "OK"]
    assert all(message["NewStateReason"].startswith("TEST by test: nothing is wrong") for message in heard)
