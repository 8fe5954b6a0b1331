"""Tasks that use more CPU than the target get others beside them; idle ones are removed, but not while deploying."""

from __future__ import annotations

import itertools
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_ops.ecs.scaling import ScalableTarget
from fargate_ops.incident.causes import Name
from fargate_ops.terraform.stack import ServiceScaling
from local_cloud.core.utilization import CPU, MEMORY, NAMESPACE
from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.services import StubService

pytestmark = pytest.mark.local_cloud

DESIRED_COUNT = "ecs:service:DesiredCount"


@pytest.fixture(scope="module")
def cloud(start_cloud: Callable[..., RunningCloud]) -> RunningCloud:
    """A cloud whose minutes take a second."""
    return start_cloud(minute_seconds=1)


def points(service: StubService, metric: str, since: datetime) -> list[dict[str, Any]]:
    """Return a metric of the service, each second's average and maximum, in their order."""
    found: list[dict[str, Any]] = service.cloud.client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=metric,
        Dimensions=[
            {"Name": "ClusterName", "Value": service.cluster},
            {"Name": "ServiceName", "Value": service.name},
        ],
        StartTime=since,
        EndTime=datetime.now(UTC),
        Period=1,
        Statistics=["Average", "Maximum"],
    )["Datapoints"]
    return sorted(found, key=lambda point: point["Timestamp"])


def calm(service: StubService) -> None:
    """End the use of CPU of every healthy task."""
    for address, state in service.target_states().items():
        if state == "healthy":
            urllib.request.urlopen(f"http://{address}:8000/calm", timeout=10).close()


def low_minutes(service: StubService, since: datetime) -> int:
    """Return for how many minutes up to now the average CPU was below nine tenths of the target."""
    values = [point["Average"] for point in reversed(points(service, CPU, since))]
    return len(list(itertools.takewhile(lambda value: value < 54, values)))


def test_cpu_scales_out_and_in_but_not_in_during_a_deployment(
    cloud: RunningCloud, make: Callable[..., StubService]
) -> None:
    service, began = make(), datetime.now(UTC)
    service.create(service.register(environment={"BURN": "0.4"}), desired=1, healthCheckGracePeriodSeconds=600)
    service.wait_deployed()
    autoscaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{service.cluster}/{service.name}",
        "ScalableDimension": DESIRED_COUNT,
    }
    autoscaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    autoscaling.put_scaling_policy(
        **target,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 60,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
            "ScaleOutCooldown": 60,
            "ScaleInCooldown": 60,
        },
    )
    wait_for(lambda: list(service.target_states().values()) == ["healthy", "healthy"], what="a second task serves")
    assert max(point["Maximum"] for point in points(service, CPU, began)) == 100, "0.4 of a core is more than 256 units"
    assert all(0 < point["Average"] < 100 for point in points(service, MEMORY, began))
    wait_for(lambda: [cause.name for cause in service.causes()] == [Name.CPU_LIMIT], what="make incident names the CPU")

    # A deployment that does not end: its tasks never listen, and their grace period is long.
    service.update(taskDefinition=service.register(environment={"START_SECONDS": "600"}))
    service.wait(lambda now: now["runningCount"] > 2)
    calm(service)
    wait_for(lambda: low_minutes(service, began) > 20, what="20 minutes of low CPU")
    assert service.describe()["desiredCount"] == 2

    cloud.client("ecs").stop_service_deployment(
        serviceDeploymentArn=service.deployment()["serviceDeploymentArn"], stopType="ROLLBACK"
    )
    service.wait(lambda now: now["desiredCount"] == now["runningCount"] == 1)
    activities = autoscaling.describe_scaling_activities(ServiceNamespace="ecs", ResourceId=target["ResourceId"])
    newest, oldest = activities["ScalingActivities"]
    assert "AlarmHigh" in oldest["Cause"]
    assert "AlarmLow" in newest["Cause"]
    output = {"resource_id": target["ResourceId"], "service_namespace": "ecs", "scalable_dimension": DESIRED_COUNT}
    scalable = ScalableTarget(autoscaling, ServiceScaling(output))
    assert scalable.newest_activity() == newest["ActivityId"]
    assert scalable.numbers_after("") == [2, 1]
    autoscaling.deregister_scalable_target(**target)
