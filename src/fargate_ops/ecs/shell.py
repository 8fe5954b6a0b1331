"""Build the command that opens a shell in a running task: Ansible itself cannot be interactive."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError


class ShellError(OperationsError):
    """There is no task to open a shell in, or the template names something unknown."""

    kind = Kind.REFUSED


def newest_running(tasks: Sequence[Mapping[str, Any]], revision: str) -> Mapping[str, Any]:
    """Return the newest running task, of the serving revision if it has one.

    Raises:
        ShellError: no task runs.
    """
    running = [task for task in tasks if task.get("lastStatus") == "RUNNING"]
    ours = [task for task in running if task.get("taskDefinitionArn") == revision] or running
    if not ours:
        raise ShellError("no task is running")
    return max(ours, key=lambda task: str(task.get("startedAt", "")))


def require_execute_command(template: str, task: Mapping[str, Any], container: str) -> None:
    """Check that ECS Exec works in a task, if the template of the command uses it.

    The agent starts with the task and may stop later: DescribeTasks returns its state.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ManagedAgent.html

    Raises:
        ShellError: ECS Exec is switched off for this task, or its agent does not run.
    """
    if "execute-command" not in template:
        return
    name = str(task["taskArn"]).rpartition("/")[2]
    if not task.get("enableExecuteCommand"):
        raise ShellError(
            f"task {name} was started without ECS Exec. "
            "Next: set app_execute_command: true in inventory, then make deploy; new tasks have it"
        )
    ours: Mapping[str, Any] = next((item for item in task.get("containers", []) if item.get("name") == container), {})
    agents = [agent for agent in ours.get("managedAgents", []) if agent.get("name") == "ExecuteCommandAgent"]
    status = str(agents[0].get("lastStatus", "PENDING")) if agents else "PENDING"
    if status == "RUNNING":
        return
    reason = str(agents[0].get("reason", "")) if agents else ""
    said = f"{status}: {reason}" if reason else status
    if status == "PENDING":
        raise ShellError(f"ECS Exec's agent in task {name} has not started yet ({said}). Next: repeat in a moment")
    raise ShellError(
        f"ECS Exec's agent in task {name} does not run ({said}). It needs the writable folders that a release mounts "
        "with app_execute_command: true. Next: make release; new tasks start a new agent"
    )


def script(template: str, values: Mapping[str, str]) -> str:
    """Return a POSIX script that executes the command, or reports that its program is not installed.

    ``template`` may name ``{task_arn}``, ``{region}``, ``{cluster}`` and ``{container}``.

    Raises:
        ShellError: it names something else.
    """
    try:
        command = template.format_map(dict(values)).strip()
    except (KeyError, IndexError, ValueError) as error:
        raise ShellError(f"shell_command may name {', '.join(sorted(values))} in braces; it has {error}") from None
    program = command.split(maxsplit=1)[0]
    missing = shlex.quote(
        f"{program} is not installed, and shell_command (inventory) needs it. "
        f"Next: install {program}, then repeat the command"
    )
    return f"#!/bin/sh\ncommand -v {program} >/dev/null || {{ echo {missing} >&2; exit 127; }}\nexec {command}\n"
