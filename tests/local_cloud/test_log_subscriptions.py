"""src/local_cloud/cloudwatch/log_subscriptions.py, with running functions."""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import Recorder

pytestmark = pytest.mark.local_cloud


def log_group(cloud: RunningCloud, name: str) -> str:
    """Create a log group with one stream and return its ARN in the form of a permission."""
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="0")
    return f"arn:aws:logs:ap-northeast-2:000000000000:log-group:{name}:*"


def put(cloud: RunningCloud, name: str, *messages: str) -> None:
    now = int(time.time() * 1000)
    cloud.client("logs").put_log_events(
        logGroupName=name,
        logStreamName="0",
        logEvents=[{"timestamp": now, "message": message} for message in messages],
    )


def subscribe(cloud: RunningCloud, name: str, function: Recorder, pattern: str = '"duration:"') -> None:
    cloud.client("logs").put_subscription_filter(
        logGroupName=name, filterName="slow", filterPattern=pattern, destinationArn=function.arn
    )


def lines(event: Any) -> list[str]:
    document = json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))
    return [entry["message"] for entry in document["logEvents"]]


def test_what_matches_reaches_the_function_and_nothing_else_does(cloud: RunningCloud) -> None:
    source = log_group(cloud, "/subscribed")
    function = Recorder(cloud, "subscriber")

    # AWS tests the function when the filter is created.
    with pytest.raises(ClientError, match="Could not execute the lambda function"):
        subscribe(cloud, "/subscribed", function)
    function.permit("logs", "arn:aws:logs:ap-northeast-2:000000000000:log-group:/another:*")
    with pytest.raises(ClientError, match="Could not execute the lambda function"):
        subscribe(cloud, "/subscribed", function)
    function.permit("logs", source)
    with pytest.raises(ClientError, match="Invalid filter pattern"):
        subscribe(cloud, "/subscribed", function, "duration:")
    subscribe(cloud, "/subscribed", function)

    put(cloud, "/subscribed", "LOG:  duration: 1 ms", "LOG:  checkpoint", "LOG:  duration: 2 ms")
    (event,) = wait_for(function.events)
    assert lines(event) == ["LOG:  duration: 1 ms", "LOG:  duration: 2 ms"]


def test_an_event_on_which_the_function_fails_is_kept(cloud: RunningCloud) -> None:
    source = log_group(cloud, "/failing")
    function = Recorder(cloud, "failing-subscriber", fails=True)
    function.permit("logs", source)
    subscribe(cloud, "/failing", function, "")
    put(cloud, "/failing", "one")
    (kept,) = wait_for(function.dead_letters)
    assert lines(kept["requestPayload"]) == ["one"]
    assert [lines(event) for event in function.events()] == [["one"]] * 3, "tried twice more"
