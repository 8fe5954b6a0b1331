"""The new tasks of a deployment in progress: which failed, whether any can start, what their logs contain."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from fargate_ops.aws.retry import TransientErrors
from fargate_ops.ecs.failure_report import STOPPED_TASKS, cannot_start, failed_by_themselves, stopped_tasks
from fargate_ops.ecs.rollout import Deployment, Failures, Say
from fargate_ops.ecs.tasks import Stop, describe_tasks, list_tasks, log_stream, private_address, tail
from fargate_ops.release.connections import are_exhausted

#: Number of tasks, the newest, whose logs are read at each poll, and lines of each.
LOGS_READ = 2
LOG_LINES = 20
#: Attempts to end sessions: those just used are not idle yet.
FREE_ATTEMPTS = 3
#: PostgreSQL's message, plain or in a line of JSON. A task reads its secrets only when it starts.
WRONG_PASSWORD = re.compile(r'password authentication failed for user \\?"[^"\\]+')
#: An RDS Proxy may refuse a new password for a moment: a new refusal has to appear at so many polls.
REFUSED_LOOKS = 3


class NewTasks:
    """Inspects one deployment's tasks.

    ``free`` ends the idle sessions of the tasks with these addresses and returns whether any was ended.
    """

    def __init__(
        self,
        ecs: Any,
        logs: Any,
        *,
        cluster: str,
        service: str,
        container: str,
        deployment: Deployment,
        say: Say,
        free: Callable[[Sequence[str]], bool],
    ) -> None:
        self._ecs, self._logs = ecs, logs
        self._cluster, self._service, self._container = cluster, service, container
        self._deployment = deployment
        self._say = say
        self._free = free
        self._attempts = FREE_ATTEMPTS
        self._refused_looks = 0
        # A transient error must not undo the deployment that has just begun; the waits tolerate them too.
        self._before = {stop.task_arn for stop in TransientErrors(say).tolerate(self._failed) or ()}
        self._reported: set[str] = set()
        self._read: set[str] = set()
        self.exhausted = False

    def look(self) -> Failures:
        """Return the tasks that failed, and print each once. Free database connections if there are none for them."""
        stops = [stop for stop in self._failed() if stop.task_arn not in self._before]
        new = [stop for stop in stops if stop.task_arn not in self._reported]
        for stop in new[-STOPPED_TASKS:]:
            self._say(f"  a new task stopped: {stop.task_id}: {stop.brief}")
        self._reported.update(stop.task_arn for stop in new)
        arns = list_tasks(self._ecs, self._cluster, serviceName=self._service)
        tasks = describe_tasks(self._ecs, self._cluster, arns)
        lines = self._lines(tasks, [stop.task_arn for stop in new])
        if are_exhausted(lines):
            self.exhausted = True
            if self._free_connections(tasks):
                # They failed because there was no connection: only later failures count.
                self._before |= self._reported
                self._reported.clear()
                return Failures()
        return Failures(len(self._reported), cannot_start(stops) or self._refused(lines))

    def _free_connections(self, tasks: Sequence[Mapping[str, Any]]) -> bool:
        """End idle sessions of the old tasks. Return whether any was ended; after that, do it no more."""
        if not self._attempts:
            return False
        self._attempts -= 1
        ended = self._free([private_address(task) for task in tasks if not self._is_new(task)])
        self._attempts *= not ended
        return ended

    def _refused(self, lines: Sequence[str]) -> str:
        """Return the database's refusal of their password, if it was repeated; else an empty string."""
        said = next((found[0].replace("\\", "") for line in lines if (found := WRONG_PASSWORD.search(line))), "")
        self._refused_looks += bool(said)
        return f'the database says: {said}"' if said and self._refused_looks >= REFUSED_LOOKS else ""

    def _is_new(self, task: Mapping[str, Any]) -> bool:
        """Return whether this deployment started the task: the old tasks may have the same revision."""
        return bool(task.get("startedBy") == self._deployment.id)

    def _lines(self, tasks: Sequence[Mapping[str, Any]], stopped: Sequence[str]) -> list[str]:
        """Return what the newest of them, and those that stopped, have logged since the last poll."""
        new = sorted((task for task in tasks if self._is_new(task)), key=lambda task: str(task.get("createdAt")))
        arns = [*stopped, *(str(task["taskArn"]) for task in new)][-LOGS_READ:]
        streams = (log_stream(self._definition, self._container, arn) for arn in arns)
        lines = [line for stream in streams for line in tail(self._logs, stream, LOG_LINES)]
        fresh = [line for line in lines if line not in self._read]
        self._read.update(fresh)
        return fresh

    @cached_property
    def _definition(self) -> dict[str, Any]:
        found = self._ecs.describe_task_definition(taskDefinition=self._deployment.revision)
        definition: dict[str, Any] = found["taskDefinition"]
        return definition

    def _failed(self) -> list[Stop]:
        return failed_by_themselves(
            stopped_tasks(self._ecs, self._cluster, self._service, self._deployment.revision, self._container)
        )
