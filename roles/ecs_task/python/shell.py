"""The command that opens a shell in a running task: Ansible itself cannot be interactive."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any


class ShellError(Exception):
    """There is no task to open a shell in, or the template names something unknown."""


def newest_running(tasks: Sequence[Mapping[str, Any]], revision: str) -> str:
    """The ARN of the running task that started last, of the revision that serves if there is one.

    Raises:
        ShellError: no task runs.
    """
    running = [task for task in tasks if task.get("lastStatus") == "RUNNING"]
    ours = [task for task in running if task.get("taskDefinitionArn") == revision] or running
    if not ours:
        raise ShellError("no task is running")
    return str(max(ours, key=lambda task: str(task.get("startedAt", "")))["taskArn"])


def script(template: str, values: Mapping[str, str]) -> str:
    """A POSIX script that replaces itself by the command, or says that its program is not installed.

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
