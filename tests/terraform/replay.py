"""Alarms as Terraform renders them, replayed over data points that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from local_cloud.cloudwatch.alarm_evaluator import INSUFFICIENT_DATA, Alarm
from local_cloud.cloudwatch.metric_math import Reading
from local_cloud.core.metric_statistics import Sample, Series, series
from local_cloud.core.metrics import MetricId

MINUTE = 60
#: Samples by their metric.
Samples = Mapping[MetricId, Sequence[Sample]]

READINGS = [
    Reading(fill_empty=fill, missing_is_zero=zero, extra=extra)
    for fill, zero, extra in product((True, False), (True, False), (0, 2))
]


def rendered_alarm(values: Mapping[str, Any]) -> Alarm:
    """From the attributes of an ``aws_cloudwatch_metric_alarm``, as the provider passes them to PutMetricAlarm."""
    record: dict[str, Any] = {
        "AlarmName": values["alarm_name"],
        "ComparisonOperator": values["comparison_operator"],
        "Threshold": values["threshold"],
        "DatapointsToAlarm": values["datapoints_to_alarm"],
        "EvaluationPeriods": values["evaluation_periods"],
        "TreatMissingData": values["treat_missing_data"],
    }
    if values["metric_query"]:
        record["Metrics"] = [_query(query) for query in values["metric_query"]]
    else:
        statistic = {"Statistic": values["statistic"], "ExtendedStatistic": values["extended_statistic"]}
        record |= {
            **_metric(values),
            **{key: name for key, name in statistic.items() if name},
            "Period": values["period"],
        }
    return Alarm.from_api(record)


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    common = {"Id": query["id"], "ReturnData": bool(query["return_data"])}
    if query["expression"]:
        return common | {"Expression": query["expression"]}
    (metric,) = query["metric"]
    return common | {"MetricStat": {"Metric": _metric(metric), "Stat": metric["stat"], "Period": metric["period"]}}


def _metric(values: Mapping[str, Any]) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in (values["dimensions"] or {}).items()]
    return {"Namespace": values["namespace"], "MetricName": values["metric_name"], "Dimensions": dimensions}


def replay(alarm: Alarm, samples: Samples, reading: Reading, begin: int, end: int) -> str:
    """Return the state at `end` of an alarm made at `begin`, evaluated every minute."""
    state = INSUFFICIENT_DATA
    known: dict[int, dict[str, Series]] = {}
    for now in range(begin - begin % MINUTE + MINUTE, end + 1, MINUTE):
        # Evaluations a whole number of periods apart have the same periods.
        later = (end - now) // alarm.period
        last = now + later * alarm.period
        if last not in known:
            known[last] = {
                name: series(metric.statistic, samples.get(metric.id, ()), period=alarm.period, end=last)
                for name, metric in alarm.metrics.items()
            }
        found = {
            name: {number + later: value for number, value in values.items() if number + later < 0}
            for name, values in known[last].items()
        }
        state = alarm.evaluate(found, state, reading).state
    return state
