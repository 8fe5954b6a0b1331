"""Send a Slack message about a release."""

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
short_description: Send a Slack message about a release
description:
  - Starts a detached process that reads the webhook from Secrets Manager and posts the message. A Slack outage neither
    fails nor delays the task; the outcome is in C(log).
  - Never reports C(changed). Sends nothing in check mode.
extends_documentation_fragment: [operations]
options:
  kind:
    description: The event.
    type: str
    required: true
    choices: [started, succeeded, failed, stopped, rolled_back]
  secret_arn: {type: str, required: true, description: "ARN of the webhook's secret; empty sends nothing."}
  region: {type: str, required: true, description: "The secret's region."}
  log: {type: path, required: true, description: "The file that gets one line for each message."}
  version: {type: str, required: true, description: "The version that is released, or serves again."}
  from_version: {type: str, required: true, description: "The version before a rollback, or empty."}
  revision: {type: str, required: true, description: "The task definition's revision, or empty."}
  by: {type: str, required: true, description: "Who did it; empty for the person who runs the playbook."}
  url: {type: str, required: true, description: "The public address, or empty."}
  reason: {type: str, required: true, description: "The reason, or empty."}
  next_command: {type: str, required: true, description: "The next command, or empty."}
  seconds: {type: float, description: "The duration in seconds."}
  attempts: {type: int, required: true, description: "Maximum of attempts."}
  timeout_seconds: {type: float, required: true, description: "Seconds that one attempt may take."}
  limit_seconds: {type: float, required: true, description: "Seconds that all attempts may take together."}
"""

EXAMPLES = """
- name: Report a rollback to Slack
  notification:
    kind: rolled_back
    secret_arn: "{{ terraform_stack_outputs.slack_webhook_secret_arn }}"
    region: ap-northeast-2
    log: "{{ work_dir }}/notifications.log"
    environment_name: staging
    version: 5f0c2b7d9e31
    from_version: 0a1b2c3d4e5f
    revision: storefront-staging:7
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
            self.say(f"would send to Slack: {message.summary}")
            return {"summary": message.summary}
        # The child reaches AWS with the play's environment.
        os.environ.update(self.aws_environment)
        bounds = ("secret_arn", "region", "log", "attempts", "timeout_seconds", "limit_seconds")
        slack.Notifier(slack.Assignment(**{name: args[name] for name in bounds})).send(message)
        return {"summary": message.summary}
