"""What the role's actions share: how an action becomes a `Context`, and its errors a failed task."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.ecs.rollout import ServiceError
from fargate_ops.notify.slack import Assignment, Notifier
from fargate_ops.plugin.worker import sleep_with_parent, whole_lines
from fargate_ops.release.context import Context, Limits, ReleaseError
from fargate_ops.release.deadline import running_for
from fargate_ops.release.verify import Settings as VerifySettings
from fargate_ops.release.verify import Verifier
from fargate_ops.state.ledger import LedgerError, actor
from fargate_ops.state.lock import LockError, Machine, holder_of
from fargate_ops.terraform.stack import Stack

if TYPE_CHECKING:
    from fargate_ops.plugin.action import OperationsAction


def context(action: OperationsAction, args: Mapping[str, Any]) -> Context:
    """The context of an action with these arguments."""
    environment = str(args["environment_name"])
    needs_lock = args["requires_lock"] and not action._task.check_mode
    stack = action.stack
    # The worker that runs this action is a child of ansible-playbook, which holds the lock and began with the command.
    playbook = os.getppid()
    limits = dict(args["limits"])
    flow = float(limits.pop("flow"))
    session = aws_session(action_environment(action), stack.region)
    webhook = stack.get(Stack.slack_webhook_secret_arn, "")
    notifier = Notifier(Assignment(secret_arn=webhook, region=stack.region, log=args["notification_log"]))
    return Context(
        clients=session,
        bucket=args["bucket"],
        environment=environment,
        stack=stack,
        limits=Limits(**limits),
        holder=holder_of(Machine.this(), playbook) if needs_lock else None,
        by=actor(os.environ),
        why=args["why"],
        say=whole_lines(Display().display),
        notify=notifier.send,
        sleep=sleep_with_parent(),
        verify=lambda subject: Verifier(
            session.client("ecs"),
            session.client("elbv2"),
            stack,
            VerifySettings.from_arguments(args["verify"]),
            sleep=sleep_with_parent(),
        ).verify(subject),
        retry_command=f"make deploy ENV={environment}",
        logs_command=f"make logs ENV={environment}",
        time_left=lambda: flow - running_for(playbook),
    )


@contextmanager
def failing_cleanly(what: str) -> Iterator[None]:
    """Errors as a failed task with the reason for the ledger, the evidence on the screen."""
    try:
        yield
    except ReleaseError as error:
        if error.evidence:
            Display().display(error.evidence, color="red")
        raise AnsibleActionFail(str(error), result={"reason": error.reason}) from error
    except (ServiceError, LedgerError, LockError, ClientError, BotoCoreError) as error:
        raise AnsibleActionFail(f"{what}: {error}", result={"reason": str(error)}) from error
