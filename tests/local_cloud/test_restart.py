"""State that outlives a restart of the cloud, after a stop or a kill."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud, docker_client, wait_for
from tests.local_cloud.services import make_service

pytestmark = pytest.mark.local_cloud


def test_services_and_scaling_outlive_a_restart_and_a_kill_leaves_nothing_behind(
    start_cloud: Callable[..., RunningCloud], stub_image: str
) -> None:
    cloud = start_cloud(persist_state=True)
    service = make_service(cloud, stub_image)
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
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    autoscaling.put_scheduled_action(
        **target,
        ScheduledActionName="missed",
        Schedule=f"at({an_hour_ago:%Y-%m-%dT%H:%M:%S})",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 4},
    )
    costs = cloud.client("ce")
    monitor = {"MonitorName": "kept", "MonitorType": "DIMENSIONAL", "MonitorDimension": "SERVICE"}
    costs.create_anomaly_monitor(AnomalyMonitor=monitor)

    def volumes() -> list[Any]:
        label = f"fargate.local={cloud.config.instance}"
        found: list[Any] = docker_client().volumes.list(filters={"label": label})
        return found

    def targets() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
        return found

    def limits() -> tuple[int, int]:
        (target,) = targets()
        return target["MinCapacity"], target["MaxCapacity"]

    def same_again() -> None:
        service.wait(lambda now: now["runningCount"] == 1)
        wait_for(lambda: list(service.target_states().values()) == ["healthy"])
        wait_for(lambda: len(cloud.containers("ministack=ecs")) == 1)
        assert len(volumes()) == 1
        assert service.primary()["rolloutState"] == "COMPLETED"
        found = wait_for(lambda: targets()[0] if limits() == (1, 4) else None)
        assert autoscaling.list_tags_for_resource(ResourceARN=found["ScalableTargetARN"])["Tags"] == {"Name": "kept"}
        (policy,) = autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
        assert policy["TargetTrackingScalingPolicyConfiguration"] == tracking
        assert [found["MonitorName"] for found in costs.get_anomaly_monitors()["AnomalyMonitors"]] == ["kept"]

    assert limits() == (1, 3)
    assert cloud.command("--stop").returncode == 0
    assert not cloud.containers()
    assert not volumes()
    # As if the cloud had been stopped since yesterday: the action became due in between.
    state_file = cloud.config.state_dir / "autoscaling.json"
    state = json.loads(state_file.read_text())
    state["ActionsRunUpTo"] = (an_hour_ago - timedelta(days=1)).isoformat()
    state_file.write_text(json.dumps(state))
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
