"""Post what the bots could not post."""

from __future__ import annotations

from functools import partial
from typing import Any

import requests
from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.notify.deliver import NoWebhook, post, read_webhook
from fargate_ops.notify.redelivery import redeliver
from fargate_ops.notify.slack import Assignment
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: redelivery
short_description: Post what the bots could not post
description:
  - Posts the messages for Slack that a queue keeps, and deletes each that Slack took.
  - Check mode shows what is kept.
options:
  queue_url:
    description: The queue; empty where there are no Terraform outputs.
    required: true
    type: str
  secret_arn:
    description: The secret that holds the webhook's URL.
    required: true
    type: str
  region:
    description: Region of both.
    required: true
    type: str
  discard:
    description: Whether what cannot be posted, an event that no bot understood, is deleted.
    default: false
    type: bool
  next_command:
    description: What to type once Slack answers again.
    required: true
    type: str
"""

EXAMPLES = """
- name: Post what is kept
  redelivery:
    queue_url: "{{ terraform_stack_outputs.undelivered_queue_url }}"
    secret_arn: "{{ terraform_stack_outputs.slack_webhook_secret_arn }}"
    region: ap-northeast-2
    next_command: make redeliver ENV=staging
"""

RETURN = """
delivered:
  description: How many of the queue's messages were posted and deleted.
  type: int
  returned: always
left:
  description: What is left in the queue, a line each.
  type: list
  elements: str
  returned: always
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if not args["queue_url"]:
            message = "there are no Terraform outputs: nothing was deployed here yet, and nothing is kept"
            display.display(message)
            return {"changed": False, "delivered": 0, "left": [], "msg": message}
        session = aws_session(action_environment(self), args["region"])
        look_only = self.check_mode
        assignment = Assignment(secret_arn=args["secret_arn"], region=args["region"], log="")
        try:
            url = "" if look_only else read_webhook(session.client("secretsmanager"), args["secret_arn"])
            outcome = redeliver(
                session.client("sqs"),
                args["queue_url"],
                partial(_post, url, assignment),
                discard=args["discard"],
                look_only=look_only,
            )
        except NoWebhook as reason:
            raise AnsibleActionFail(
                f"Nothing was posted: {reason}. Next: put it there (terraform/modules/notifications/README.md), then "
                f"{args['next_command']}"
            ) from None
        except (ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(str(error)) from None
        for line in outcome.left:
            display.display(f"kept: {line}")
        display.display(
            f"{outcome.delivered} posted, {outcome.discarded} discarded, {len(outcome.left)} left in the queue"
        )
        if outcome.problem:
            raise AnsibleActionFail(f"Slack did not take a message: {outcome.problem}. Next: {args['next_command']}")
        return {
            "changed": bool(outcome.delivered or outcome.discarded),
            "delivered": outcome.delivered,
            "left": outcome.left,
        }


def _post(url: str, assignment: Assignment, payload: dict[str, Any]) -> str:
    try:
        return post(url, payload, assignment)
    except requests.RequestException as error:  # its text may name the URL
        return f"not delivered: {type(error).__name__}"
