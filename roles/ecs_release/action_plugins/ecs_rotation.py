"""One phase of a rotation of the application's database password."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fargate_ops.release.plugin_context import ReleaseAction
from fargate_ops.release.rotation import Rotation, RotationPlan

DOCUMENTATION = """
---
action: ecs_rotation
short_description: One phase of a rotation of the application's database password
description:
  - C(plan) returns the age of the password in use, and whether the service moves to the other database user. C(renew)
    gives that user a new password through the admin task, and registers a copy of the running task definition with that
    user's secret. C(update) points the service at the copy and watches that deployment to its end. C(succeed) and
    C(fail) record the outcome.
  - In check mode C(plan) prints what would be done, and nothing is changed.
extends_documentation_fragment:
  - operations
  - operations.stack
  - operations.application
  - operations.bucket
  - operations.notification
  - ecs_release_context
options:
  phase: {type: str, required: true, choices: [plan, renew, update, succeed, fail], description: The phase.}
  older_than_days: {type: float, description: "Age from which the password is replaced, for the phase C(plan)."}
"""

EXAMPLES = """
- name: Check whether the password is older than 30 days
  ecs_rotation:
    phase: plan
    older_than_days: 30
    stack: "{{ terraform_stack_outputs }}"
    application: "{{ app_contract }}"
    limits: {flow: 6000, wait: 600, rollback_wait: 300, prepare_wait: 600, poll: 4, log_grace: 3}
    verify: {source: public, answers: 6, limit_seconds: 30}
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
    requires_lock: true
    notification_log: .local/local/notifications.log
    why: too slow
"""

RETURN = """
plan:
  description: The present and the next database user, and the task definition, completed by the phase C(renew).
  type: dict
  returned: always
msg: {type: str, returned: for the phase C(succeed), description: The state at the end.}
undone: {type: str, returned: for the phase C(fail), description: "What the phase undid, or empty."}
reason: {type: str, returned: on failure, description: "Why the phase failed, in one line."}
"""


class ActionModule(ReleaseAction):
    constraints = {"required_if": [["phase", "plan", ["older_than_days"]]]}
    verb, retry_verb = "rotation", "rotate-secret"

    def phase(self, args: dict[str, Any]) -> dict[str, Any]:
        phase = args["phase"]
        if phase == "plan":
            return {"plan": Rotation(self.context(args)).plan(args["older_than_days"], preview=self.preview).to_fact()}
        if not args["plan"]:  # the phase plan failed: there is nothing to record
            return {"undone": "", "conclusion": self._failed()}
        plan = RotationPlan.from_fact(args["plan"])
        if not plan.needed or self.preview:
            changed = plan.needed and phase in ("renew", "update")
            said = plan.sentence(self.environment, preview=True)
            return {"changed": changed, "conclusion": self._failed(), "msg": said}
        rotation = Rotation(self.context(args))
        if phase == "renew":
            user = rotation.renew(plan)
            plan = replace(plan, user=user, revision=rotation.register(plan))
            rotation.begin(plan)
            return {"changed": True, "plan": plan.to_fact()}
        if phase == "update":
            rotation.update(plan)
            return {"changed": True}
        if phase == "succeed":
            rotation.succeed(plan)
            return {"msg": plan.sentence(self.environment)}
        if args["unverified"]:
            return {"undone": "", "conclusion": rotation.leave_unverified(plan, args["why"])}
        undone = rotation.fail(plan, args["why"])
        return {"changed": bool(undone), "undone": undone, "conclusion": self._failed(undone)}

    def _failed(self, undone: str = "") -> str:
        served = f"the rotation failed, for the reason above; the user that served before does. {undone}".strip()
        return f"{served} Next: after a fix, make rotate-secret ENV={self.environment}"
