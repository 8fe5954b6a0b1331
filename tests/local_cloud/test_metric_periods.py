"""A minute of statistics takes as long as a minute of alarms."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud


class Metric:
    """A metric with the values 1, 2 and 3 in three successive seconds of the last whole minute."""

    def __init__(self, cloud: RunningCloud) -> None:
        self._cloudwatch = cloud.client("cloudwatch")
        self.name = f"periods-{uuid.uuid4().hex[:6]}"
        self.begin = datetime.fromtimestamp(time.time() // 60 * 60 - 60, UTC)
        data = [
            {"MetricName": self.name, "Value": number, "Timestamp": self.begin + timedelta(seconds=number)}
            for number in (1, 2, 3)
        ]
        self._cloudwatch.put_metric_data(Namespace="periods", MetricData=data)

    def averages(self) -> list[float]:
        points = self._cloudwatch.get_metric_statistics(
            Namespace="periods",
            MetricName=self.name,
            StartTime=self.begin,
            EndTime=self.begin + timedelta(minutes=1),
            Period=60,
            Statistics=["Average"],
        )["Datapoints"]
        return [point["Average"] for point in sorted(points, key=lambda point: point["Timestamp"])]


def test_a_minute_is_one_datapoint(cloud: RunningCloud) -> None:
    assert Metric(cloud).averages() == [2.0]


@pytest.mark.usefixtures("short_minutes")
def test_short_minutes_are_datapoints_too(cloud: RunningCloud) -> None:
    assert Metric(cloud).averages() == [1.0, 2.0, 3.0]
