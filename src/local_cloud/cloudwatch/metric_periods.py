"""The periods of GetMetricStatistics are as long as this cloud's minutes.

What AWS does: a datapoint aggregates the values of one period
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html).
Without this patch: a minute of statistics takes 60 seconds, although alarms and scaling have shorter ones
(``core/pace.py``). Start, end and the datapoints' times stay real.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cloud.core.pace import Pace
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud

_DEFAULT_SECONDS = 60


def apply(cloud: Cloud) -> None:
    install(Handlers(cloud.pace))


class Handlers:
    """GetMetricStatistics in all of CloudWatch's protocols."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    @extends("cloudwatch", "_get_metric_statistics")
    def get_metric_statistics(
        self, get: Handler, query: Mapping[str, Any], document: Mapping[str, Any], *protocol: bool
    ) -> Any:
        if any(protocol):
            return get(query, {**document, "Period": self._real(document.get("Period"))}, *protocol)
        values = query.get("Period") or [None]
        return get({**query, "Period": [str(self._real(values[0]))]}, document, *protocol)

    def _real(self, period: Any) -> int:
        """Return how many seconds a period takes here."""
        return max(1, round(self._pace.seconds(int(period or _DEFAULT_SECONDS))))
