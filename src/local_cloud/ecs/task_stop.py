"""A task is drained before it is stopped, and its exit code is its own.

What AWS does: a task that stops is first deregistered from its target groups
(DEACTIVATING) and drains for the deregistration delay; then its containers get
SIGTERM, and SIGKILL after ``stopTimeout``, 30 seconds by default (STOPPING). That is the
same for a deployment, for scaling in and for StopTask
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html,
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html).
What the emulator does: SIGTERM at once, SIGKILL after 5 seconds, exit code 0 whatever
happened; and it asks Docker for the state of every task ten times a second. A command that
cannot be run is a ResourceInitializationError, where AWS says CannotStartContainerError
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html).
"""

from __future__ import annotations

import threading
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud
from local_cloud.ecs.tasks import TaskStopper
from local_cloud.elbv2.target_health import TargetGroups


def apply(cloud: Cloud, groups: TargetGroups) -> TaskStopper:
    ecs = emulator.service("ecs")
    stopper = TaskStopper(ecs, groups)

    def stop_task(data: dict[str, Any]) -> Any:
        cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
        if cluster is None:
            return ecs.error_response_json("ClusterNotFoundException", "Cluster not found.", 400)
        task = ecs._resolve_task(data.get("task", ""), cluster)
        if not task:
            return ecs.error_response_json("InvalidParameterException", "The referenced task was not found.", 400)
        stopper.stop(task, data.get("reason") or "Task stopped by user", "UserInitiated")
        return ecs.json_response({"task": ecs._sanitize(task)})

    def watch_task_lifecycle(task: dict[str, Any], *_: Any) -> None:
        stopper.watch(task)

    def start_awslogs_forwarder(container: Any, definition: dict[str, Any], task_id: str) -> None:
        before = set(threading.enumerate())
        start_forwarder(container, definition, task_id)
        prefix = f"ministack-ecs-awslogs-{task_id[:8]}-"
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith(prefix):
                stopper.forwarding(container.labels["com.amazonaws.ecs.task-arn"], thread)

    def fail_task_start(task: dict[str, Any], client: Any, reason: str) -> None:
        if "OCI runtime create failed" in reason:
            reason = "CannotStartContainerError: " + reason.partition("start container: ")[2]
        fail_start(task, client, reason)

    def close_restored_tasks() -> None:
        # The emulator restores them as STOPPED but still wanted, and lists them as running.
        for _key, task in ecs._tasks.all_items():
            if task["lastStatus"] == "STOPPED" and task["desiredStatus"] != "STOPPED":
                task["desiredStatus"] = "STOPPED"
                task["stopCode"] = "TerminationNotice"
                task["stoppedReason"] = "The local cloud was restarted"

    fail_start = ecs._fail_task_start
    start_forwarder = ecs._start_awslogs_forwarder
    ecs._start_awslogs_forwarder = start_awslogs_forwarder
    ecs._fail_task_start = fail_task_start
    ecs._watch_task_lifecycle = watch_task_lifecycle
    # Watched instead of asked for: see TaskStopper.watch.
    ecs._maybe_mark_stopped = lambda *_: None
    ecs._stop_task = stop_task
    ecs._ACTION_MAP["StopTask"] = stop_task
    cloud.at_start(close_restored_tasks)
    return stopper
