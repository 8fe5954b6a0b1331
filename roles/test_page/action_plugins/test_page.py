"""Send a test page through every notification path."""

from __future__ import annotations

import os
from typing import Any

from fargate_ops.notify import page_paths
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.ledger import actor
from fargate_ops.terraform.stack import Stack

DOCUMENTATION = """
---
action: test_page
short_description: Send a test page through every notification path
description:
  - Sets a test alarm of each urgency to ALARM and back, and sends a Slack message the way a release does. Prints the
    outcome of each path. Fails if a path refuses; a path that is not set up is printed and is no failure.
  - Never reports C(changed). Check mode sends nothing and prints the recipients.
extends_documentation_fragment: [operations, operations.stack]
options:
  wait_seconds: {type: float, required: true, description: "Seconds to wait for the result of an alarm's action."}
"""

EXAMPLES = """
- name: Send a test page
  test_page:
    stack: "{{ terraform_stack_outputs }}"
    environment_name: staging
    wait_seconds: 20
"""

RETURN = """
paths: {type: dict, returned: when something was sent, description: "The outcome by path."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        stack = self.stack
        if not stack.get(Stack.test_page, {}):
            return self.unknown(f"there are no alarms to test yet. Next: make infra ENV={self.environment}")
        clients = self.session()
        if self.preview:
            page_paths.preview(clients, stack.test_page, self.answer)
            return {}
        paths = page_paths.send(
            clients,
            stack.test_page,
            self.environment,
            actor(os.environ),
            self.answer,
            secret_arn=stack.slack_webhook_secret_arn,
            region=stack.region,
            wait_seconds=args["wait_seconds"],
        )
        return {"paths": paths}
