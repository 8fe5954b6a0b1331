"""src/local_cloud/cloudwatch/log_filters.py"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud

LINES = [json.dumps({"level": "ERROR", "status": 500}), json.dumps({"level": "INFO", "status": 404}), "an error"]


@pytest.fixture(scope="module")
def logs(cloud: RunningCloud) -> Any:
    """A log group with three lines."""
    client = cloud.client("logs")
    client.create_log_group(logGroupName="/filtered")
    client.create_log_stream(logGroupName="/filtered", logStreamName="0")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in LINES]
    client.put_log_events(logGroupName="/filtered", logStreamName="0", logEvents=events)
    return client


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("", [0, 1, 2]), ('"ERROR"', [0]), ('" 4"', [1]), ('{ $.level = "ERROR" }', [0]), ("error", [2])],
)
def test_the_events_that_match_are_returned(logs: Any, pattern: str, found: list[int]) -> None:
    events = logs.filter_log_events(logGroupName="/filtered", filterPattern=pattern)["events"]
    assert [LINES.index(event["message"]) for event in events] == found


def test_a_pattern_that_aws_refuses_is_refused(logs: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidParameterException.*Invalid filter pattern"):
        logs.filter_log_events(logGroupName="/filtered", filterPattern="level:")
