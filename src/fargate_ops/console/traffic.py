"""Traffic, errors, latency and database connections of the last hours, from CloudWatch in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import OperationsError
from fargate_ops.terraform.stack import Stack

HOURS = 6
PERIOD_SECONDS = 60
_POINTS = HOURS * 3600 // PERIOD_SECONDS

#: The answers that clients get, the targets' and the load balancer's own. Together they are the requests: RequestCount
#: leaves out those for which there was no target. A count of zero is not reported.
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
_ANSWERS = {
    f"{whose.lower()}_{what}": f"HTTPCode_{whose}_{what.upper()}_Count"
    for whose, classes in (("Target", ("2xx", "3xx", "4xx", "5xx")), ("ELB", ("4xx", "5xx")))
    for what in classes
}
_PERCENTILES = ("p50", "p99")

Points = Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """One value a minute of each series; None: no data. ``times`` are in seconds since 1970.

    ``no_data`` has the reason for each series without a single value.
    """

    period_seconds: int
    times: list[int]
    series: dict[str, list[float | None]]
    no_data: dict[str, str]
    max_connections: int | None


class TrafficReader:
    """Reads the metrics of one environment."""

    def __init__(self, clients: Clients, stack: Stack) -> None:
        self._clients, self._stack = clients, stack

    def read(self, now: datetime) -> Traffic:
        """Return the last hours, with the current minute as far as it is known."""
        end = int(now.timestamp()) // PERIOD_SECONDS * PERIOD_SECONDS
        times = [end - PERIOD_SECONDS * back for back in range(_POINTS - 1, -1, -1)]
        request = {
            "MetricDataQueries": self._queries(),
            "StartTime": datetime.fromtimestamp(times[0], UTC),
            "EndTime": datetime.fromtimestamp(end, UTC) + timedelta(seconds=PERIOD_SECONDS),
            "ScanBy": "TimestampAscending",
        }
        found: dict[str, dict[int, float]] = {}
        for page in self._clients.client("cloudwatch").get_paginator("get_metric_data").paginate(**request):
            for result in page["MetricDataResults"]:
                seconds = (int(moment.timestamp()) for moment in result["Timestamps"])
                found.setdefault(result["Id"], {}).update(zip(seconds, result["Values"], strict=True))
        return self._traffic(times, found)

    @cached_property
    def _load_balancer(self) -> str:
        """The load balancer as CloudWatch names it, ``app/<name>/<id>``."""
        arn = self._stack.target_group_arn
        groups = self._clients.client("elbv2").describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
        arns = [found for group in groups for found in group.get("LoadBalancerArns", [])]
        if not arns:
            raise OperationsError(f"no load balancer forwards to the target group {arn}")
        return str(arns[0]).partition(":loadbalancer/")[2]

    def _queries(self) -> list[dict[str, Any]]:
        http = {"LoadBalancer": self._load_balancer}
        queries = [_query(id_, "AWS/ApplicationELB", name, http, "Sum") for id_, name in _ANSWERS.items()]
        queries += [_query(stat, "AWS/ApplicationELB", "TargetResponseTime", http, stat) for stat in _PERCENTILES]
        if self._stack.has_database:
            instance = {"DBInstanceIdentifier": self._stack.database.instance_identifier}
            queries.append(_query("connections", "AWS/RDS", "DatabaseConnections", instance, "Maximum"))
        return queries

    def _traffic(self, times: Sequence[int], found: Mapping[str, Points]) -> Traffic:
        answers = {id_: found.get(id_, {}) for id_ in _ANSWERS}
        points: dict[str, Points] = {
            "requests": _sum(answers.values()),
            "errors_4xx": _sum(answers.values(), [answers["target_4xx"], answers["elb_4xx"]]),
            "errors_5xx": _sum(answers.values(), [answers["target_5xx"], answers["elb_5xx"]]),
        }
        for stat in _PERCENTILES:
            points[stat] = {moment: round(1000 * seconds, 3) for moment, seconds in found.get(stat, {}).items()}
        no_data = {}
        if self._stack.has_database:
            points["connections"] = found.get("connections", {})
        else:
            no_data["connections"] = "this environment has no database"
        series = {name: [values.get(moment) for moment in times] for name, values in points.items()}
        no_data |= {
            name: f"CloudWatch has no data of the last {HOURS} hours"
            for name, values in series.items()
            if all(value is None for value in values)
        }
        return Traffic(
            period_seconds=PERIOD_SECONDS,
            times=list(times),
            series=series,
            no_data=no_data,
            max_connections=self._stack.database.max_connections if self._stack.has_database else None,
        )


def _query(id_: str, namespace: str, name: str, dimensions: Mapping[str, str], stat: str) -> dict[str, Any]:
    metric = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }
    return {"Id": id_, "MetricStat": {"Metric": metric, "Period": PERIOD_SECONDS, "Stat": stat}}


def _sum(answers: Iterable[Points], of: Iterable[Points] | None = None) -> Points:
    """Return the sum of some counts for each minute that has any answer: then a count without data is zero."""
    everything = list(answers)
    counted = everything if of is None else list(of)
    minutes = {minute for points in everything for minute in points}
    return {minute: sum(points.get(minute, 0.0) for points in counted) for minute in minutes}
