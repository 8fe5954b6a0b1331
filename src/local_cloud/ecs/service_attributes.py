"""A service keeps every attribute that it is created or updated with.

What AWS does: DescribeServices returns them all; ``availabilityZoneRebalancing`` is
ENABLED unless CreateService says otherwise
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html).
What the emulator does: it drops some, so that Terraform sees a difference for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud

KEPT = (
    "availabilityZoneRebalancing",
    "enableECSManagedTags",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
    "serviceRegistries",
)


def apply(cloud: Cloud) -> None:
    ecs = emulator.service("ecs")

    def keeping(handler: Callable[[dict[str, Any]], Any], defaults: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
        def handle(data: dict[str, Any]) -> Any:
            answer = handler(data)
            if answer[0] != 200:
                return answer
            document = emulator.parse(answer[2])
            name, cluster = document["service"]["serviceName"], document["service"]["clusterArn"].rpartition("/")[2]
            service = ecs._services[f"{cluster}/{name}"]
            kept = {**defaults, **{field: data[field] for field in KEPT if data.get(field) is not None}}
            service.update(kept)
            document["service"].update(kept)
            return ecs.json_response(document)

        return handle

    actions = ecs._ACTION_MAP
    actions["CreateService"] = keeping(actions["CreateService"], {"availabilityZoneRebalancing": "ENABLED"})
    actions["UpdateService"] = keeping(actions["UpdateService"], {})
