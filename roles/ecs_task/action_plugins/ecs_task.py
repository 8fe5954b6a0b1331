"""Run a one-off task and wait for its end."""

from __future__ import annotations

import shlex
from typing import Any

from fargate_ops.ecs.run_command import Request, run
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: ecs_task
short_description: Run a one-off ECS task and wait for its end
description:
  - Starts one Fargate task of a task definition with its command replaced, prints its log as it comes, and returns its
    exit code; anything but 0 is a failure that says why it stopped. A task over its time is stopped.
extends_documentation_fragment: [operations.poll]
options:
  cluster: {description: The cluster., required: true, type: str}
  task_definition:
    description: An ARN, a C(family:revision), or a family for its newest ACTIVE revision.
    type: str
  service:
    description: Instead of that, a service whose PRIMARY definition to run, and not one that may have failed since.
    type: str
  container: {description: The container whose command is replaced., required: true, type: str}
  command: {description: "The command, as a shell would split it; no shell runs it.", required: true, type: str}
  environment: {description: Plain environment variables to add or replace., required: true, type: dict}
  subnets: {description: Subnets of the task., required: true, type: list, elements: str}
  security_groups: {description: Security groups of the task., required: true, type: list, elements: str}
  region: {description: The region., required: true, type: str}
  started_by: {description: "Who started it, as ECS shows it.", required: true, type: str}
  wait_seconds: {description: For how long it may run., required: true, type: float}
  log_grace_seconds: {description: How long the last lines may take to arrive., required: true, type: float}
"""

EXAMPLES = """
- name: Say what Python the image has
  ecs_task:
    cluster: settlement-local
    service: settlement-local
    container: api
    command: python --version
    environment: {}
    subnets: [subnet-1]
    security_groups: [sg-1]
    region: ap-northeast-2
    started_by: example
    wait_seconds: 900
    log_grace_seconds: 3
"""

RETURN = """
exit_code: {type: int, returned: when it ended, description: Of the container; null when it never started.}
stopped_reason: {type: str, returned: when it ended, description: Why it stopped.}
output: {type: list, returned: when it ended, description: The lines that it logged.}
task_arn: {type: str, returned: when it ended, description: The task.}
"""


class ActionModule(OperationsAction):
    constraints = {
        "mutually_exclusive": [["task_definition", "service"]],
        "required_one_of": [["task_definition", "service"]],
    }

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        region = args.pop("region")
        pace = {name: args.pop(name) for name in ("wait_seconds", "poll_seconds", "log_grace_seconds")}
        request = Request(**args)
        if self.preview:
            return self.report(f"would run {shlex.join(request.words)} as a task of {request.what}", changed=True)
        return {"changed": True} | run(self.session(region), request, self.say, sleep=self.sleep, **pace)
