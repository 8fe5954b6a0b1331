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
  - Starts one Fargate task of a task definition with its command replaced, prints its log while it runs, and returns
    its exit code. Fails with the task's stopped reason if the exit code is not 0. Stops a task that exceeds its time.
extends_documentation_fragment: [operations.poll]
options:
  cluster: {description: The cluster., required: true, type: str}
  task_definition:
    description: An ARN, C(family:revision), or a family for its newest ACTIVE revision.
    type: str
  service:
    description: Instead of C(task_definition), a service whose PRIMARY task definition is run.
    type: str
  container: {description: The container whose command is replaced., required: true, type: str}
  command: {description: "The command, split as a shell splits it; no shell runs it.", required: true, type: str}
  environment: {description: Plain environment variables to add or replace., required: true, type: dict}
  subnets: {description: Subnets of the task., required: true, type: list, elements: str}
  security_groups: {description: Security groups of the task., required: true, type: list, elements: str}
  region: {description: The region., required: true, type: str}
  started_by: {description: "The value of ECS's field startedBy.", required: true, type: str}
  wait_seconds: {description: Seconds that it may run for., required: true, type: float}
  log_grace_seconds: {description: Seconds to wait for the last lines of its log., required: true, type: float}
"""

EXAMPLES = """
- name: Print the image's Python version
  ecs_task:
    cluster: storefront-local
    service: storefront-local
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
exit_code: {type: int, returned: when it ended, description: The container's exit code; null if it never started.}
stopped_reason: {type: str, returned: when it ended, description: The task's stopped reason.}
output: {type: list, returned: when it ended, description: The lines of its log.}
task_arn: {type: str, returned: when it ended, description: The task's ARN.}
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
        found = run(self.session(region), request, self.answer, sleep=self.sleep, **pace)
        return {"changed": True} | found | self.done(found["msg"])
