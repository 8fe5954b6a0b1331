"""Statistics of CloudWatch over reported values, without any I/O.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Series = dict[int, float]
"""Values by period: -1 is the last one, -2 the one before it."""

_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d{1,10})?)", re.IGNORECASE)


@dataclass(frozen=True)
class Sample:
    """What was reported at one moment: one value, `count` times, or a statistic set."""

    second: float
    count: float
    total: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, second: float, value: float, count: float = 1.0) -> Sample:
        return cls(second, count, value * count, value, value)

    @property
    def is_one_value(self) -> bool:
        return self.minimum == self.maximum


def statistic(name: str, samples: Sequence[Sample]) -> float | None:
    """Return the statistic of the samples of one period, of which there is at least one.

    Returns:
        None if CloudWatch has no value: a percentile of negative values, or of statistic sets.

    Raises:
        NotImplementedError: the statistic is not one of the five basic ones, and no percentile.
    """
    count = sum(sample.count for sample in samples)
    match name:
        case "SampleCount":
            return count
        case "Sum":
            return sum(sample.total for sample in samples)
        case "Average":
            return sum(sample.total for sample in samples) / count
        case "Minimum":
            return min(sample.minimum for sample in samples)
        case "Maximum":
            return max(sample.maximum for sample in samples)
    percent = _PERCENTILE.fullmatch(name)
    if percent is None or float(percent[1]) > 100:
        raise NotImplementedError(f"statistic {name!r}")
    if any(not sample.is_one_value or sample.minimum < 0 for sample in samples):
        return None
    return _percentile([(sample.minimum, sample.count) for sample in samples], float(percent[1]))


def series(name: str, samples: Iterable[Sample], *, period: float, end: float) -> Series:
    """Return the statistic of each period that has samples. The last period ends at `end`, exclusively."""
    periods: dict[int, list[Sample]] = {}
    for sample in samples:
        if sample.second < end and sample.count > 0:
            periods.setdefault(math.floor((sample.second - end) / period), []).append(sample)
    values = {number: statistic(name, group) for number, group in sorted(periods.items())}
    return {number: value for number, value in values.items() if value is not None}


def _percentile(values: list[tuple[float, float]], percent: float) -> float:
    """Interpolate between the two nearest ranks of values, each of which stands there as often as its count says."""
    values.sort()
    rank = percent / 100 * (sum(count for _, count in values) - 1)

    def at(index: float) -> float:
        seen = 0.0
        for value, count in values:
            seen += count
            if index < seen:
                return value
        return values[-1][0]

    below = float(int(max(0.0, rank)))
    low, high = at(below), at(below + 1)
    return low + (high - low) * max(0.0, rank - below)
