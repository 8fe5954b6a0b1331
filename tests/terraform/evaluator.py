"""CloudWatch's evaluation of an alarm, over data points that a test gives: what state would it have?

The rules, from the user guide:

- Metric math (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html), of which only
  what the alarms use is here; anything else is an error, never a guess. Where the guide says too little, both readings
  are kept (`Reading`), and an alarm must be right under each.
- The evaluation range, M of N, missing data
  (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html): more data points than
  N are looked at; real ones are preferred, and only what they lack of N is filled by the setting.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"

#: Values by the second at which their period begins.
Series = dict[int, float]
Value = float | Series | list[Series]
#: Samples by namespace, name and dimensions of their metric: (second, value).
Samples = Mapping[tuple[str, str, frozenset[tuple[str, str]]], Sequence[tuple[int, float]]]

STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Minimum": min,
    "Maximum": max,
    "Average": lambda values: sum(values) / len(values),
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_RELATIONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
    ast.LtE: operator.le,
    ast.Lt: operator.lt,
}


@dataclass(frozen=True)
class Reading:
    """One reading of what the guide leaves open.

    ``fill_empty``: FILL of a metric without a single data point in the range gives the value everywhere, or nothing.
    ``missing_is_zero``: in arithmetic of two series, what one lacks is 0, or the result lacks it.
    ``extra``: how many data points beyond N are looked at.
    """

    fill_empty: bool
    missing_is_zero: bool
    extra: int


READINGS = [Reading(fill, zero, extra) for fill in (True, False) for zero in (True, False) for extra in (0, 2)]


@dataclass(frozen=True)
class Metric:
    """A metric with its statistic, as one query of an alarm asks for it."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]
    statistic: str

    def series(self, samples: Samples, period: int) -> Series:
        """One value for each period that has samples."""
        periods: dict[int, list[float]] = {}
        for second, value in samples.get((self.namespace, self.name, self.dimensions), ()):
            periods.setdefault(second - second % period, []).append(value)
        return {start: STATISTICS[self.statistic](values) for start, values in periods.items()}


@dataclass(frozen=True)
class Alarm:
    """An alarm as Terraform renders it.

    ``queries`` are metrics or expressions by id; ``returned`` is the one that is compared with the threshold.
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
    def from_values(cls, values: Mapping[str, Any]) -> Alarm:
        """From the attributes of an ``aws_cloudwatch_metric_alarm``."""
        queries: dict[str, Metric | str] = {}
        if values["metric_query"]:
            stats = [query["metric"][0] for query in values["metric_query"] if query["metric"]]
            periods = {stat["period"] for stat in stats}
            returned = [query["id"] for query in values["metric_query"] if query["return_data"]]
            assert len(periods) == 1, "metrics of different periods"
            assert len(returned) == 1, "CloudWatch wants exactly one query that returns data"
            for query in values["metric_query"]:
                queries[query["id"]] = query["expression"] or _metric(query["metric"][0], query["metric"][0]["stat"])
            period, result = periods.pop(), returned[0]
        else:
            queries["metric"] = _metric(values, values["statistic"])
            period, result = values["period"], "metric"
        return cls(
            name=values["alarm_name"],
            comparison=values["comparison_operator"],
            threshold=values["threshold"],
            datapoints=values["datapoints_to_alarm"] or values["evaluation_periods"],
            periods=values["evaluation_periods"],
            missing=values["treat_missing_data"],
            period=period,
            queries=queries,
            returned=result,
        )

    def replay(self, samples: Samples, reading: Reading, begin: int, end: int) -> str:
        """The state at ``end`` of an alarm made at ``begin``, evaluated at the end of each period."""
        state = INSUFFICIENT_DATA
        metrics = {
            name: query.series(samples, self.period)
            for name, query in self.queries.items()
            if isinstance(query, Metric)
        }
        breach = COMPARISONS[self.comparison]
        for now in range(begin - begin % self.period + self.period, end + 1, self.period):
            starts = range(now - self.period * (self.periods + reading.extra), now, self.period)
            result = _series(_Range(self.queries, metrics, reading, starts).value(self.returned))
            points = [breach(result[start], self.threshold) if start in result else None for start in starts]
            state = evaluate(points, self.datapoints, self.periods, self.missing, state)
        return state


def _metric(values: Mapping[str, Any], statistic: str) -> Metric:
    dimensions = frozenset((values["dimensions"] or {}).items())
    return Metric(values["namespace"], values["metric_name"], dimensions, statistic)


def evaluate(points: Sequence[bool | None], datapoints: int, periods: int, missing: str, state: str) -> str:
    """The state after one evaluation.

    Args:
        points: the evaluation range, oldest first: breaching, not breaching, or missing.
        datapoints: M of
        periods: N.
        missing: ``treat_missing_data``.
        state: the state until now.
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
                return INSUFFICIENT_DATA if missing == "missing" else state
            # Breaching or missing throughout: ALARM once the oldest breach is as old as M, though fewer are there.
            age = len(points) - points.index(True)
            return ALARM if missing == "missing" and age >= datapoints else state
    raise ValueError(f"CloudWatch knows no treat_missing_data {missing!r}")


