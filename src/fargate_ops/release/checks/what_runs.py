"""Check that running tasks use the current resources, and that their credentials log in to the database."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.ecs.one_off import service_task
from fargate_ops.ecs.rollout import Deployment
from fargate_ops.ecs.tasks import Finished, Runner, TaskError
from fargate_ops.release.checks.findings import Finding, Verdict
from fargate_ops.release.connections import are_exhausted
from fargate_ops.release.stale_tasks import stale_tasks
from fargate_ops.terraform.stack import Stack

GROUP = "what runs"
WAIT_SECONDS = 180.0
#: Exit code of a command that does not know its arguments, as of argparse and click.
USAGE = 2

Say = Callable[[str], None]


def tasks(clients: Clients, stack: Stack, environment: str, primary: Deployment) -> list[Finding]:
    """Check that the tasks log, are targets, and have the secrets' current values."""
    found = partial(Finding, group=GROUP, subject=primary.revision_name)
    wrong = stale_tasks(clients, stack, primary)
    if not wrong:
        return [found(verdict=Verdict.OK, reason="its tasks log, are targets, and have the current secrets")]
    way = f"make deploy ENV={environment}, which replaces the tasks"
    return [found(verdict=Verdict.FAIL, reason=item.reason, next_command=way) for item in wrong]


def login(
    clients: Clients,
    stack: Stack,
    environment: str,
    primary: Deployment,
    command: Sequence[str],
    say: Say,
    poll_seconds: float,
    sleep: Any,
) -> Finding:
    """Check that the database accepts the credentials that ECS gives to a running task.

    A one-off task of the same definition tries them with this command, so they are not revealed.
    """
    found = partial(Finding, group=GROUP, subject="database")
    runner = Runner(clients.client("ecs"), clients.client("logs"), say, poll_seconds=poll_seconds, sleep=sleep)
    try:
        finished = runner.run(service_task(stack, primary.revision, command, purpose="login"), WAIT_SECONDS)
    except (TaskError, ClientError, BotoCoreError) as error:
        return found(verdict=Verdict.SKIP, reason=f"whether its credentials log in is not known: {error}")
    verdict, reason, way = _judged(finished, environment, command)
    return found(verdict=verdict, reason=reason, next_command=way)


def _judged(finished: Finished, environment: str, command: Sequence[str]) -> tuple[Verdict, str, str]:
    said = " ".join(finished.output[-1:])
    if finished.stop.exit_code == 0:
        return Verdict.OK, "its credentials log in", ""
    if are_exhausted(finished.output):
        return Verdict.WARN, "it has no connection left, so whether the credentials log in is not known", ""
    if finished.stop.exit_code == USAGE or "No module named" in said:
        return Verdict.SKIP, f"whether its credentials log in is not known: this image has no {shlex.join(command)}", ""
    reason = f"its credentials do not log in: {said or finished.stop}"
    mend = f"make deploy ENV={environment}, which gives the database the password that is in the secret"
    renew = f"make rotate-secret ENV={environment} ARGS='-e rotate_older_than_days=0'"
    return Verdict.FAIL, reason, f"{mend}; or, for a new password, {renew}"
