"""src/local_cloud/cloudwatch/function_metrics.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import Recorder

pytestmark = pytest.mark.local_cloud


def count(cloud: RunningCloud, function: str, name: str) -> float:
    end = datetime.now(UTC) + timedelta(hours=1)
    points = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=end - timedelta(hours=2),
        EndTime=end,
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(float(point["Sum"]) for point in points)


def test_each_attempt_of_an_asynchronous_invocation_is_counted(cloud: RunningCloud) -> None:
    function = Recorder(cloud, "counted-failing", fails=True)
    cloud.client("lambda").invoke(FunctionName=function.name, InvocationType="Event", Payload=b"{}")
    wait_for(function.dead_letters, what="the event is given up")
    assert (count(cloud, function.name, "Invocations"), count(cloud, function.name, "Errors")) == (3, 3)


def test_an_answered_invocation_is_counted_once(cloud: RunningCloud) -> None:
    function = Recorder(cloud, "counted")
    cloud.client("lambda").invoke(FunctionName=function.name, Payload=b"{}")
    assert (count(cloud, function.name, "Invocations"), count(cloud, function.name, "Errors")) == (1, 0)
