"""The evaluation of alarms against the tables of the user guide, and the metric math that it refuses.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from local_cloud.cloudwatch.alarm_evaluator import ALARM, INSUFFICIENT_DATA, OK, Alarm, Evaluation, Metric, next_state
from local_cloud.cloudwatch.metric_math import Reading
from local_cloud.core.metric_statistics import Sample, series, statistic
from local_cloud.core.metrics import metric

KEPT = "the state until now"
SETTINGS = ("missing", "ignore", "breaching", "notBreaching")


@pytest.mark.parametrize(
    ("datapoints", "points", "states"),
    [
        (3, "0 - X - X", (OK, OK, OK, OK)),
        (3, "- - - - 0", (OK, OK, OK, OK)),
        (3, "- - - - -", (INSUFFICIENT_DATA, KEPT, ALARM, OK)),
        (3, "0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
        (3, "- - X - -", (ALARM, KEPT, ALARM, OK)),
        (2, "0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 - X - -", (OK, OK, ALARM, OK)),
        (2, "- - - - 0", (OK, OK, ALARM, OK)),
        (2, "- - - X -", (ALARM, KEPT, ALARM, OK)),
    ],
)
def test_m_of_three_with_five_looked_at(datapoints: int, points: str, states: tuple[str, ...]) -> None:
    read = [{"0": False, "X": True, "-": None}[point] for point in points.split()]
    for setting, state in zip(SETTINGS, states, strict=True):
        for before in (OK, ALARM):
            expected = before if state == KEPT else state
            assert next_state(read, datapoints, 3, setting, before) == expected, setting


def test_a_setting_that_cloudwatch_does_not_know() -> None:
    with pytest.raises(ValueError, match="treat_missing_data"):
        next_state([None], 1, 1, "unknown", OK)


def alarm(expression: str) -> Alarm:
    queries: dict[str, Metric | str] = {"result": expression}
    queries |= {name: Metric(metric("N", name, {}), "Sum") for name in ("a", "b")}
    return Alarm("name", "GreaterThanThreshold", 1.5, 1, 1, "missing", 60, queries, "result")


def state(expression: str, reading: Reading | None = None, **metrics: float) -> str:
    found = {name: {-1: metrics[name]} if name in metrics else {} for name in ("a", "b")}
    return alarm(expression).evaluate(found, INSUFFICIENT_DATA, reading).state


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a * b", ALARM),
        ("a - b", OK),
        ("a / (b - 3)", INSUFFICIENT_DATA),
        ("SUM([a, b])", ALARM),
        ("IF(a > 1, b, 0)", ALARM),
        ("IF(a > 1, 0, b)", OK),
    ],
)
def test_metric_math(expression: str, expected: str) -> None:
    assert state(expression, a=2.0, b=3.0) == expected


@pytest.mark.parametrize(
    "expression", ["AVG([a, b])", "a ** b", "FILL(a, REPEAT)", "SUM(a)", "-a", "a != b", "1", "[a] + b", "a &&"]
)
def test_metric_math_that_is_not_known_is_refused(expression: str) -> None:
    with pytest.raises(NotImplementedError, match="metric math"):
        state(expression, a=1.0, b=1.0)


def test_what_the_guide_leaves_open_is_read_both_ways() -> None:
    states = {
        (fill, zero): state("a + FILL(b, 0)", Reading(fill_empty=fill, missing_is_zero=zero, extra=0), a=2.0)
        for fill in (True, False)
        for zero in (True, False)
    }
    assert states == {
        (True, True): ALARM,
        (True, False): ALARM,
        (False, True): ALARM,
        (False, False): INSUFFICIENT_DATA,
    }


RECORD: Mapping[str, Any] = {
    "AlarmName": "cpu",
    "Namespace": "AWS/RDS",
    "MetricName": "CPUUtilization",
    "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": "one"}],
    "Statistic": "Average",
    "Period": 300,
    "EvaluationPeriods": 3,
    "Threshold": 80,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
}


def test_an_alarm_of_the_api_on_one_metric() -> None:
    read = Alarm.from_api(RECORD)
    assert read.metrics == {
        "metric": Metric(metric("AWS/RDS", "CPUUtilization", {"DBInstanceIdentifier": "one"}), "Average")
    }
    assert (read.datapoints, read.periods, read.period) == (3, 3, 300)
    percentile = Alarm.from_api({**RECORD, "ExtendedStatistic": "p99", "DatapointsToAlarm": 2})
    assert (percentile.metrics["metric"].statistic, percentile.datapoints) == ("p99", 2)


def test_an_alarm_that_cannot_be_evaluated_is_refused() -> None:
    stat = {"Metric": {"Namespace": "N", "MetricName": "M"}, "Stat": "Sum"}
    queries = [{"Id": f"m{period}", "MetricStat": {**stat, "Period": period}} for period in (60, 300)]
    for record in ({"ComparisonOperator": "GreaterThanUpperThreshold"}, {"Metrics": queries}):
        with pytest.raises(NotImplementedError):
            Alarm.from_api({**RECORD, **record})


@pytest.mark.parametrize(
    ("points", "before", "after", "reason"),
    [
        (
            (81.0, 90.5, 80.0),
            OK,
            ALARM,
            "Threshold Crossed: 3 out of the last 3 datapoints [80.0 (01/01/70 00:10:00), 90.5 (01/01/70 00:05:00), "
            "81.0 (01/01/70 00:00:00)] were greater than or equal to the threshold (80.0) "
            "(minimum 3 datapoints for OK -> ALARM transition).",
        ),
        (
            (81.0, 90.5, 79.0),
            ALARM,
            OK,
            "Threshold Crossed: 1 out of the last 3 datapoints [79.0 (01/01/70 00:10:00)] was not greater than or "
            "equal to the threshold (80.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        (
            (None, None, None),
            ALARM,
            OK,
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
            "[NonBreaching].",
        ),
        ((90.5, None, None), ALARM, OK, "Threshold Crossed: 2 missing datapoints were treated as [NonBreaching]."),
        ((None, None, None), OK, INSUFFICIENT_DATA, "Insufficient Data: 3 datapoints were unknown."),
    ],
)
def test_the_reason_is_cloudwatchs(points: tuple[float | None, ...], before: str, after: str, reason: str) -> None:
    assert Alarm.from_api(RECORD).reason(Evaluation(after, points), before, 900, 300) == reason


def test_only_the_alarms_own_range_counts() -> None:
    ancient = {"metric": {-6: 99.0, -5: 99.0, -4: 99.0}}
    read = replace(Alarm.from_api(RECORD), missing="missing")
    assert read.evaluate(ancient, OK).state == ALARM  # two data points more than N are looked at, "- -" are not real
    assert read.evaluate({"metric": {-7: 99.0, -6: 99.0}}, OK).state == INSUFFICIENT_DATA


def test_statistics_of_a_period() -> None:
    samples = [Sample.of(0, 1.0), Sample.of(1, 4.0, 3), Sample(2, 2, 20.0, 8.0, 12.0)]
    found = {name: statistic(name, samples) for name in ("SampleCount", "Sum", "Average", "Minimum", "Maximum")}
    assert found == {"SampleCount": 6, "Sum": 33, "Average": 5.5, "Minimum": 1, "Maximum": 12}


@pytest.mark.parametrize(
    ("name", "value"), [("p0", 1), ("p50", 50.5), ("p99", 99.01), ("p99.9", 99.901), ("p100", 100)]
)
def test_a_percentile_lies_between_the_nearest_ranks(name: str, value: float) -> None:
    each = [Sample.of(0, float(number)) for number in range(100, 0, -1)]
    assert statistic(name, each) == pytest.approx(value)


def test_a_value_that_was_seen_often_weighs_as_much() -> None:
    assert statistic("p99", [Sample.of(0, 0.01, 99), Sample.of(0, 5.0, 1)]) == pytest.approx(0.0599)
    assert statistic("p99", [Sample.of(0, 0.01, 90), Sample.of(0, 5.0, 10)]) == 5.0


def test_a_percentile_that_cloudwatch_does_not_have() -> None:
    assert statistic("p99", [Sample.of(0, -1.0)]) is None
    assert statistic("p99", [Sample(0, 2, 3.0, 1.0, 2.0)]) is None
    for name in ("p101", "tm99", "IQM"):
        with pytest.raises(NotImplementedError):
            statistic(name, [Sample.of(0, 1.0)])


def test_periods_end_with_the_window() -> None:
    samples = [Sample.of(second, 1.0) for second in (0, 59.9, 60, 89, 90, 149, 150)]
    assert series("Sum", samples, period=60, end=150) == {-3: 1, -2: 3, -1: 2}
