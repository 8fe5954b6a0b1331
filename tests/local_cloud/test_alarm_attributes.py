"""Alarms as Terraform reads them back, in both protocols of CloudWatch."""

from __future__ import annotations

import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud

RATE: list[dict[str, Any]] = [
    {"Id": "rate", "Expression": "100 * errors / 2", "Label": "a <rate>", "ReturnData": True},
    {
        "Id": "errors",
        "ReturnData": False,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/ApplicationELB",
                "MetricName": "HTTPCode_Target_5XX_Count",
                "Dimensions": [{"Name": "LoadBalancer", "Value": "app/x/1"}],
            },
            "Period": 60,
            "Stat": "Sum",
        },
    },
]


def query(cloud: RunningCloud, action: str, **parameters: str) -> str:
    """Send a request in the Query protocol, which Terraform's provider uses."""
    body = urllib.parse.urlencode({"Action": action, "Version": "2010-08-01", **parameters}).encode()
    scope = f"test/20300101/{cloud.config.region}/monitoring/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"}
    request = urllib.request.Request(cloud.config.api_url, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text: str = answer.read().decode()
        return text


def test_an_alarm_on_metric_math_keeps_everything(cloud: RunningCloud) -> None:
    client = cloud.client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="math",
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        EvaluationPeriods=5,
        DatapointsToAlarm=3,
        Threshold=5,
        TreatMissingData="notBreaching",
        AlarmActions=["arn:aws:sns:ap-northeast-2:000000000000:topic"],
        Metrics=RATE,
    )
    (found,) = client.describe_alarms(AlarmNames=["math"])["MetricAlarms"]
    assert found["Metrics"] == RATE
    assert found["ActionsEnabled"] is True
    assert not {"MetricName", "Statistic", "Period"} & set(found)
    text = query(cloud, "DescribeAlarms", **{"AlarmNames.member.1": "math"})
    assert "<Label>a &lt;rate&gt;</Label><ReturnData>true</ReturnData>" in text
    assert "<AlarmActions><member>arn:aws:sns:ap-northeast-2:000000000000:topic</member></AlarmActions>" in text
    assert "<TreatMissingData>notBreaching</TreatMissingData>" in text


def test_the_query_protocol_is_read_as_well(cloud: RunningCloud) -> None:
    query(
        cloud,
        "PutMetricAlarm",
        **{
            "AlarmName": "from-query",
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": "1",
            "Threshold": "1",
            "ActionsEnabled": "false",
            "InsufficientDataActions.member.1": "arn:aws:sns:ap-northeast-2:000000000000:topic",
            "Metrics.member.1.Id": "rate",
            "Metrics.member.1.Expression": "100 * errors / 2",
            "Metrics.member.1.Label": "a <rate>",
            "Metrics.member.1.ReturnData": "true",
            "Metrics.member.2.Id": "errors",
            "Metrics.member.2.ReturnData": "false",
            "Metrics.member.2.MetricStat.Metric.Namespace": "AWS/ApplicationELB",
            "Metrics.member.2.MetricStat.Metric.MetricName": "HTTPCode_Target_5XX_Count",
            "Metrics.member.2.MetricStat.Metric.Dimensions.member.1.Name": "LoadBalancer",
            "Metrics.member.2.MetricStat.Metric.Dimensions.member.1.Value": "app/x/1",
            "Metrics.member.2.MetricStat.Period": "60",
            "Metrics.member.2.MetricStat.Stat": "Sum",
        },
    )
    (found,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["from-query"])["MetricAlarms"]
    assert found["Metrics"] == RATE
    assert found["ActionsEnabled"] is False
    assert found["InsufficientDataActions"] == ["arn:aws:sns:ap-northeast-2:000000000000:topic"]


def test_an_alarm_on_one_metric_has_its_statistic(cloud: RunningCloud) -> None:
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName="simple",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Threshold=60,
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        Statistic="Average",
        Period=60,
    )
    text = query(cloud, "DescribeAlarms", **{"AlarmNames.member.1": "simple"})
    assert "<Statistic>Average</Statistic><Period>60</Period>" in text
