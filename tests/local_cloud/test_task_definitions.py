"""src/local_cloud/ecs/task_definitions.py and task_lists.py: requests that ECS refuses."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud

NAMED = [{"name": "A", "value": "x"}]
SECRET = [{"name": "A", "valueFrom": "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:x-AbCdEf"}]


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"environment": [{"name": "A", "value": "x" * 66_000}]}, "Max allowed length is '65536' bytes"),
        ({"environment": NAMED, "secrets": SECRET}, "set on the container, such as 'A'"),
        ({"secrets": SECRET * 2}, "The secret name must be unique"),
    ],
)
def test_a_definition_is_refused(cloud: RunningCloud, container: dict[str, Any], words: str) -> None:
    ecs = cloud.client("ecs")
    definition = {"name": "app", "image": "none", **container}
    with pytest.raises(ClientError, match=words):
        ecs.register_task_definition(family="refused", containerDefinitions=[definition])
    ecs.register_task_definition(
        family="refused", containerDefinitions=[definition | {"environment": [], "secrets": []}]
    )


def test_started_by_is_the_only_filter_of_a_list(cloud: RunningCloud) -> None:
    ecs = cloud.client("ecs")
    ecs.create_cluster(clusterName="listed")
    with pytest.raises(ClientError, match="startedBy must be the only filter"):
        ecs.list_tasks(cluster="listed", startedBy="me", desiredStatus="RUNNING")
    assert ecs.list_tasks(cluster="listed", startedBy="me")["taskArns"] == []
