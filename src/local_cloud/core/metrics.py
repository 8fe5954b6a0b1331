"""The metrics that the emulator's CloudWatch keeps: the local cloud's parts publish them, alarms and scaling read them.

The functions act in the account and region of the current request scope. A metric is exactly its namespace, name and
dimensions, as on AWS
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#dimension-combinations).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.metric_statistics import Sample, Series, series

MetricId = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions."""

KEPT_SECONDS = 86_400.0
"""How long the local cloud's own metrics are kept. AWS keeps them for 15 months, ever less exactly."""


def metric(namespace: str, name: str, dimensions: Mapping[str, str]) -> MetricId:
    return namespace, name, frozenset(dimensions.items())


def publish(
    namespace: str,
    name: str,
    value: float,
    unit: str,
    dimensions: Mapping[str, str],
    *,
    at: float | None = None,
    count: float = 1.0,
) -> None:
    """Report a value, `count` times. `at` is when it was measured, in seconds since the epoch; None is now."""
    cloudwatch = emulator.service("cloudwatch")
    points = cloudwatch._metric_bucket((namespace, name, cloudwatch._dims_key(dict(dimensions))))
    now = time.time()
    points.append(
        {
            "Timestamp": now if at is None else at,
            "Value": float(value),
            "Count": float(count),
            "Unit": unit,
            "Dimensions": dict(dimensions),
        }
    )
    while points[0]["Timestamp"] < now - KEPT_SECONDS:
        del points[0]


def samples(wanted: MetricId, since: float) -> list[Sample]:
    """Return what was reported at `since` or later."""
    namespace, name, dimensions = wanted
    cloudwatch = emulator.service("cloudwatch")
    points = cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dict(dimensions)))) or []
    return [_sample(point) for point in list(points) if point["Timestamp"] >= since]


def statistics(wanted: MetricId, statistic: str, *, period: float, periods: int, end: float | None = None) -> Series:
    """Return a metric's statistic for the last periods, of which those without data are left out.

    Args:
        statistic: ``Average``, ``Sum``, ``Minimum``, ``Maximum``, ``SampleCount`` or a percentile, as ``p99``.
        period: its length in real seconds; ``cloud.pace.seconds(60)`` for a minute.
        end: the end of the last period, in seconds since the epoch; None is now.
    """
    end = time.time() if end is None else end
    return series(statistic, samples(wanted, end - period * periods), period=period, end=end)


def _sample(point: Mapping[str, Any]) -> Sample:
    counted = point.get("_stat")
    if counted is None:
        return Sample.of(point["Timestamp"], point["Value"], point.get("Count", 1.0))
    count, total, low, high = (float(counted.get(name, 0)) for name in ("SampleCount", "Sum", "Minimum", "Maximum"))
    return Sample(point["Timestamp"], count, total, low, high)
