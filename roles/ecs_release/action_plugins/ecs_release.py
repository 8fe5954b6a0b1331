"""One phase of a release of the ECS service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from fargate_ops.ecs.task_definition import Image, Settings
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release import plugin_context as action
from fargate_ops.release.plan import Plan
from fargate_ops.release.release import Releaser
from fargate_ops.terraform.stack import Stack

DOCUMENTATION = """
---
action: ecs_release
short_description: One phase of a release of the ECS service
description:
  - C(plan) settles what is in flight or was left unfinished, compares the wanted task definition with the one that
    PRIMARY runs, and returns what there is to do; the other phases do it.
  - C(register) registers the revisions that are missing, C(prepare) runs the admin task when the database needs it,
    C(update) points the service at the revision and watches that deployment to its end, C(succeed) and C(fail)
    record how it ended; C(succeed) also sets auto scaling's limits, C(fail) takes out of service what came into it.
  - In check mode each phase says what it would do, or why that cannot be known yet.
extends_documentation_fragment: [ecs_release_context]
options:
  phase:
    description: Which one.
    required: true
    choices: [plan, register, prepare, update, succeed, fail]
    type: str
  image:
    description: The fact C(image_build_result).
    required: true
    type: dict
  settings:
    description: What is rendered into the task definitions.
    required: true
    type: dict
    suboptions:
      cpu: {description: CPU units of a task., required: true, type: int}
      memory: {description: MiB of a task., required: true, type: int}
      workers: {description: Worker processes of a task., required: true, type: int}
      pool_size: {description: Database connections that each keeps., required: true, type: int}
      max_overflow: {description: And may open beyond., required: true, type: int}
      through_proxy: {description: Whether by the RDS Proxy where there is one., required: true, type: bool}
      execute_command: {description: Whether ECS Exec may open a shell., required: true, type: bool}
      stop_timeout: {description: Seconds from SIGTERM to SIGKILL., required: true, type: int}
      environment: {description: Plain environment variables., required: true, type: dict}
      secrets: {description: Secrets by their variables., required: true, type: dict}
      admin_environment: {description: Plain environment variables of the admin task., required: true, type: dict}
  allow_rolled_back:
    description: Whether to release what was rolled back.
    default: false
    type: bool
  keep_revisions:
    description: How many revisions of each family stay registered, beside those that are needed.
    default: 20
    type: int
"""

EXAMPLES = """
- name: Compare what is wanted with what runs
  ecs_release:
    phase: plan
    stack: "{{ terraform_stack_outputs }}"
    image: "{{ image_build_result }}"
    settings: "{{ __ecs_release_settings }}"
    limits: {flow: 6000, wait: 600, rollback_wait: 300, prepare_wait: 600, poll: 4, log_grace: 3}
    verify: {source: public, answers: 6, limit_seconds: 30}
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    notification_log: .local/local/notifications.log
"""

RETURN = """
plan:
  description: What there is to do; complemented by the phase C(register). Empty where it cannot be known yet.
  type: dict
  returned: always
reason:
  description: Why the phase failed, in one line.
  type: str
  returned: on failure
conclusion:
  description: What is true now.
  type: str
  returned: for the phase C(fail)
undone:
  description: What the phase C(fail) took out of service, and for how long it was exposed; or empty.
  type: str
  returned: for the phase C(fail)
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        unknown = _unknown(self.stack, args["image"])
        if unknown:
            if not self._task.check_mode:
                raise AnsibleActionFail(f"{args['environment_name']}: cannot {args['phase']}: {unknown}")
            message = f"what to {args['phase']} cannot be known yet: {unknown}"
            display.display(message)
            return {"changed": False, "plan": {}, "msg": message}
        with action.failing_cleanly(f"{args['environment_name']}: {args['phase']}"):
            phase: Callable[[Releaser, dict[str, Any]], dict[str, Any]] = getattr(self, f"_{args['phase']}")
            return {"plan": args["plan"]} | phase(self._releaser(args), args)

    def _plan(self, releaser: Releaser, args: dict[str, Any]) -> dict[str, Any]:
        releaser.settle(preview=self._task.check_mode)
        return {"changed": False, "plan": releaser.plan().to_fact()}

    def _register(self, releaser: Releaser, args: dict[str, Any]) -> dict[str, Any]:
        plan, changed = releaser.register(Plan.from_fact(args["plan"]), preview=self._task.check_mode)
        return {"changed": changed, "plan": plan.to_fact()}

    def _prepare(self, releaser: Releaser, args: dict[str, Any]) -> dict[str, Any]:
        plan = Plan.from_fact(args["plan"])
        if plan.needed and not self._task.check_mode:
            releaser.begin(plan)
        return {"changed": releaser.prepare(plan, preview=self._task.check_mode)}

    def _update(self, releaser: Releaser, args: dict[str, Any]) -> dict[str, Any]:
        return {"changed": releaser.update(Plan.from_fact(args["plan"]), preview=self._task.check_mode)}

    def _succeed(self, releaser: Releaser, args: dict[str, Any]) -> dict[str, Any]:
        return {"changed": releaser.succeed(Plan.from_fact(args["plan"]), preview=self._task.check_mode)}

    def _fail(self, releaser: Releaser, args: dict[str, Any]) -> dict[str, Any]:
        plan = Plan.from_fact(args["plan"])
        if args["unverified"]:
            return {"changed": False, "undone": "", "conclusion": releaser.leave_unverified(plan, args["why"])}
        undone = releaser.fail(plan, args["why"])
        conclusion = f"the release failed, for the reason above; the ledger says so too. {undone}"
        return {"changed": bool(undone), "undone": undone, "conclusion": conclusion.strip()}

    def _releaser(self, args: dict[str, Any]) -> Releaser:
        return Releaser(
            action.context(self, args),
            Settings.from_fact(args["settings"]),
            Image.from_fact(args["image"]),
            allow_rolled_back=args["allow_rolled_back"],
            keep_revisions=args["keep_revisions"],
        )


def _unknown(stack: Stack, image: dict[str, Any]) -> str:
    """What is missing to know anything, for people."""
    missing = [
        name for name, value in (("Terraform outputs", stack), ("image digest", image.get("digest"))) if not value
    ]
    return f"there is no {' and no '.join(missing)}" if missing else ""
