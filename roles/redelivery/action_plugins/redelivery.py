"""Post the messages that the bots could not post."""

from __future__ import annotations

from typing import Any

from fargate_ops.notify.kept_messages import post_kept
from fargate_ops.notify.slack import Assignment
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: redelivery
short_description: Post the messages that the bots could not post
description:
  - Posts the queue's Slack messages, deletes each that Slack accepted, and lists the rest.
  - Check mode lists the messages and posts none.
options:
  queue_url: {type: str, required: true, description: "URL of the queue; empty without Terraform outputs."}
  secret_arn: {type: str, required: true, description: "ARN of the secret that holds the webhook's URL."}
  region: {type: str, required: true, description: "Region of the queue and the secret."}
  discard:
    description: Whether to delete an event that cannot be posted because no bot understands it.
    type: bool
    required: true
  next_command: {type: str, required: true, description: "The command to run once Slack answers again."}
"""

EXAMPLES = """
- name: Post the queue's messages
  redelivery:
    queue_url: "{{ terraform_stack_outputs.undelivered_queue_url }}"
    secret_arn: "{{ terraform_stack_outputs.slack_webhook_secret_arn }}"
    region: ap-northeast-2
    discard: false
    next_command: make redeliver ENV=staging
"""

RETURN = """
delivered: {type: int, returned: always, description: "Number of messages that were posted and deleted."}
left: {type: list, elements: str, returned: always, description: "The messages left in the queue, a line each."}
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
            self.answer,
            next_command=args["next_command"],
            discard=args["discard"],
            preview=self.preview,
        )
