"""src/local_cloud/moto_server/costs.py and rds/rds_engine_versions.py, as the report of costs uses them."""

from __future__ import annotations

import json
import urllib.request

import pytest

from fargate_ops.drill import cost_surge as surge
from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud


def test_costs_are_what_was_put_there_beside_what_moto_stores(cloud: RunningCloud) -> None:
    config = cloud.config
    document = surge.document(config.account_id, config.region)
    address = f"http://127.0.0.1:{config.autoscaling_port}/_costs"
    request = urllib.request.Request(address, data=json.dumps(document).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=60).close()
    answer = cloud.client("ce").get_cost_and_usage(
        TimePeriod={"Start": "2026-11-18", "End": "2026-11-19"}, Granularity="DAILY", Metrics=["UnblendedCost"]
    )
    (day,) = answer["ResultsByTime"]
    assert day["Groups"][0]["Metrics"]["UnblendedCost"] == {"Amount": "134.010", "Unit": "USD"}
    assert cloud.client("eks").list_clusters()["clusters"] == ["drill-old", "drill-new"]
    idle = cloud.client("compute-optimizer").get_idle_recommendations()["idleRecommendations"]
    assert [item["resourceType"] for item in idle] == ["NatGateway"]
    # moto still answers the other operations.
    scaling = cloud.client("application-autoscaling")
    assert "ScalableTargets" in scaling.describe_scalable_targets(ServiceNamespace="ecs")


def test_major_versions_say_when_they_leave_standard_support(cloud: RunningCloud) -> None:
    (version,) = cloud.client("rds").describe_db_major_engine_versions(Engine="postgres", MajorEngineVersion="17")[
        "DBMajorEngineVersions"
    ]
    standard, extended = version["SupportedEngineLifecycles"]
    assert standard["LifecycleSupportName"] == "open-source-rds-standard-support"
    assert standard["LifecycleSupportEndDate"].date() < extended["LifecycleSupportStartDate"].date()
