"""A metric alarm returns every attribute, including its metric math.

What AWS does: DescribeAlarms returns every attribute of PutMetricAlarm; an alarm on metric math has ``Metrics`` and no
metric, statistic or period of its own
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html).
Without this patch: the emulator drops ``Metrics``, and in the Query protocol, which Terraform uses, returns no action,
statistic or period, so that Terraform plans the same change forever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, unescape

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

_METRIC_MEMBER = re.compile(r"<member><AlarmName>(.*?)</AlarmName>.*?</member>", re.DOTALL)
_OF_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit")
_TEXT_FIELDS = (
    "AlarmName",
    "AlarmArn",
    "AlarmDescription",
    "StateValue",
    "StateReason",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
)
_LIST_FIELDS = ("AlarmActions", "OKActions", "InsufficientDataActions")


@extends("cloudwatch", "_put_metric_alarm")
def put_metric_alarm(
    put: Handler, params: dict[str, Any], data: dict[str, Any], is_cbor: bool, is_json: bool = False
) -> Any:
    cloudwatch = emulator.service("cloudwatch")
    answer = put(params, data, is_cbor, is_json)
    flat = {key: cloudwatch._p(params, key) for key in params}
    query = not (is_cbor or is_json)
    alarm = cloudwatch._alarms.get(flat.get("AlarmName") if query else data.get("AlarmName"))
    if answer[0] != 200 or alarm is None:
        return answer
    if query:
        alarm["InsufficientDataActions"] = list(_strings(flat, "InsufficientDataActions.member"))
    metrics = list(_metrics(flat)) if query else data.get("Metrics")
    if metrics:
        alarm["Metrics"] = metrics
        for field in _OF_ONE_METRIC:
            alarm.pop(field, None)
    return answer


@extends("cloudwatch", "_describe_alarms")
def describe_alarms(
    describe: Handler, params: dict[str, Any], data: dict[str, Any], is_cbor: bool, is_json: bool = False
) -> Any:
    cloudwatch = emulator.service("cloudwatch")
    status, headers, body = describe(params, data, is_cbor, is_json)
    if is_cbor or is_json or status != 200:
        return status, headers, body
    text = body.decode() if isinstance(body, bytes) else body
    start, metric_alarms, end = re.split(r"(?<=<MetricAlarms>)(.*)(?=</MetricAlarms>)", text, maxsplit=1, flags=re.S)
    metric_alarms = _METRIC_MEMBER.sub(lambda member: alarm_xml(cloudwatch._alarms[unescape(member[1])]), metric_alarms)
    return status, headers, (start + metric_alarms + end).encode()


def alarm_xml(alarm: Mapping[str, Any]) -> str:
    """Return one member of ``MetricAlarms`` in the Query protocol."""
    parts = [_element(name, alarm[name]) for name in _TEXT_FIELDS if alarm.get(name) not in (None, "")]
    parts.append(_element("ActionsEnabled", alarm.get("ActionsEnabled", True)))
    parts += [_list(name, [escape(action) for action in alarm.get(name) or []]) for name in _LIST_FIELDS]
    parts.append(_list("Dimensions", [_dimension(item) for item in alarm.get("Dimensions") or []]))
    if alarm.get("Metrics"):
        parts.append(_list("Metrics", [_metric_xml(metric) for metric in alarm["Metrics"]]))
    return f"<member>{''.join(parts)}</member>"


def _metric_xml(query: Mapping[str, Any]) -> str:
    parts = [
        _element(name, query[name]) for name in ("Id", "Expression", "Label", "Period", "AccountId") if name in query
    ]
    parts.append(_element("ReturnData", query.get("ReturnData", True)))
    stat = query.get("MetricStat")
    if stat:
        metric = stat["Metric"]
        inner = _element("Namespace", metric["Namespace"]) + _element("MetricName", metric["MetricName"])
        inner += _list("Dimensions", [_dimension(item) for item in metric.get("Dimensions") or []])
        inner = f"<Metric>{inner}</Metric>"
        inner += "".join(_element(name, stat[name]) for name in ("Period", "Stat", "Unit") if name in stat)
        parts.append(f"<MetricStat>{inner}</MetricStat>")
    return "".join(parts)


def _metrics(flat: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Return ``Metrics.member.N`` of a Query request in the form of the JSON protocol."""
    for prefix in _members(flat, "Metrics.member"):
        query: dict[str, Any] = {
            name: flat[f"{prefix}.{name}"]
            for name in ("Id", "Expression", "Label", "AccountId")
            if f"{prefix}.{name}" in flat
        }
        if f"{prefix}.Period" in flat:
            query["Period"] = int(flat[f"{prefix}.Period"])
        query["ReturnData"] = flat.get(f"{prefix}.ReturnData", "true") == "true"
        stat = f"{prefix}.MetricStat"
        if f"{stat}.Stat" in flat:
            query["MetricStat"] = {
                "Metric": {
                    "Namespace": flat[f"{stat}.Metric.Namespace"],
                    "MetricName": flat[f"{stat}.Metric.MetricName"],
                    "Dimensions": [
                        {"Name": flat[f"{item}.Name"], "Value": flat[f"{item}.Value"]}
                        for item in _members(flat, f"{stat}.Metric.Dimensions.member")
                    ],
                },
                "Period": int(flat[f"{stat}.Period"]),
                "Stat": flat[f"{stat}.Stat"],
                **({"Unit": flat[f"{stat}.Unit"]} if f"{stat}.Unit" in flat else {}),
            }
        yield query


def _members(flat: Mapping[str, str], prefix: str) -> list[str]:
    """Yield the prefixes ``<prefix>.1``, ``<prefix>.2``, … of a Query request."""
    numbers = {int(key[len(prefix) + 1 :].split(".")[0]) for key in flat if key.startswith(f"{prefix}.")}
    return [f"{prefix}.{number}" for number in sorted(numbers)]


def _strings(flat: Mapping[str, str], prefix: str) -> Iterator[str]:
    for key in _members(flat, prefix):
        yield flat[key]


def _dimension(item: Mapping[str, str]) -> str:
    return _element("Name", item["Name"]) + _element("Value", item["Value"])


def _list(name: str, members: list[str]) -> str:
    return f"<{name}>{''.join(f'<member>{member}</member>' for member in members)}</{name}>"


def _element(name: str, value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"
