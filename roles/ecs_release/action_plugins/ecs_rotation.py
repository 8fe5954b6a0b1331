"""One phase of a rotation of the application's database password."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release import plugin_context as action
from fargate_ops.release.rotation import Rotation, RotationPlan

DOCUMENTATION = """
---
action: ecs_rotation
short_description: One phase of a rotation of the application's database password
description:
  - C(plan) says how old the password in use is, and whether the other database user takes over. C(renew) gives that
    user a new password by the admin task and registers a copy of the definition that runs, with its secret. C(update)
    points the service at it and watches that deployment to its end. C(succeed) and C(fail) record how it ended.
  - In check mode C(plan) says what would be done, and nothing is touched.
extends_documentation_fragment: [ecs_release_context]
options:
  phase:
    description: Which one.
    required: true
    choices: [plan, renew, update, succeed, fail]
    type: str
  older_than_days:
    description: For the phase C(plan), how old the password in use must be to be replaced.
    default: 1
    type: float
"""

EXAMPLES = """
- name: See whether the password is older than 30 days
  ecs_rotation:
    phase: plan
    older_than_days: 30
    stack: "{{ terraform_stack_outputs }}"
    limits: {flow: 6000, wait: 600, rollback_wait: 300, prepare_wait: 600, poll: 4, log_grace: 3}
    verify: {source: public, answers: 6, limit_seconds: 30}
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    notification_log: .local/local/notifications.log
"""

RETURN = """
plan:
  description: Who takes over from whom, and with which task definition; complemented by the phase C(renew).
  type: dict
  returned: always
msg:
  description: What is true at the end.
  type: str
  returned: for the phase C(succeed)
undone:
  description: What the phase C(fail) put back, or empty.
  type: str
  returned: for the phase C(fail)
reason:
  description: Why the phase failed, in one line.
  type: str
  returned: on failure
"""


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        environment = args["environment_name"]
        with action.failing_cleanly(f"{environment}: rotation: {args['phase']}"):
            context = replace(action.context(self, args), retry_command=f"make rotate-secret ENV={environment}")
            if args["phase"] == "plan":
                plan = Rotation(context).plan(args["older_than_days"], preview=self._task.check_mode)
                return {"changed": False, "plan": plan.to_fact()}
            if not args["plan"]:  # the phase plan failed: there is nothing to record
                return {"changed": False, "plan": {}, "undone": "", "conclusion": _failed(environment)}
            plan = RotationPlan.from_fact(args["plan"])
            if not plan.needed or self._task.check_mode:
                changed = plan.needed and args["phase"] in ("renew", "update")
                return {
                    "changed": changed,
                    "conclusion": _failed(environment),
                    "plan": args["plan"],
                    "msg": plan.sentence(environment, preview=True),
                }
            phase: Callable[[Rotation, RotationPlan, dict[str, Any]], dict[str, Any]]
            phase = getattr(self, f"_{args['phase']}")
            return {"plan": args["plan"]} | phase(Rotation(context), plan, args)

    def _renew(self, rotation: Rotation, plan: RotationPlan, args: dict[str, Any]) -> dict[str, Any]:
        user = rotation.renew(plan)
        plan = replace(plan, user=user, revision=rotation.register(plan))
        rotation.begin(plan)
        return {"changed": True, "plan": plan.to_fact()}

    def _update(self, rotation: Rotation, plan: RotationPlan, args: dict[str, Any]) -> dict[str, Any]:
        rotation.update(plan)
        return {"changed": True}

    def _succeed(self, rotation: Rotation, plan: RotationPlan, args: dict[str, Any]) -> dict[str, Any]:
        rotation.succeed(plan)
        return {"changed": False, "msg": plan.sentence(args["environment_name"])}

    def _fail(self, rotation: Rotation, plan: RotationPlan, args: dict[str, Any]) -> dict[str, Any]:
        if args["unverified"]:
            return {"changed": False, "undone": "", "conclusion": rotation.leave_unverified(plan, args["why"])}
        undone = rotation.fail(plan, args["why"])
        return {"changed": bool(undone), "undone": undone, "conclusion": _failed(args["environment_name"], undone)}


def _failed(environment: str, undone: str = "") -> str:
    served = f"the rotation failed, for the reason above; the user that served before does. {undone}".strip()
    return f"{served} Next: after a fix, make rotate-secret ENV={environment}"
