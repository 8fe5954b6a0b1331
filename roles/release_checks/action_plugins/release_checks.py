"""Check everything a release depends on, without changing anything. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from fargate_ops.aws.pace import POLL_SECONDS
from fargate_ops.ecs.task_definition import Image, Settings
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.checks.checks import Wanted, check, check_what_runs, image_that_runs
from fargate_ops.release.checks.findings import closing, failure, tree, wrong

DOCUMENTATION = r"""
action: release_checks
short_description: Check everything a release depends on, without changing anything
description:
  - Checks the image, secrets and their JSON keys, roles, log groups, load balancer, service and alarms concurrently.
  - Prints a tree of OK, FAIL, SKIP and WARN with reasons. Any FAIL stops the play.
  - The stack may be empty in check mode only.
extends_documentation_fragment: [operations, operations.stack, operations.application, operations.poll]
options:
  image:
    description: The fact C(image_build_result); empty for the image that the PRIMARY deployment runs.
    type: dict
    required: true
  settings:
    description: The settings of the task definitions, as ecs_release takes them.
    type: dict
    required: true
  what_runs:
    description: >-
      Whether to check also the running tasks, and log in to the database with their credentials in a one-off task. A
      release does not need this.
    type: bool
    required: true
  slack:
    description: Whether notifications should reach Slack; without a webhook the result is a WARN.
    type: bool
    required: true
"""

EXAMPLES = r"""
- name: Check a release before it starts
  release_checks:
    stack: "{{ terraform_stack_outputs }}"
    application: "{{ app_contract }}"
    image: "{{ image_build_result }}"
    settings: "{{ release_checks_settings }}"
    what_runs: false
    slack: true
    environment_name: local
"""

RETURN = r"""
findings:
  description: Maps with C(group), C(subject), C(verdict) (OK, FAIL, SKIP, WARN), C(reason) and C(next_command).
  type: list
  returned: if no check failed
outcome: {type: dict, returned: always, description: How a command ends that only checks.}
reason: {type: str, returned: on failure, description: "The failed checks, in one line."}
"""


class ActionModule(OperationsAction):
    next_verb = "status"

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        environment, stack, fact = self.environment, self.stack, args["image"]
        if not stack:
            message = "a release cannot be checked: there are no Terraform outputs yet"
            return self.unknown(message, f"{message}.\nNext: make deploy ENV={environment}", findings=[])
        show = self.answer if args["what_runs"] else self.note
        clients = self.session()
        image = Image.from_fact(fact) if fact.get("digest") else None if fact else image_that_runs(clients, stack)
        wanted = Wanted(
            environment=environment,
            stack=stack,
            application=self.application,
            settings=Settings.from_fact(args["settings"]),
            image=image,
            preview=self.preview,
            slack=args["slack"],
        )
        findings = check(clients, wanted)
        if args["what_runs"] and not wrong(findings):
            findings += check_what_runs(clients, wanted, self.say, args["poll_seconds"] or POLL_SECONDS, self.sleep)
        version = image.version if image else fact.get("version", "")
        show(tree(f"{environment}: before a release{f' of {version}' if version else ''}", findings))
        if error := failure(environment, findings):
            raise error
        outcome = self.done(closing(findings), next_command=f"make status ENV={environment}")
        return {"findings": [finding.as_row() for finding in findings], **outcome}
