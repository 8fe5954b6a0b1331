"""One phase of a rotation of the application's database password."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fargate_ops.core.problem import EndError
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
    C(fail) record the outcome; C(fail) then fails with it.
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
    strategy: "{{ ecs_release_strategy }}"
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
reason: {type: str, returned: on failure, description: "Why the phase failed, in one line."}
outcome: {type: dict, returned: for the phase C(succeed) and on failure, description: How the command ended.}
"""


class ActionModule(ReleaseAction):
    constraints = {"required_if": [["phase", "plan", ["older_than_days"]]]}
    verb, retry_verb = "rotation", "rotate-secret"

    def phase(self, args: dict[str, Any]) -> dict[str, Any]:
        phase, rotation = args["phase"], Rotation(self.context(args))
        if phase == "plan":
            return {"plan": rotation.plan(args["older_than_days"], preview=self.preview).to_fact()}
        plan = RotationPlan.from_fact(args["plan"]) if args["plan"] else None
        if phase == "fail":
            raise EndError(rotation.end(plan, self.failed(args)), self.environment)
        assert plan  # noqa: S101 - for the type checker; only the phase fail may have none
        if phase == "succeed":
            if plan.needed and not self.preview:
                rotation.succeed(plan)
            return self.ended(rotation.done(plan, preview=self.preview))
        if not plan.needed or self.preview:
            return {"changed": plan.needed}
        if phase == "update":
            rotation.update(plan)
            return {"changed": True}
        user = rotation.renew(plan)
        plan = replace(plan, user=user, revision=rotation.register(plan))
        rotation.begin(plan)
        return {"changed": True, "plan": plan.to_fact()}
