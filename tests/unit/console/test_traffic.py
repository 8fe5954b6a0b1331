"""Series of the last hours: what has data, what is zero, and what has none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_ops.console.traffic import HOURS, TrafficReader
from fargate_ops.core.problem import OperationsError
from fargate_ops.terraform.stack import Stack

NOW = datetime(2026, 11, 30, 21, 0, 30, tzinfo=UTC)
MINUTE = datetime(2026, 11, 30, 20, 59, tzinfo=UTC)
OUTPUTS = {"target_group_arn": "tg", "database": {"instance_identifier": "app-test", "max_connections": 210}}
ARN = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/app-test/f00"


@dataclass
class Aws:
    """CloudWatch and the load balancer; ``data`` are the values of one minute, by the metric's id."""

    data: dict[str, float] = field(default_factory=dict)
    balancers: list[str] = field(default_factory=lambda: [ARN])
    asked: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def client(self, _: str) -> Aws:
        return self

    def describe_target_groups(self, **_: Any) -> Any:
        self.calls.append("groups")
        return {"TargetGroups": [{"LoadBalancerArns": self.balancers}]}

    def get_paginator(self, _: str) -> Aws:
        return self

    def paginate(self, **request: Any) -> Any:
        self.calls.append("metrics")
        self.asked = request["MetricDataQueries"]
        for id_, value in self.data.items():  # a page for each
            yield {"MetricDataResults": [{"Id": id_, "Timestamps": [MINUTE], "Values": [value]}]}


def test_a_minute_with_answers_has_no_error_and_one_without_has_no_data() -> None:
    aws = Aws({"target_2xx": 90.0, "elb_5xx": 3.0, "target_5xx": 1.0, "p50": 0.0042, "connections": 21.0})
    traffic = TrafficReader(aws, Stack(OUTPUTS, "test")).read(NOW)
    assert len(traffic.times) == HOURS * 60
    assert {later - earlier for earlier, later in zip(traffic.times, traffic.times[1:], strict=False)} == {60}
    assert traffic.times[-2] == int(MINUTE.timestamp())
    last = {name: values[-3:] for name, values in traffic.series.items()}
    assert last == {
        "requests": [None, 94.0, None],
        "errors_4xx": [None, 0.0, None],
        "errors_5xx": [None, 4.0, None],
        "p50": [None, 4.2, None],
        "p99": [None, None, None],
        "connections": [None, 21.0, None],
    }
    assert traffic.no_data == {"p99": f"CloudWatch has no data of the last {HOURS} hours"}
    assert traffic.max_connections == 210


def test_all_metrics_are_one_call_and_the_load_balancer_is_read_once() -> None:
    aws = Aws({})
    reader = TrafficReader(aws, Stack(OUTPUTS, "test"))
    assert set(reader.read(NOW).no_data) == {"requests", "errors_4xx", "errors_5xx", "p50", "p99", "connections"}
    reader.read(NOW)
    assert aws.calls == ["groups", "metrics", "metrics"]
    named = {query["Id"]: query["MetricStat"] for query in aws.asked}
    assert named["p99"]["Stat"] == "p99"
    assert named["p99"]["Metric"]["Dimensions"] == [{"Name": "LoadBalancer", "Value": "app/app-test/f00"}]
    assert named["connections"]["Metric"]["Dimensions"] == [{"Name": "DBInstanceIdentifier", "Value": "app-test"}]


def test_without_a_database_there_are_no_connections() -> None:
    aws = Aws({"target_2xx": 1.0})
    traffic = TrafficReader(aws, Stack({"target_group_arn": "tg"}, "test")).read(NOW)
    assert "connections" not in traffic.series
    assert traffic.no_data["connections"] == "this environment has no database"
    assert traffic.max_connections is None
    assert "connections" not in {query["Id"] for query in aws.asked}


def test_a_target_group_without_a_load_balancer_is_an_error() -> None:
    with pytest.raises(OperationsError, match="no load balancer forwards to the target group tg"):
        TrafficReader(Aws(balancers=[]), Stack(OUTPUTS, "test")).read(NOW)
