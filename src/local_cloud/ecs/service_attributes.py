"""A service returns every attribute that it was created or updated with.

What AWS does: DescribeServices returns them all; ``availabilityZoneRebalancing`` is ENABLED unless CreateService says
otherwise (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html).
Without this patch: the emulator drops some, so that Terraform plans the same change forever.
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

KEPT = (
    "availabilityZoneRebalancing",
    "enableECSManagedTags",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
    "serviceRegistries",
)


@extends("ecs", "CreateService")
def create_service(create: Handler, data: dict[str, Any]) -> Any:
    return _keep(create(data), data, {"availabilityZoneRebalancing": "ENABLED"})


@extends("ecs", "UpdateService")
def update_service(update: Handler, data: dict[str, Any]) -> Any:
    return _keep(update(data), data, {})


def _keep(answer: Any, data: dict[str, Any], defaults: dict[str, Any]) -> Any:
    """Add the request's attributes to the service in the answer."""
    if answer[0] != 200:
        return answer
    ecs = emulator.service("ecs")
    document = emulator.parse(answer[2])
    name, cluster = document["service"]["serviceName"], document["service"]["clusterArn"].rpartition("/")[2]
    service = ecs._services[f"{cluster}/{name}"]
    kept = {**defaults, **{field: data[field] for field in KEPT if data.get(field) is not None}}
    service.update(kept)
    document["service"].update(kept)
    return ecs.json_response(document)
