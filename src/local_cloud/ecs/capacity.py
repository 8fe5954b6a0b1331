"""Fargate can be without capacity, and then starts no task.

What AWS does: RunTask returns a failure instead of a task
(https://repost.aws/knowledge-center/ecs-fargate-runtask-capacity). A service has the event that it was unable to place
a task, and ECS tries again
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html). Tasks that run stay.
Without this patch: there is always capacity.

Differences from AWS: a switch of the running cloud takes the capacity away, in all zones at once
(``python -m local_cloud.daemon --capacity off``). ECS tries again every few seconds.
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud

_UNAVAILABLE = "Capacity is unavailable at this time. Please try again later or in a different availability zone"


def apply(cloud: Cloud) -> None:
    install(Handlers(cloud))


class Handlers:
    """The start of tasks, by RunTask and by services."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @extends("ecs", "RunTask")
    @extends("ecs", "_run_task")
    def run_task(self, run: Handler, data: dict[str, Any]) -> Any:
        if self._cloud.has_capacity:
            return run(data)
        return emulator.service("ecs").json_response({"tasks": [], "failures": [{"reason": _UNAVAILABLE}]})
