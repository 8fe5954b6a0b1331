"""src/local_cloud/moto_server/cost_explorer.py: monitors and subscriptions as Terraform creates and reads them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud

SERVICES = {"MonitorName": "services", "MonitorType": "DIMENSIONAL", "MonitorDimension": "SERVICE"}
TOPIC = {"Type": "SNS", "Address": "arn:aws:sns:ap-northeast-2:000000000000:warning"}


def test_a_monitor_and_its_subscription(cloud: RunningCloud) -> None:
    client = cloud.client("ce")
    monitor = client.create_anomaly_monitor(
        AnomalyMonitor=SERVICES, ResourceTags=[{"Key": "ManagedBy", "Value": "terraform"}]
    )["MonitorArn"]
    with pytest.raises(ClientError, match="Limit exceeded on dimensional spend monitor creation"):
        client.create_anomaly_monitor(AnomalyMonitor=SERVICES | {"MonitorName": "second"})
    (found,) = client.get_anomaly_monitors(MonitorArnList=[monitor])["AnomalyMonitors"]
    assert (found["MonitorName"], found["MonitorDimension"]) == ("services", "SERVICE")
    assert client.list_tags_for_resource(ResourceArn=monitor)["ResourceTags"][0]["Key"] == "ManagedBy"

    wanted: dict[str, Any] = {
        "SubscriptionName": "slack",
        "MonitorArnList": [monitor],
        "Subscribers": [TOPIC],
        "Frequency": "IMMEDIATE",
    }
    with pytest.raises(ClientError, match="A topic is notified immediately"):
        client.create_anomaly_subscription(AnomalySubscription=wanted | {"Frequency": "DAILY"})
    subscription = client.create_anomaly_subscription(AnomalySubscription=wanted)["SubscriptionArn"]
    client.update_anomaly_subscription(SubscriptionArn=subscription, SubscriptionName="slack-2")
    (found,) = client.get_anomaly_subscriptions(MonitorArn=monitor)["AnomalySubscriptions"]
    assert (found["SubscriptionName"], found["Frequency"]) == ("slack-2", "IMMEDIATE")

    client.delete_anomaly_subscription(SubscriptionArn=subscription)
    client.delete_anomaly_monitor(MonitorArn=monitor)
    with pytest.raises(client.exceptions.UnknownMonitorException):
        client.get_anomaly_monitors(MonitorArnList=[monitor])


def test_costs_are_what_was_put_into_motos_queue(cloud: RunningCloud) -> None:
    """The report of costs uses the same address."""
    answer = cloud.client("ce").get_cost_and_usage(
        TimePeriod={"Start": "2026-01-01", "End": "2026-02-01"}, Granularity="MONTHLY", Metrics=["UnblendedCost"]
    )
    assert answer["ResultsByTime"] == []
