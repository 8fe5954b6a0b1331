"""Look at everything that a release needs, before anything is touched. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.ecs.rollout import ServiceError
from fargate_ops.ecs.task_definition import Image, Settings
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import sleep_with_parent, whole_lines
from fargate_ops.release.checks.checks import Wanted, check, check_what_runs, image_that_runs
from fargate_ops.release.checks.findings import failure, tree, wrong

DOCUMENTATION = r"""
action: release_checks
short_description: Look at everything that a release needs, before anything is touched
description:
  - Image, secrets and their JSON keys, roles, log groups, load balancer, service and alarms, all at the same time.
  - Prints a tree of OK, FAIL, SKIP and WARN with reasons. Any FAIL stops the play. Changes nothing, in check mode too.
options:
  stack:
    description: The fact C(terraform_stack_outputs); may be empty in check mode only.
    type: dict
    required: true
  image:
    description: The fact C(image_build_result); empty is the image that the PRIMARY deployment runs.
    type: dict
    default: {}
  settings:
    description: What is rendered into the task definitions, as ecs_release takes it.
    type: dict
    required: true
  what_runs:
    description: >-
      Whether to look also at the tasks that run, and to log in to the database with their credentials, by a one-off
      task. A release proves that by itself.
    type: bool
    default: false
  slack:
    description: Whether notifications are meant to reach Slack; without a value of its webhook there is a WARN.
    type: bool
    default: false
  poll_seconds:
    description: About how many seconds lie between two looks at that task.
    type: float
    default: 3
  environment_name:
    description: The environment.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Verify before touching
  release_checks:
    stack: "{{ terraform_stack_outputs }}"
    image: "{{ image_build_result }}"
    settings: "{{ release_checks_settings }}"
    environment_name: local
"""

RETURN = r"""
findings:
  description: One map each with C(group), C(subject), C(verdict) (OK, FAIL, SKIP, WARN), C(reason), C(next_command).
  type: list
  returned: when nothing is wrong
reason:
  description: What is wrong, in one line.
  type: str
  returned: on failure
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        environment, stack, fact = args["environment_name"], self.stack, args["image"]
        if not stack:
            message = f"{environment}: what a release needs cannot be looked at: there are no Terraform outputs yet"
            if not self.check_mode:
                raise AnsibleActionFail(f"{message}.\nNext: make deploy ENV={environment}")
            display.display(message)
            return {"changed": False, "msg": message, "findings": []}
        clients = aws_session(action_environment(self), stack.region)
        try:
            image = Image.from_fact(fact) if fact.get("digest") else None if fact else image_that_runs(clients, stack)
            wanted = Wanted(
                environment=environment,
                stack=stack,
                settings=Settings.from_fact(args["settings"]),
                image=image,
                preview=self.check_mode,
                slack=args["slack"],
            )
            findings = check(clients, wanted)
            if args["what_runs"] and not wrong(findings):
                say = whole_lines(display.display)
                findings += check_what_runs(clients, wanted, say, args["poll_seconds"], sleep_with_parent())
        except (ServiceError, ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(f"{environment}: {error}.\nNext: make status ENV={environment}") from None
        version = image.version if image else fact.get("version", "")
        display.display(tree(f"{environment}: before a release{f' of {version}' if version else ''}", findings))
        if wrong(findings):
            # The reason is for the ledger, should the caller keep one.
            reason = "; ".join(f"{finding.subject}: {finding.reason}" for finding in wrong(findings))
            raise AnsibleActionFail(failure(environment, findings), result={"reason": reason})
        return {"changed": False, "findings": [finding.as_row() for finding in findings]}
