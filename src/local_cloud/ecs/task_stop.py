"""A task is drained before it is stopped, and its real exit code is reported.

What AWS does: a task that stops is first deregistered from its target groups (DEACTIVATING) and drains for the
deregistration delay; then its containers get SIGTERM, and SIGKILL after ``stopTimeout``, 30 seconds by default
(STOPPING). Deployments, scaling in and StopTask all stop tasks this way
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html,
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html).
Without this patch: the emulator sends SIGTERM at once and SIGKILL after 5 seconds, always reports the exit code 0, and
polls Docker for the state of every task ten times a second. A command that cannot run is a ResourceInitializationError,
where AWS reports CannotStartContainerError
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html).
"""

from __future__ import annotations

import threading
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install, replaces
from local_cloud.core.runtime import Cloud
from local_cloud.ecs.tasks import TaskStopper
from local_cloud.elbv2.target_health import TargetGroups


def apply(cloud: Cloud, groups: TargetGroups) -> TaskStopper:
    stopper = TaskStopper(emulator.service("ecs"), groups)
    handlers = Handlers(stopper)
    install(handlers)
    cloud.at_start(handlers.close_restored_tasks)
    return stopper


class Handlers:
    """The emulator's functions that start, watch and stop tasks."""

    def __init__(self, stopper: TaskStopper) -> None:
        self._ecs = emulator.service("ecs")
        self._stopper = stopper

    @replaces("ecs", "StopTask")
    @replaces("ecs", "_stop_task")
    def stop_task(self, data: dict[str, Any]) -> Any:
        cluster = self._ecs._resolve_cluster_name(data.get("cluster", "default"))
        if cluster is None:
            return self._ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
        task = self._ecs._resolve_task(data.get("task", ""), cluster)
        if not task:
            return self._ecs.error_response_json("InvalidParameterException", "The referenced task was not found.", 400)
        self._stopper.stop(task, data.get("reason") or "Task stopped by user", "UserInitiated")
        return self._ecs.json_response({"task": self._ecs._sanitize(task)})

    @replaces("ecs", "_watch_task_lifecycle")
    def watch_task_lifecycle(self, task: dict[str, Any], *_: Any) -> None:
        self._stopper.watch(task)

    @replaces("ecs", "_maybe_mark_stopped")
    def maybe_mark_stopped(self, *_: Any) -> None:
        """Do nothing: `TaskStopper.watch` waits for a task's end instead of polling."""

    @extends("ecs", "_start_awslogs_forwarder")
    def start_awslogs_forwarder(
        self, start_forwarder: Handler, container: Any, definition: dict[str, Any], task_id: str
    ) -> None:
        before = set(threading.enumerate())
        start_forwarder(container, definition, task_id)
        prefix = f"ministack-ecs-awslogs-{task_id[:8]}-"
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith(prefix):
                self._stopper.forwarding(container.labels["com.amazonaws.ecs.task-arn"], thread)

    @extends("ecs", "_fail_task_start")
    def fail_task_start(self, fail_start: Handler, task: dict[str, Any], client: Any, reason: str) -> None:
        if "OCI runtime create failed" in reason:
            reason = "CannotStartContainerError: " + reason.partition("start container: ")[2]
        fail_start(task, client, reason)

    def close_restored_tasks(self) -> None:
        # The emulator restores them as STOPPED with desiredStatus RUNNING, and lists them as running.
        for _key, task in self._ecs._tasks.all_items():
            if task["lastStatus"] == "STOPPED" and task["desiredStatus"] != "STOPPED":
                task["desiredStatus"] = "STOPPED"
                task["stopCode"] = "TerminationNotice"
                task["stoppedReason"] = "The local cloud was restarted"
