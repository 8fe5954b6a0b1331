"""What ECS refuses of a task definition: patches/task_definitions.py."""

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
