"""src/local_cloud/cloudwatch/alarm_notifications.py, with a queue that receives the message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import open_queue

pytestmark = pytest.mark.local_cloud


def policy(topic: str, account: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sns:Publish",
                    "Resource": topic,
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                }
            ],
        }
    )


def test_an_alarm_tells_the_topic_that_it_may_publish_to(cloud: RunningCloud) -> None:
    sns, sqs, cloudwatch = cloud.client("sns"), cloud.client("sqs"), cloud.client("cloudwatch")
    queue, queue_arn = open_queue(cloud, "alarms")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)

    cloudwatch.put_metric_alarm(
        AlarmName="rate",
        AlarmDescription="Made by a test.",
        Metrics=[
            {
                "Id": "errors",
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count"},
                    "Period": 60,
                    "Stat": "Sum",
                },
            }
        ],
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[topic],
        OKActions=[topic],
    )

    def received() -> list[Any]:
        messages = sqs.receive_message(QueueUrl=queue).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]

    # A new topic's default policy lets the account's services publish; another policy only the services that it names.
    cloudwatch.set_alarm_state(AlarmName="rate", StateValue="ALARM", StateReason="forced")
    (notice,) = wait_for(received)
    assert notice["AlarmArn"] == "arn:aws:cloudwatch:ap-northeast-2:000000000000:alarm:rate"
    assert (notice["NewStateValue"], notice["NewStateReason"]) == ("ALARM", "forced")
    assert notice["AlarmActions"] == [topic]
    assert notice["Trigger"]["Metrics"][0]["MetricStat"]["Metric"]["MetricName"] == "HTTPCode_Target_5XX_Count"

    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(topic, "123456789012"))
    cloudwatch.set_alarm_state(AlarmName="rate", StateValue="OK", StateReason="to nobody")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(topic, "000000000000"))
    cloudwatch.set_alarm_state(AlarmName="rate", StateValue="ALARM", StateReason="again")
    (notice,) = wait_for(received)
    assert notice["NewStateReason"] == "again"
