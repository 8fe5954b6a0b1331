"""Tell Slack of a release."""

from __future__ import annotations

import os
from typing import Any

from fargate_ops.notify import slack
from fargate_ops.notify.kinds import message_of
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
extends_documentation_fragment: [operations]
options:
  kind:
    description: What happened.
    type: str
    required: true
    choices: [started, succeeded, failed, stopped, rolled_back]
  secret_arn: {type: str, required: true, description: "The secret that holds the webhook's URL. Empty sends nothing."}
  region: {type: str, required: true, description: "Its region."}
  log: {type: path, required: true, description: "The file to which one line is added for each message."}
  version: {type: str, required: true, description: "The version that is released, or serves again."}
  from_version: {type: str, required: true, description: "The version before a rollback, or empty."}
  revision: {type: str, required: true, description: "The task definition's revision, or empty."}
  by: {type: str, required: true, description: "Who; empty for whoever runs this."}
  url: {type: str, required: true, description: "The public address, or empty."}
  reason: {type: str, required: true, description: "Why, or empty."}
  next_command: {type: str, required: true, description: "What to type now, or empty."}
  seconds: {type: float, description: "How long it took."}
  attempts: {type: int, required: true, description: "How often to post at most."}
  timeout_seconds: {type: float, required: true, description: "How long one attempt may take."}
  limit_seconds: {type: float, required: true, description: "How long all of it may take, in the background."}
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
    revision: settlement-staging:7
    by: ""
    url: ""
    reason: too slow
    next_command: make status ENV=staging
    attempts: 4
    timeout_seconds: 5
    limit_seconds: 60
"""

RETURN = """
summary: {type: str, returned: always, description: "The message in one line."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        subject = slack.Subject(
            environment=self.environment,
            by=args["by"] or actor(os.environ),
            **{name: args[name] for name in ("version", "revision", "url")},
        )
        message = message_of(args["kind"], subject, args)
        if self.preview:
            self.say(f"would tell Slack: {message.summary}")
            return {"summary": message.summary}
        # The child reaches AWS with the play's environment.
        os.environ.update(self.aws_environment)
        bounds = ("secret_arn", "region", "log", "attempts", "timeout_seconds", "limit_seconds")
        slack.Notifier(slack.Assignment(**{name: args[name] for name in bounds})).send(message)
        return {"summary": message.summary}
