"""ECS Exec works only if it is enabled and its agent can write.

What AWS does: a task that was started with ``enableExecuteCommand`` gets an SSM agent in each container. The agent
needs folders that it can write to. On a read-only root file system it stops
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html#ecs-exec-considerations), unless
``/managed-agents``, ``/var/lib/amazon/ssm`` and ``/var/log/amazon/ssm`` are writable mounts. AWS documents no list:
users report that these folders are enough (https://github.com/aws/containers-roadmap/issues/1359,
https://github.com/aws-containers/amazon-ecs-exec-checker/issues/71). DescribeTasks shows the agent, and ExecuteCommand
is refused without one that runs.
Without this patch: the emulator shows no agent, and answers ExecuteCommand with a session's address for any task.

No session can be opened: nothing answers at that address.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

WRITTEN = ("/managed-agents", "/var/lib/amazon/ssm", "/var/log/amazon/ssm")

#: The agent's status by its task's status, if the agent can run; in any later status it is STOPPED.
_STATUS = {"PROVISIONING": "PENDING", "PENDING": "PENDING", "ACTIVATING": "PENDING", "RUNNING": "RUNNING"}

REFUSAL = (
    "The execute command failed because execute command was not enabled when the task was run or the execute command "
    "agent isn't running. Wait and try again or run a new task with execute command enabled and try again."
)


@extends("ecs", "DescribeTasks")
def describe_tasks(describe: Handler, data: dict[str, Any]) -> Any:
    answer = describe(data)
    if answer[0] != 200:
        return answer
    document = emulator.parse(answer[2])
    for task in document["tasks"]:
        found = _agents(task)
        for container in task["containers"]:
            if container["name"] in found:
                container["managedAgents"] = found[container["name"]]
    return emulator.service("ecs").json_response(document)


@extends("ecs", "ExecuteCommand")
def execute_command(execute: Handler, data: dict[str, Any]) -> Any:
    ecs = emulator.service("ecs")
    cluster = ecs._resolve_cluster_name(data.get("cluster", "default"))
    task = ecs._resolve_task(data.get("task", ""), cluster) if cluster else None
    if task:
        name = data.get("container") or task["containers"][0]["name"]
        running = [agent for agent in _agents(task).get(name, []) if agent["lastStatus"] == "RUNNING"]
        if not running:
            return ecs.error_response_json("InvalidParameterException", REFUSAL, 400)
    return execute(data)


def managed_agents(task: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return each container's agents, by the container's name. A task that was started without ECS Exec has none.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ManagedAgent.html
    """
    if not task.get("enableExecuteCommand"):
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for container in definition.get("containerDefinitions") or []:
        status, reason = _STATUS.get(str(task.get("lastStatus")), "STOPPED"), why_stopped(container)
        agent = {"name": "ExecuteCommandAgent", "lastStatus": status}
        if status == "RUNNING" and reason:
            agent |= {"lastStatus": "STOPPED", "reason": reason}
        found[container["name"]] = [agent]
    return found


def why_stopped(container: Mapping[str, Any]) -> str:
    """Return why the agent stops in such a container, or an empty string if it can run."""
    if not container.get("readonlyRootFilesystem"):
        return ""
    writable = {
        posixpath.normpath(point.get("containerPath") or "")
        for point in container.get("mountPoints") or []
        if not point.get("readOnly")
    }
    for folder in WRITTEN:
        parents = {folder, *(folder[:end] for end in range(1, len(folder)) if folder[end] == "/")}
        if not parents & writable:
            return f"the root file system is read-only, and {folder} is no writable mount"
    return ""


def _agents(task: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The agents of a task's containers, by the container's name."""
    ecs = emulator.service("ecs")
    definition = ecs._task_defs.get(_revision(task["taskDefinitionArn"])) or {}
    return managed_agents(task, definition)


def _revision(arn: str) -> str:
    return arn.rpartition("/")[2]
