"""src/local_cloud/account/event_targets.py and queue_policies.py: policies for deliveries of EventBridge and SNS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import Recorder, open_queue

pytestmark = pytest.mark.local_cloud


def rule(cloud: RunningCloud, name: str, *targets: str) -> str:
    """Create a rule for the events of the source ``test.<name>`` and return its ARN."""
    events = cloud.client("events")
    arn: str = events.put_rule(Name=name, EventPattern=json.dumps({"source": [f"test.{name}"]}))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": str(number), "Arn": arn} for number, arn in enumerate(targets)])
    return arn


def put(cloud: RunningCloud, name: str, said: str) -> None:
    entry = {"Source": f"test.{name}", "DetailType": "said", "Detail": json.dumps({"said": said})}
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def received(cloud: RunningCloud, url: str) -> Callable[[], list[Any]]:
    sqs = cloud.client("sqs")

    def read() -> list[Any]:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    return read


def statement(action: str, resource: str, source: str | None = None) -> dict[str, Any]:
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": action}
    condition = {"Condition": {"ArnEquals": {"aws:SourceArn": source}}} if source else {}
    return {**allowed, "Resource": resource, **condition}


def test_a_condition_on_the_rule_holds_for_the_log_s_events_and_denies_its_stream(cloud: RunningCloud) -> None:
    logs, name = cloud.client("logs"), "events-to-log"
    logs.create_log_group(logGroupName="/aws/events/told")
    group = "arn:aws:logs:ap-northeast-2:000000000000:log-group:/aws/events/told"
    url, queue = open_queue(cloud, name)
    arn = rule(cloud, name, group, queue)

    def permit(*statements: dict[str, Any]) -> None:
        logs.put_resource_policy(policyName=name, policyDocument=json.dumps({"Statement": list(statements)}))

    def written(said: str) -> list[str]:
        """Return the log's events after the rule's other target, which is called later, got the event."""
        put(cloud, name, said)
        wait_for(received(cloud, url))
        events = logs.filter_log_events(logGroupName="/aws/events/told")["events"]
        return sorted(json.loads(event["message"])["detail"]["said"] for event in events)

    stream, write = ("logs:CreateLogStream", f"{group}:*"), ("logs:PutLogEvents", f"{group}:*")
    assert written("nobody permitted it") == []
    permit(statement(*stream, arn), statement(*write, arn))
    assert written("both with the rule") == []
    permit(statement(*stream), statement(*write, arn.replace("rule/", "rule/other-")))
    assert written("for another rule") == []
    permit(statement(*stream), statement(*write, arn))
    assert written("the events with the rule") == ["the events with the rule"]


def test_functions_queues_and_topics_decide_too(cloud: RunningCloud) -> None:
    sns, name = cloud.client("sns"), "events-to-others"
    function = Recorder(cloud, name)
    topic = sns.create_topic(Name=name)["TopicArn"]
    heard, queue = open_queue(cloud, f"{name}-heard")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    closed = cloud.client("sqs").create_queue(QueueName=f"{name}-closed")["QueueUrl"]
    last, last_arn = open_queue(cloud, f"{name}-last")
    arn = rule(cloud, name, function.arn, topic, queue.replace("-heard", "-closed"), last_arn)

    put(cloud, name, "nobody permitted it")
    wait_for(received(cloud, last))

    def publish(*statements: dict[str, Any]) -> None:
        sns.set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": list(statements)})
        )

    publish(statement("sns:Publish", topic, arn))
    put(cloud, name, "the topic asks for the rule")
    wait_for(received(cloud, last))

    publish(statement("sns:Publish", topic))
    function.permit("events", arn)
    put(cloud, name, "permitted")
    (message,) = wait_for(received(cloud, heard))
    assert json.loads(message["Message"])["detail"] == {"said": "permitted"}
    (event,) = wait_for(function.events)
    assert event["detail"] == {"said": "permitted"}
    assert received(cloud, closed)() == []
