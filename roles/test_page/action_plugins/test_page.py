"""Send a test page through every path."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.notify.deliver import deliver
from fargate_ops.notify.slack import Assignment
from fargate_ops.notify.test_page import Path, last_line, of_notification, slack_message, subscribers, through_topic
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.ledger import actor
from fargate_ops.terraform.stack import Stack

DOCUMENTATION = """
---
action: test_page
short_description: Send a test page through every path
description:
  - Sets an alarm made for it to ALARM and back, for each urgency, and posts a test to Slack as a release does. Prints
    what was accepted on each path. Fails when one refuses; a path that is not set up is said, and is no failure.
  - Never reports C(changed); in check mode it sends nothing, and says who would hear it.
options:
  stack:
    description: The fact C(terraform_stack_outputs).
    required: true
    type: dict
  environment_name:
    description: The environment.
    required: true
    type: str
  patience_seconds:
    description: How long to wait for word of an alarm's action.
    default: 20
    type: float
"""

EXAMPLES = """
- name: Send a test page
  test_page:
    stack: "{{ terraform_stack_outputs }}"
    environment_name: staging
"""

RETURN = """
paths:
  description: What became of it, by path.
  type: dict
  returned: when something was sent
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        stack, environment = self.stack, args["environment_name"]
        if not stack.get(Stack.test_page, {}):
            message = f"{environment}: there are no alarms to test yet. Next: make infra ENV={environment}"
            if self.check_mode:
                display.display(message)
                return {"changed": False, "msg": message}
            raise AnsibleActionFail(message)
        session = aws_session(action_environment(self), stack.region)
        cloudwatch, sns = session.client("cloudwatch"), session.client("sns")
        by = actor(os.environ)
        try:
            if self.check_mode:
                for urgency, page in stack.test_page.items():
                    hears = ", ".join(subscribers(sns, page.topic_arn)) or "nobody"
                    display.display(f"would page {urgency}: {hears}")
                display.display("would post to Slack as a release does")
                return {"changed": False}
            paths = [
                through_topic(
                    cloudwatch,
                    sns,
                    urgency=urgency,
                    alarm=page.alarm,
                    topic_arn=page.topic_arn,
                    by=by,
                    wait_seconds=args["patience_seconds"],
                )
                for urgency, page in stack.test_page.items()
            ]
        except (ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(f"{environment}: {error}. Next: make status ENV={environment}") from None
        assignment = Assignment(
            secret_arn=stack.slack_webhook_secret_arn, region=stack.region, log=os.devnull, attempts=2
        )
        outcome = deliver(assignment, slack_message(environment, by), session.client("secretsmanager"))
        return self._report(environment, [*paths, of_notification(outcome)])

    def _report(self, environment: str, paths: list[Path]) -> dict[str, Any]:
        for path in paths:
            display.display(f"{path.name}: {path.said}")
        line = last_line(environment, paths)
        if any(path.outcome == "refused" for path in paths):
            raise AnsibleActionFail(f"{line}. Next: docs/monitoring.md#undelivered")
        display.display(line)
        return {"changed": False, "paths": {path.name: path.outcome for path in paths}}
