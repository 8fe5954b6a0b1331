"""Post what the bots could not post."""

from __future__ import annotations

from typing import Any

from fargate_ops.notify.kept_messages import post_kept
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
  queue_url: {type: str, required: true, description: "The queue; empty where there are no Terraform outputs."}
  secret_arn: {type: str, required: true, description: "The secret that holds the webhook's URL."}
  region: {type: str, required: true, description: "Region of both."}
  discard:
    description: Whether what cannot be posted, an event that no bot understood, is deleted.
    type: bool
    required: true
  next_command: {type: str, required: true, description: "What to type once Slack answers again."}
"""

EXAMPLES = """
- name: Post what is kept
  redelivery:
    queue_url: "{{ terraform_stack_outputs.undelivered_queue_url }}"
    secret_arn: "{{ terraform_stack_outputs.slack_webhook_secret_arn }}"
    region: ap-northeast-2
    discard: false
    next_command: make redeliver ENV=staging
"""

RETURN = """
delivered: {type: int, returned: always, description: "How many of the queue's messages were posted and deleted."}
left: {type: list, elements: str, returned: always, description: "What is left in the queue, a line each."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if not args["queue_url"]:
            message = "there are no Terraform outputs: nothing was deployed here yet, and nothing is kept"
            return self.report(message, delivered=0, left=[])
        return post_kept(
            self.session(args["region"]),
            args["queue_url"],
            Assignment(secret_arn=args["secret_arn"], region=args["region"], log=""),
            self.say,
            next_command=args["next_command"],
            discard=args["discard"],
            preview=self.preview,
        )
