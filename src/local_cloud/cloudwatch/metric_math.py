"""Metric math over one evaluation range, without any I/O.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html. Only what the project's alarms
use is here; anything else is an error, never a guess. Where the guide says too little there is a `Reading`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from local_cloud.core.metric_statistics import Series

Value = float | Series | list[Series]

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
    ``extra``: how many data points beyond N an alarm looks at.
    """

    fill_empty: bool = True
    missing_is_zero: bool = False
    extra: int = 2


class Range:
    """The queries of one alarm over one evaluation range: expressions, and the series of metrics, by their ids."""

    def __init__(
        self, expressions: Mapping[str, str], series: Mapping[str, Series], reading: Reading, periods: range
    ) -> None:
        self._expressions, self._series, self._reading, self._periods = expressions, series, reading, periods

    def series(self, query: str) -> Series:
        """Return the data points of a query.

        Raises:
            NotImplementedError: its expression has a function or an operator that is not known.
        """
        return _series(self._value(query))

    def _value(self, query: str) -> Value:
        if query in self._expressions:
            return self._evaluate(_parsed(self._expressions[query]))
        known = self._series[query]
        return {period: known[period] for period in self._periods if period in known}

    def _evaluate(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self._value(name)
            case ast.List(elts=elements):
                return [_series(self._evaluate(element)) for element in elements]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return self._binary(_ARITHMETIC[type(op)], self._evaluate(left), self._evaluate(right), self._zero)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _RELATIONS:
                # The guide: what one of two compared series lacks is 0.
                relation = _RELATIONS[type(op)]
                return self._binary(
                    lambda a, b: float(relation(a, b)), self._evaluate(left), self._evaluate(right), True
                )
            case ast.Call(func=ast.Name(id="FILL"), args=[series, ast.Constant(value=int() | float() as filling)]):
                given = _series(self._evaluate(series))
                if not given and not self._reading.fill_empty:
                    return {}
                return {period: given.get(period, float(filling)) for period in self._periods}
            case ast.Call(func=ast.Name(id="SUM"), args=[ast.List() as array]):
                return _sum([_series(self._evaluate(element)) for element in array.elts])
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
        for period in self._periods:
            a, b = _at(left, period), _at(right, period)
            if (a is None and b is None) or (not zero and (a is None or b is None)):
                continue
            if (isinstance(left, float) and b is None) or (isinstance(right, float) and a is None):
                continue  # a scalar has no data points of its own
            try:
                result[period] = function(a or 0.0, b or 0.0)
            except ZeroDivisionError:
                continue  # no data point
        return result

    def _choose(self, condition: Value, then: Value, otherwise: Value) -> Value:
        result: Series = {}
        for period, holds in _series(condition).items():
            chosen = _at(then if holds else otherwise, period)
            if chosen is not None:
                result[period] = chosen
        return result


@cache
def _parsed(expression: str) -> ast.expr:
    """The syntax that the alarms use is Python's too; what it means is said in `Range`."""
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise NotImplementedError(f"metric math: {expression}") from error


def _series(value: Value) -> Series:
    if not isinstance(value, dict):
        raise NotImplementedError(f"metric math: a time series is wanted, not {value}")
    return value


def _sum(array: list[Series]) -> Series:
    """Of an array: at each time, of those that have a data point there."""
    periods = sorted({period for series in array for period in series})
    return {period: sum(series[period] for series in array if period in series) for period in periods}


def _at(value: Value, period: int) -> float | None:
    if isinstance(value, list):
        raise NotImplementedError("metric math: an array is no operand")
    return value if isinstance(value, float) else value.get(period)
