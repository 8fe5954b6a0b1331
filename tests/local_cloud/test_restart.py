"""What outlives a restart of the cloud, orderly or not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud, docker_client, wait_for
from tests.local_cloud.services import make_service

pytestmark = pytest.mark.local_cloud


def test_services_and_scaling_outlive_a_restart_and_a_kill_leaves_nothing_behind(
    start_cloud: Callable[..., RunningCloud], tools_image: str
) -> None:
    cloud = start_cloud(persist_state=True)
    service = make_service(cloud, tools_image)
    mount = {"mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch"}]}
    service.create(service.register(definition=mount, volumes=[{"name": "scratch"}]), desired=1)
    service.wait_deployed()
    before = service.tasks()[0]["taskArn"]
    autoscaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{service.cluster}/{service.name}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    autoscaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=3, Tags={"Name": "kept"})
    tracking = {
        "TargetValue": 60.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
    }
    autoscaling.put_scaling_policy(
        **target,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    costs = cloud.client("ce")
    monitor = {"MonitorName": "kept", "MonitorType": "DIMENSIONAL", "MonitorDimension": "SERVICE"}
    costs.create_anomaly_monitor(AnomalyMonitor=monitor)

    def volumes() -> list[Any]:
        label = f"settlement.local={cloud.config.instance}"
        found: list[Any] = docker_client().volumes.list(filters={"label": label})
        return found

    def same_again() -> None:
        service.wait(lambda now: now["runningCount"] == 1)
        wait_for(lambda: list(service.target_states().values()) == ["healthy"])
        wait_for(lambda: len(cloud.containers("ministack=ecs")) == 1)
        assert len(volumes()) == 1
        assert service.primary()["rolloutState"] == "COMPLETED"
        (found,) = autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 3)
        assert autoscaling.list_tags_for_resource(ResourceARN=found["ScalableTargetARN"])["Tags"] == {"Name": "kept"}
        (policy,) = autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
        assert policy["TargetTrackingScalingPolicyConfiguration"] == tracking
        assert [found["MonitorName"] for found in costs.get_anomaly_monitors()["AnomalyMonitors"]] == ["kept"]

    assert cloud.command("--stop").returncode == 0
    assert not cloud.containers()
    assert not volumes()
    assert cloud.command("--detach").returncode == 0
    same_again()
    (running,) = service.tasks()
    assert running["taskArn"] != before
    assert service.tasks("STOPPED")[0]["stoppedReason"] == "The local cloud was restarted"

    os.kill(int(cloud.config.pid_file.read_text()), signal.SIGKILL)
    wait_for(lambda: cloud.command("--status").stdout.startswith('{"running": false'))
    assert cloud.containers("ministack=ecs")  # orphans of the killed cloud
    result = cloud.command("--detach")
    assert result.returncode == 0, result.stderr
    same_again()
