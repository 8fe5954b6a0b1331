"""The end of an ECS task: draining, SIGTERM and SIGKILL, and detecting that a task ended by itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from local_cloud.core import emulator
from local_cloud.elbv2.target_health import TargetGroups
from local_cloud.elbv2.targets import Target

logger = logging.getLogger(__name__)

DEFAULT_STOP_TIMEOUT_SECONDS = 30
"""https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html, stopTimeout"""
MINIMUM_DRAIN_SECONDS = 0.5
"""Shortest draining time: a load balancer applies a deregistration with a delay, even if that of the group is 0."""
LOG_DRAIN_SECONDS = 30.0
"""Longest wait for a container's last lines to reach the log group."""
_DAEMON_RETRY_SECONDS = 1.0
_KILLED = 137
_OUT_OF_MEMORY_SECONDS = 1.0
"""The engine may report an exit before its cause, a lack of memory: https://github.com/containerd/containerd/pull/12714"""


TARGET_GROUP = "_target_group"
"""The key of a task's target group, and of its deployment's, if the service has two that take turns."""


class TaskStopper:
    """Stops tasks in AWS's order and watches those that run."""

    def __init__(self, ecs: Any, groups: TargetGroups) -> None:
        self._ecs = ecs
        self._groups = groups
        self._observers: list[Callable[[dict[str, Any]], None]] = []
        self._lock = threading.Lock()
        self._exited: dict[str, threading.Event] = {}
        self._forwarders: dict[str, list[threading.Thread]] = {}

    def observe_exits(self, observer: Callable[[dict[str, Any]], None]) -> None:
        """Call ``observer(task)`` when an essential container of a task exits by itself."""
        self._observers.append(observer)

    def forwarding(self, task_arn: str, thread: threading.Thread) -> None:
        """Register a thread that sends a task's log, so that removal waits for it."""
        with self._lock:
            self._forwarders.setdefault(task_arn, []).append(thread)

    def targets(self, task: dict[str, Any]) -> list[tuple[str, Target]]:
        """Return the target groups of the task's service, with the task's target in each."""
        service = self.service_of(task)
        address = self._ecs._task_ip(task)
        if service is None or not address:
            return []
        return [
            (
                task.get(TARGET_GROUP) or balancer["targetGroupArn"],
                Target(address, int(balancer.get("containerPort", 80))),
            )
            for balancer in service.get("loadBalancers") or []
            if balancer.get("targetGroupArn")
        ]

    def service_of(self, task: dict[str, Any]) -> dict[str, Any] | None:
        """Return the service that a task belongs to, or None for a standalone task."""
        group = task.get("group") or ""
        if not group.startswith("service:"):
            return None
        cluster = self._ecs._cluster_name_from_arn(task["clusterArn"])
        service: dict[str, Any] | None = self._ecs._services.get(f"{cluster}/{group.removeprefix('service:')}")
        return service

    def stop(self, task: dict[str, Any], reason: str, code: str) -> bool:
        """Begin to stop a task and return at once. Return False if it is already stopping or stopped."""
        if not self._begin(task, reason, code):
            return False
        emulator.core("concurrency").spawn_background(self._finish, task, thread_name=f"stop-{_task_id(task)}")
        return True

    def watch(self, task: dict[str, Any]) -> None:
        """Wait in threads for the containers of a running task to exit."""
        with self._lock:
            self._exited.setdefault(task["taskArn"], threading.Event())
        for index, container_id in enumerate(list(task.get("_docker_ids") or [])):
            emulator.core("concurrency").spawn_background(
                self._await_exit,
                task,
                index,
                container_id,
                thread_name=f"watch-{_task_id(task)}-{index}",
            )

    def _begin(self, task: dict[str, Any], reason: str, code: str) -> bool:
        ecs = self._ecs
        with emulator.core("concurrency").resource_lock("ecs-task", task["taskArn"]):
            if not ecs._task_is_active(task["taskArn"], task):
                return False
            ecs._bump_task_version(task)
            task["desiredStatus"] = "STOPPED"
            task["stoppingAt"] = ecs._iso()
            task["stoppedReason"] = reason
            task["stopCode"] = code
            if task["lastStatus"] == "RUNNING":
                task["lastStatus"] = "DEACTIVATING"
        ecs.ecs_metadata.set_task_status(task["taskArn"], desired_status="STOPPED")
        self._refresh(task)
        return True

    def _finish(self, task: dict[str, Any], *, drain: bool = True) -> None:
        targets = self.targets(task)
        for group, target in targets:
            self._groups.deregister(group, target)
        if drain and targets and task["lastStatus"] == "DEACTIVATING":
            delay = max(self._groups.deregistration_delay(group) for group, _ in targets)
            exited = self._exited.get(task["taskArn"])
            pause = max(delay, MINIMUM_DRAIN_SECONDS)
            # Draining ends when the task's containers have exited.
            exited.wait(pause) if exited else time.sleep(pause)
        self._set_status(task, "STOPPING")
        self._stop_containers(task)
        self._record_exits(task)
        self._mark_stopped(task)
        self._remove(task)

    def _stop_containers(self, task: dict[str, Any]) -> None:
        """Send all containers SIGTERM (or the image's stop signal), then SIGKILL after ``stopTimeout``."""
        definition = self._ecs._task_defs.get(self._ecs._resolve_td_key(task["taskDefinitionArn"]))
        timeouts = [
            int(container.get("stopTimeout", DEFAULT_STOP_TIMEOUT_SECONDS))
            for container in (definition or {}).get("containerDefinitions", [])
        ]

        def stop(container_id: str, timeout: int) -> None:
            def stop_one(client: Any) -> None:
                client.containers.get(container_id).stop(timeout=timeout)

            self._with_docker(f"stop {container_id[:12]}", stop_one)

        threads = [
            threading.Thread(
                target=stop,
                args=(
                    container_id,
                    timeouts[index] if index < len(timeouts) else DEFAULT_STOP_TIMEOUT_SECONDS,
                ),
                daemon=True,
            )
            for index, container_id in enumerate(list(task.get("_docker_ids") or []))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _record_exits(self, task: dict[str, Any]) -> None:
        for index, container_id in enumerate(list(task.get("_docker_ids") or [])):

            def record(client: Any, index: int = index, container_id: str = container_id) -> None:
                state = client.api.inspect_container(container_id)["State"]
                self._record_exit(task, index, state)

            self._with_docker(f"inspect {container_id[:12]}", record)

    def _record_exit(self, task: dict[str, Any], index: int, state: dict[str, Any]) -> None:
        if state.get("Running") or index >= len(task["containers"]):
            return
        container = task["containers"][index]
        container["lastStatus"] = "STOPPED"
        container["exitCode"] = state["ExitCode"]
        if state.get("OOMKilled"):
            container["reason"] = "OutOfMemoryError: Container killed due to memory usage"

    def _mark_stopped(self, task: dict[str, Any]) -> None:
        ecs = self._ecs
        with emulator.core("concurrency").resource_lock("ecs-task", task["taskArn"]):
            task["executionStoppedAt"] = ecs._iso()
            for status in ("DEPROVISIONING", "STOPPED"):
                ecs._bump_task_version(task)
                task["lastStatus"] = status
            task["stoppedAt"] = ecs._iso()
            for container in task["containers"]:
                container["lastStatus"] = "STOPPED"
        ecs.ecs_metadata.set_task_status(task["taskArn"], known_status="STOPPED")
        ecs._recount_cluster(ecs._cluster_name_from_arn(task["clusterArn"]))
        self._refresh(task)

    def _remove(self, task: dict[str, Any]) -> None:
        """Remove the containers after their last log lines were sent."""
        with self._lock:
            forwarders = self._forwarders.pop(task["taskArn"], [])
            self._exited.pop(task["taskArn"], None)
        for thread in forwarders:
            thread.join(LOG_DRAIN_SECONDS)
        self._ecs._cleanup_task_resources(task, self._ecs._get_docker())

    def _set_status(self, task: dict[str, Any], status: str) -> None:
        with emulator.core("concurrency").resource_lock("ecs-task", task["taskArn"]):
            task["lastStatus"] = status

    def _refresh(self, task: dict[str, Any]) -> None:
        cluster = self._ecs._cluster_name_from_arn(task["clusterArn"])
        self._ecs._refresh_service_state(cluster, task.get("group") or "")

    def _await_exit(self, task: dict[str, Any], index: int, container_id: str) -> None:
        state = self._wait_for_exit(container_id)
        self._record_exit(task, index, state)
        essentials = task.get("_container_essentials") or []
        others_run = any(c["lastStatus"] != "STOPPED" for c in task["containers"])
        if others_run and index < len(essentials) and not essentials[index]:
            return
        event = self._exited.get(task["taskArn"])
        if event is not None:
            event.set()
        if self._begin(task, "Essential container in task exited", "EssentialContainerExited"):
            for observer in self._observers:
                observer(task)
            self._finish(task, drain=False)

    def _wait_for_exit(self, container_id: str) -> dict[str, Any]:
        """Block until the container has ended. An unreachable daemon does not count as its end."""
        import docker

        while True:
            try:
                client = docker.from_env()
                try:
                    # Without a timeout: this connection stays open as long as the container runs.
                    client.api.wait(container_id, timeout=None)
                    state: dict[str, Any] = client.api.inspect_container(container_id)["State"]
                    deadline = time.monotonic() + _OUT_OF_MEMORY_SECONDS
                    while state["ExitCode"] == _KILLED and not state["OOMKilled"] and time.monotonic() < deadline:
                        time.sleep(0.1)
                        state = client.api.inspect_container(container_id)["State"]
                finally:
                    client.close()
            except docker.errors.NotFound:  # removed from outside, by force
                return {"Running": False, "ExitCode": _KILLED}
            except (docker.errors.DockerException, OSError) as error:
                logger.debug("waiting for %s: %s", container_id[:12], error)
                time.sleep(_DAEMON_RETRY_SECONDS)
            else:
                return state

    def _with_docker(self, what: str, action: Callable[[Any], None]) -> None:
        import docker

        client = self._ecs._get_docker()
        if client is None:
            return
        try:
            action(client)
        except docker.errors.NotFound:
            pass
        except (docker.errors.DockerException, OSError) as error:
            logger.warning("cannot %s: %s", what, error)


def _task_id(task: dict[str, Any]) -> str:
    identifier: str = task["taskArn"].rsplit("/", 1)[-1]
    return identifier[:8]