@cache
def _parsed(expression: str) -> ast.expr:
    """The syntax that the alarms use is Python's too; what it means is said in `_Range`."""
    return ast.parse(expression, mode="eval").body


class _Range:
    """The queries of one alarm over one evaluation range."""

    def __init__(
        self, queries: Mapping[str, Metric | str], metrics: Mapping[str, Series], reading: Reading, starts: range
    ) -> None:
        self._queries, self._metrics, self._reading, self._starts = queries, metrics, reading, starts

    def value(self, query: str) -> Value:
        asked = self._queries[query]
        if isinstance(asked, Metric):
            known = self._metrics[query]
            return {start: known[start] for start in self._starts if start in known}
        return self._evaluate(_parsed(asked))

    def _evaluate(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.value(name)
            case ast.List(elts=elements):
                return [_series(self._evaluate(element)) for element in elements]
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(_ARITHMETIC[type(op)], self._evaluate(left), self._evaluate(right), self._zero)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                # The guide: what one of two compared series lacks is 0.
                relation = _RELATIONS[type(op)]
                return self._binary(
                    lambda a, b: float(relation(a, b)), self._evaluate(left), self._evaluate(right), True
                )
            case ast.Call(func=ast.Name(id="FILL"), args=[series, ast.Constant(value=int() | float() as filling)]):
                given = _series(self._evaluate(series))
                if not given and not self._reading.fill_empty:
                    return {}
                return {start: given.get(start, float(filling)) for start in self._starts}
            case ast.Call(func=ast.Name(id="SUM"), args=[ast.List() as array]):
                return _sum(self._evaluate(array))
            case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
                return self._choose(*(self._evaluate(part) for part in (condition, then, otherwise)))
        raise NotImplementedError(f"metric math: {ast.unparse(node)}")

    @property
    def _zero(self) -> bool:
        return self._reading.missing_is_zero

    def _binary(self, function: Callable[[float, float], float], left: Value, right: Value, zero: bool) -> Value:
        if isinstance(left, float) and isinstance(right, float):
            return function(left, right)
        result: Series = {}
        for start in self._starts:
            a, b = _at(left, start), _at(right, start)
            if (a is None and b is None) or (not zero and (a is None or b is None)):
                continue
            if (isinstance(left, float) and b is None) or (isinstance(right, float) and a is None):
                continue  # a scalar has no data points of its own
            try:
                result[start] = function(a or 0.0, b or 0.0)
            except ZeroDivisionError:
                continue  # no data point
        return result

    def _choose(self, condition: Value, then: Value, otherwise: Value) -> Value:
        result: Series = {}
        for start, holds in _series(condition).items():
            chosen = _at(then if holds else otherwise, start)
            if chosen is not None:
                result[start] = chosen
        return result


def _series(value: Value) -> Series:
    assert isinstance(value, dict), "a time series is wanted"
    return value


def _sum(array: Value) -> Series:
    """Of an array: at each time, of those that have a data point there."""
    assert isinstance(array, list)
    times = sorted({start for series in array for start in series})
    return {start: sum(series[start] for series in array if start in series) for start in times}


def _at(value: Value, start: int) -> float | None:
    assert not isinstance(value, list), "an array is no operand"
    return value if isinstance(value, float) else value.get(start)
