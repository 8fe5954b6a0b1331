"""Run a command as a one-off task, print its log, and return the outcome."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.aws.pace import POLL_SECONDS
from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError
from fargate_ops.ecs.tasks import OneOff, Runner, TaskError


@dataclass(frozen=True, kw_only=True)
class Request:
    """The task to run: a task definition (ARN, ``family:revision``, family), or else a service's present one."""

    cluster: str
    task_definition: str | None = None
    service: str | None = None
    container: str
    command: str
    environment: Mapping[str, Any]
    subnets: Sequence[str]
    security_groups: Sequence[str]
    started_by: str

    @property
    def words(self) -> list[str]:
        """The command, split as a shell splits it.

        Raises:
            OperationsError: a quotation mark is not closed.
        """
        try:
            return shlex.split(self.command)
        except ValueError as error:
            raise OperationsError(f"the command {self.command!r} cannot be split: {error}", kind=Kind.REFUSED) from None

    @property
    def what(self) -> str:
        return str(self.task_definition or self.service)


def run(
    clients: Clients,
    request: Request,
    say: Callable[[str], None],
    *,
    wait_seconds: float,
    log_grace_seconds: float,
    poll_seconds: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Run the task to its end; return its exit code, stopped reason, output and ARN.

    Raises:
        TaskError: the task could not be started or watched to its end.
        OperationsError: its exit code is not 0.
    """
    ecs, words = clients.client("ecs"), request.words
    name = request.task_definition or _serving(ecs, request.cluster, str(request.service))
    definition = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
    runner = Runner(
        ecs,
        clients.client("logs"),
        say,
        poll_seconds=poll_seconds or POLL_SECONDS,
        log_grace_seconds=log_grace_seconds,
        sleep=sleep,
    )
    task = OneOff(
        cluster=request.cluster,
        task_definition=definition["taskDefinitionArn"],
        container=request.container,
        command=words,
        environment={str(name): str(value) for name, value in request.environment.items()},
        subnets=[str(item) for item in request.subnets],
        security_groups=[str(item) for item in request.security_groups],
        started_by=request.started_by,
    )
    say(f"running {shlex.join(words)} as a task of {definition['family']}:{definition['revision']}")
    finished = runner.follow(task.cluster, task.container, runner.start(task), wait_seconds)
    stop = finished.stop
    result: dict[str, Any] = {
        "exit_code": stop.exit_code,
        "stopped_reason": stop.reason,
        "output": finished.output,
        "task_arn": stop.task_arn,
    }
    message = f"{shlex.join(words)}: {stop}"
    if stop.exit_code != 0:
        raise OperationsError(message, where=stop.task_id, **result)
    return {"msg": message, **result}


def _serving(ecs: Any, cluster: str, service: str) -> str:
    found = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not found:
        raise TaskError(f"there is no service {service} in the cluster {cluster}")
    return str(found[0]["taskDefinition"])
