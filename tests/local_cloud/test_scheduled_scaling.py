"""Limits change the number of tasks: at once when they are registered, or when a scheduled action becomes due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud
from tests.local_cloud.services import StubService

pytestmark = pytest.mark.local_cloud


def test_limits_start_and_stop_tasks(cloud: RunningCloud, make: Callable[..., StubService]) -> None:
    service = make()
    service.create(service.register(), desired=1)
    service.wait_deployed()
    autoscaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{service.cluster}/{service.name}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    autoscaling.register_scalable_target(**target, MinCapacity=2, MaxCapacity=4)
    assert service.describe()["desiredCount"] == 2
    at = datetime.now(UTC) + timedelta(seconds=5)
    autoscaling.put_scheduled_action(
        **target,
        ScheduledActionName="soon",
        Schedule=f"at({at:%Y-%m-%dT%H:%M:%S})",
        ScalableTargetAction={"MinCapacity": 0, "MaxCapacity": 1},
    )
    service.wait(lambda now: now["desiredCount"] == now["runningCount"] == 1)
    (found,) = autoscaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[target["ResourceId"]])[
        "ScalableTargets"
    ]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (0, 1)
    autoscaling.deregister_scalable_target(**target)


def test_an_unknown_time_zone_is_refused(cloud: RunningCloud) -> None:
    autoscaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/zones/zones",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    autoscaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=1)

    def put(zone: str) -> None:
        autoscaling.put_scheduled_action(
            **target,
            ScheduledActionName="peak",
            Schedule="cron(0 0 28 * ? 2199)",
            Timezone=zone,
            ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 2},
        )

    for unknown in ("Asia/Seuol", "asia/seoul", "KST", "localtime"):
        with pytest.raises(ClientError) as refused:
            put(unknown)
        assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert not autoscaling.describe_scheduled_actions(ServiceNamespace="ecs", ResourceId=target["ResourceId"])[
        "ScheduledActions"
    ]
    put("Pacific/Tahiti")
    autoscaling.deregister_scalable_target(**target)
