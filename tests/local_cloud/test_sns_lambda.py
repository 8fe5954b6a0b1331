"""src/local_cloud/account/sns_lambda.py, with running functions."""

from __future__ import annotations

import json

import pytest

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import Recorder

pytestmark = pytest.mark.local_cloud


def subscribed(cloud: RunningCloud, function: Recorder) -> str:
    """Create a topic with the function as a subscriber. Function and subscription share a dead-letter queue."""
    sns = cloud.client("sns")
    topic: str = sns.create_topic(Name=function.name)["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=function.arn,
        Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": function.dead_letter_arn})},
    )
    return topic


def test_a_message_reaches_the_function_that_the_topic_may_invoke(cloud: RunningCloud) -> None:
    function = Recorder(cloud, "told")
    topic = subscribed(cloud, function)
    cloud.client("sns").publish(TopicArn=topic, Message="not permitted")
    (kept,) = wait_for(function.dead_letters)
    assert kept["Message"] == "not permitted"
    assert not function.events()

    function.permit("sns", topic)
    cloud.client("sns").publish(TopicArn=topic, Message="permitted")
    (event,) = wait_for(function.events)
    assert [record["Sns"]["Message"] for record in event["Records"]] == ["permitted"]
    assert event["Records"][0]["Sns"]["TopicArn"] == topic


def test_a_message_on_which_the_function_fails_is_kept(cloud: RunningCloud) -> None:
    function = Recorder(cloud, "told-and-failing", fails=True)
    topic = subscribed(cloud, function)
    function.permit("sns", topic)
    cloud.client("sns").publish(TopicArn=topic, Message="one")
    (kept,) = wait_for(function.dead_letters)
    assert kept["requestPayload"]["Records"][0]["Sns"]["Message"] == "one"
