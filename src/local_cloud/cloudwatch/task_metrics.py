"""The CPU and the memory that an ECS service uses, measured on its tasks' containers.

What AWS does: ECS measures the tasks of a service every 20 seconds and publishes each minute how much of the task
definition's CPU and memory they use, in percent. The average is over all tasks
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_utilization.html). Fargate publishes no utilization
of a cluster: it belongs to container instances
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cloudwatch-metrics.html).
Without this patch: the emulator publishes neither.

A container may use more CPU here than its task has (``ecs/task_containers.py``). Fargate limits it, so more counts as
100 %.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator, metrics
from local_cloud.core.runtime import Cloud
from local_cloud.core.utilization import CPU, MEMORY, NAMESPACE, Usage, dimensions

logger = logging.getLogger(__name__)

SAMPLES_PER_MINUTE = 3
_SERVICE = "service:"


def apply(cloud: Cloud) -> None:
    cloud.each_minute(Publisher().publish, times=SAMPLES_PER_MINUTE)


class Publisher:
    """Publishes the utilization of each task of a service since the last time."""

    def __init__(self) -> None:
        self._before: dict[str, Usage] = {}

    def publish(self) -> None:
        before, self._before = self._before, {}
        for task in _service_tasks():
            usage = _measure(task)
            if usage is None:
                continue
            self._before[task["taskArn"]] = usage
            earlier = before.get(task["taskArn"])
            if earlier is not None and usage.second > earlier.second:
                where = dimensions(task["clusterArn"].rpartition("/")[2], task["group"].removeprefix(_SERVICE))
                cpu = usage.cpu_percent(earlier, float(task["cpu"]))
                metrics.publish(NAMESPACE, CPU, cpu, "Percent", where)
                metrics.publish(NAMESPACE, MEMORY, usage.memory_percent(float(task["memory"])), "Percent", where)


def _service_tasks() -> list[dict[str, Any]]:
    """Return the running tasks of services."""
    tasks = list(emulator.service("ecs")._tasks.values())
    return [
        task for task in tasks if task["lastStatus"] == "RUNNING" and (task.get("group") or "").startswith(_SERVICE)
    ]


def _measure(task: Mapping[str, Any]) -> Usage | None:
    """Return what a task's containers have used, or None if one of them has just ended."""
    import docker

    client, total = emulator.service("ecs")._get_docker(), None
    try:
        for container in list(task.get("_docker_ids") or []):
            usage = Usage.of(client.api.stats(container, stream=False, one_shot=True))
            total = usage if total is None else total + usage
    except (docker.errors.DockerException, KeyError, ValueError) as error:
        logger.debug("%s: no statistics: %s", task["taskArn"], error)
        return None
    return total
