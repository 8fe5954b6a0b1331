"""CloudWatch's evaluation of an alarm, without any I/O.

Sources:

- An alarm is evaluated every minute, over a window that ends then
  (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html).
- The evaluation range, M of N, missing data
  (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html): more data points than
  N are looked at; real ones are preferred, and only what they lack of N is filled by the setting.
- The reason of a state (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_StateUpdate.html).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local_cloud.cloudwatch.metric_math import Range, Reading
from local_cloud.core.metric_statistics import Series
from local_cloud.core.metrics import MetricId, metric

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
_WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanOrEqualToThreshold": "less than or equal to",
    "LessThanThreshold": "less than",
}
_TREATED = {"notBreaching": "NonBreaching", "breaching": "Breaching", "missing": "Missing", "ignore": "Ignored"}


@dataclass(frozen=True)
class Metric:
    """A metric with its statistic, as one query of an alarm asks for it."""

    id: MetricId
    statistic: str


@dataclass(frozen=True)
class Evaluation:
    """The state after an evaluation, and the data points of the evaluation range, the oldest first."""

    state: str
    points: tuple[float | None, ...]


@dataclass(frozen=True)
class Alarm:
    """A metric alarm. Its period is in seconds.

    `queries` are metrics or expressions by id; `returned` is the one that is compared with the threshold. `datapoints`
    and `periods` are M of N.
    """

    name: str
    comparison: str
    threshold: float
    datapoints: int
    periods: int
    missing: str
    period: int
    queries: Mapping[str, Metric | str]
    returned: str

    @classmethod
    def from_api(cls, record: Mapping[str, Any]) -> Alarm:
        """Read an alarm as DescribeAlarms returns it.

        Raises:
            NotImplementedError: the alarm has an anomaly detector, or metrics of different periods.
        """
        comparison = record["ComparisonOperator"]
        if comparison not in COMPARISONS:
            raise NotImplementedError(f"comparison {comparison}")
        queries: dict[str, Metric | str] = {}
        if record.get("Metrics"):
            periods = set()
            for query in record["Metrics"]:
                if query.get("Expression"):
                    queries[query["Id"]] = query["Expression"]
                else:
                    stat = query["MetricStat"]
                    queries[query["Id"]] = Metric(_metric_id(stat["Metric"]), stat["Stat"])
                    periods.add(int(stat["Period"]))
            returned = [query["Id"] for query in record["Metrics"] if query.get("ReturnData", True)]
            if len(periods) != 1 or len(returned) != 1:
                raise NotImplementedError("metrics of different periods, or not exactly one query that returns data")
            period, result = periods.pop(), returned[0]
        else:
            queries["metric"] = Metric(_metric_id(record), record.get("ExtendedStatistic") or record["Statistic"])
            period, result = int(record["Period"]), "metric"
        return cls(
            name=record["AlarmName"],
            comparison=comparison,
            threshold=float(record["Threshold"]),
            datapoints=int(record.get("DatapointsToAlarm") or record["EvaluationPeriods"]),
            periods=int(record["EvaluationPeriods"]),
            missing=record.get("TreatMissingData") or "missing",
            period=period,
            queries=queries,
            returned=result,
        )

    @property
    def metrics(self) -> dict[str, Metric]:
        return {name: query for name, query in self.queries.items() if isinstance(query, Metric)}

    def evaluate(self, series: Mapping[str, Series], before: str, reading: Reading | None = None) -> Evaluation:
        """Return the state over the series of its `metrics`, of which period -1 is the last; `before` is the state
        until now.

        Raises:
            NotImplementedError: an expression is not known, see ``metric_math``.
        """
        reading = reading or Reading()
        looked_at = range(-self.periods - reading.extra, 0)
        expressions = {name: query for name, query in self.queries.items() if isinstance(query, str)}
        found = Range(expressions, series, reading, looked_at).series(self.returned)
        points = tuple(found.get(period) for period in looked_at)
        breach = COMPARISONS[self.comparison]
        breaching = [None if point is None else breach(point, self.threshold) for point in points]
        return Evaluation(next_state(breaching, self.datapoints, self.periods, self.missing, before), points)

    def reason(self, evaluation: Evaluation, before: str, end: float, period: float) -> str:
        """Return CloudWatch's words for a new state: `end` is that of the last period, which took `period` seconds."""
        if evaluation.state == INSUFFICIENT_DATA:
            return f"Insufficient Data: {_count(self.periods, 'datapoint', 'was', 'were')} unknown."
        starts = [end - ago * period for ago in range(len(evaluation.points), 0, -1)]
        real = [(point, start) for point, start in zip(evaluation.points, starts, strict=True) if point is not None][
            -self.periods :
        ]
        is_alarm = evaluation.state == ALARM
        breach = COMPARISONS[self.comparison]
        cause = [item for item in real if breach(item[0], self.threshold) is is_alarm]
        if not cause:
            none = f"no datapoints were received for {_count(self.periods, 'period')} and " if not real else ""
            unknown = _count(self.periods - len(real), "missing datapoint", "was", "were")
            return f"Threshold Crossed: {none}{unknown} treated as [{_TREATED[self.missing]}]."
        shown = ", ".join(
            f"{point!r} ({datetime.fromtimestamp(start, UTC):%d/%m/%y %H:%M:%S})" for point, start in reversed(cause)
        )
        was = "was" if len(cause) == 1 else "were"
        needed = self.datapoints if is_alarm else self.periods - self.datapoints + 1
        return (
            f"Threshold Crossed: {len(cause)} out of the last {_count(self.periods, 'datapoint')} [{shown}] "
            f"{was if is_alarm else f'{was} not'} {_WORDS[self.comparison]} the threshold ({self.threshold!r}) "
            f"(minimum {_count(needed, 'datapoint')} for {before} -> {evaluation.state} transition)."
        )


def next_state(points: Sequence[bool | None], datapoints: int, periods: int, missing: str, before: str) -> str:
    """Return the state after one evaluation.

    Args:
        points: the evaluation range, the oldest first: breaching, not breaching, or missing.
        datapoints: M of
        periods: N.
        missing: ``TreatMissingData``.
        before: the state until now.
    """
    # Real points are preferred, further back if need be; then no setting matters.
    real = [point for point in points if point is not None][-periods:]
    lacking = periods - len(real)
    breaching = real.count(True)
    if lacking == 0 or breaching >= datapoints:
        return ALARM if breaching >= datapoints else OK
    match missing:
        case "notBreaching":
            return OK
        case "breaching":
            return ALARM if breaching + lacking >= datapoints else OK
        case "missing" | "ignore":
            if False in real:
                return OK
            if not real:
                return INSUFFICIENT_DATA if missing == "missing" else before
            # Breaching or missing throughout: ALARM once the oldest breach is as old as M, though fewer are there.
            age = len(points) - points.index(True)
            return ALARM if missing == "missing" and age >= datapoints else before
    raise ValueError(f"CloudWatch knows no treat_missing_data {missing!r}")


def _metric_id(record: Mapping[str, Any]) -> MetricId:
    dimensions = {item["Name"]: item["Value"] for item in record.get("Dimensions") or []}
    return metric(record["Namespace"], record["MetricName"], dimensions)


def _count(number: int, noun: str, one: str = "", many: str = "") -> str:
    return f"{number} {noun}{'' if number == 1 else 's'} {one if number == 1 else many}".rstrip()
