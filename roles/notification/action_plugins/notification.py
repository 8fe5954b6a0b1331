"""Tell Slack of a release."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible.utils.display import Display

from fargate_ops.aws.session import action_environment
from fargate_ops.notify import slack
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.ledger import actor

DOCUMENTATION = """
---
action: notification
short_description: Tell Slack of a release
description:
  - Hands the message to a detached process, which reads the webhook from Secrets Manager and posts it. Neither fails
    nor waits, whatever Slack does; C(log) says what came of it.
  - Never reports C(changed); sends nothing in check mode.
options:
  kind:
    description: What happened.
    required: true
    choices: [started, succeeded, failed, stopped, rolled_back]
    type: str
  secret_arn:
    description: The secret that holds the webhook's URL. Empty sends nothing.
    default: ""
    type: str
  region:
    description: Its region.
    required: true
    type: str
  log:
    description: The file to which one line is added for each message.
    required: true
    type: path
  environment_name:
    description: The environment.
    required: true
    type: str
  version:
    description: The version that is released, or serves again.
    required: true
    type: str
  from_version:
    description: The version before a rollback.
    default: ""
    type: str
  revision:
    description: The task definition's revision.
    default: ""
    type: str
  by:
    description: Who; empty for whoever runs this.
    default: ""
    type: str
  url:
    description: The public address.
    default: ""
    type: str
  reason:
    description: Why.
    default: ""
    type: str
  next_command:
    description: What to type now.
    default: ""
    type: str
  seconds:
    description: How long it took.
    type: float
  attempts:
    description: How often to post at most.
    default: 4
    type: int
  timeout_seconds:
    description: How long one attempt may take.
    default: 5
    type: float
  limit_seconds:
    description: How long all of it may take, in the background.
    default: 60
    type: float
"""

EXAMPLES = """
- name: Tell Slack
  notification:
    kind: rolled_back
    secret_arn: "{{ terraform_stack_outputs.slack_webhook_secret_arn }}"
    region: ap-northeast-2
    log: "{{ work_dir }}/notifications.log"
    environment_name: staging
    version: 5f0c2b7d9e31
    from_version: 0a1b2c3d4e5f
"""

RETURN = """
summary:
  description: The message in one line.
  type: str
  returned: always
"""

#: What each kind of message is made from, beside its subject.
MESSAGES: dict[str, tuple[Callable[..., slack.Message], tuple[str, ...]]] = {
    "started": (slack.started, ("reason",)),
    "succeeded": (slack.succeeded, ("seconds",)),
    "failed": (slack.failed, ("reason", "next_command", "seconds")),
    "stopped": (slack.stopped, ("reason", "next_command", "seconds")),
    "rolled_back": (slack.rolled_back, ("from_version", "reason", "next_command", "seconds")),
}

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        make, wanted = MESSAGES[args["kind"]]
        subject = slack.Subject(
            environment=args["environment_name"],
            version=args["version"],
            revision=args["revision"],
            by=args["by"] or actor(os.environ),
            url=args["url"],
        )
        message = make(subject, **{name: args[name] for name in wanted})
        result = {"summary": message.summary}
        if self.check_mode:
            display.display(f"would tell Slack: {message.summary}")
            return result
        # The child reaches AWS with the play's environment.
        os.environ.update(action_environment(self))
        slack.Notifier(
            slack.Assignment(
                **{
                    name: args[name]
                    for name in ("secret_arn", "region", "log", "attempts", "timeout_seconds", "limit_seconds")
                }
            )
        ).send(message)
        return result
