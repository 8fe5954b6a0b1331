"""A task is in the availability zone of its subnet, and a service's tasks spread over its subnets.

What AWS does: DescribeTasks returns a task's zone
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html). Fargate tries its best to spread a service's
tasks across the zones of its subnets (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html).
Without this patch: every task is in the service's first subnet and in zone a, whatever the subnet's zone is.

Differences from AWS: a new task always gets the subnet with the fewest of the service's tasks, of several the next one
in turn. AWS promises no placement. Tasks are not moved to rebalance zones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends


@extends("ecs", "_sanitize")
def sanitize(sanitize_record: Handler, record: Any) -> Any:
    """Give every task that the API returns its subnet's zone."""
    zone = zone_of(record) if isinstance(record, dict) else None
    return sanitize_record({**record, "availabilityZone": zone} if zone else record)


def zone_of(task: Mapping[str, Any]) -> str | None:
    """Return the zone of a task's subnet; None if the emulator does not know the subnet."""
    subnet = emulator.service("ec2")._subnets.get(task.get("_subnet") or "")
    return str(subnet["AvailabilityZone"]) if subnet else None


def spread(network: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a service's network configuration for its next task, whose subnet is first.

    Args:
        tasks: all tasks of the service, the stopped ones too, in the order of their start.
    """
    awsvpc = network.get("awsvpcConfiguration") or {}
    subnets = awsvpc.get("subnets") or []
    live = Counter(task.get("_subnet") for task in tasks if task["desiredStatus"] != "STOPPED")
    last = tasks[-1].get("_subnet") if tasks else None
    turn = subnets.index(last) + 1 if last in subnets else 0
    in_turn = sorted([*subnets[turn:], *subnets[:turn]], key=live.__getitem__)
    return {**network, "awsvpcConfiguration": {**awsvpc, "subnets": in_turn}} if subnets else dict(network)
