"""One phase of a rollback of the ECS service."""

from __future__ import annotations

from typing import Any

from fargate_ops.release.plugin_context import ReleaseAction
from fargate_ops.release.rollback import Rollback, RollbackPlan

DOCUMENTATION = """
---
action: ecs_rollback
short_description: One phase of a rollback of the ECS service
description:
  - C(plan) chooses the release to put back and records which one is undone. It refuses an impossible rollback and names
    the possible ones. C(update) points the service at that release's task definition and watches that deployment to its
    end. C(succeed) and C(fail) record the outcome.
  - In check mode C(plan) names the release it would put back, or refuses, and changes nothing.
extends_documentation_fragment:
  - operations
  - operations.stack
  - operations.application
  - operations.bucket
  - operations.notification
  - ecs_release_context
options:
  phase: {type: str, required: true, choices: [plan, update, succeed, fail], description: The phase.}
  to:
    description: >-
      For the phase C(plan), a git hash, alone or with a definition (C(0123456789ab+3f2a)), a revision (C(7) or
      C(family:7)) or steps (C(-2), C(2 steps)); empty undoes the most recent change, or resumes a rollback that has
      not succeeded.
    type: str
"""

EXAMPLES = """
- name: Put the previous release back into service
  ecs_rollback:
    phase: plan
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
plan: {type: dict, returned: always, description: "The release to put back: version, digest, image, revision."}
conclusion: {type: str, returned: for the phase C(fail), description: "The state afterwards, and the next command."}
reason: {type: str, returned: on failure, description: "Why the phase failed, in one line."}
"""


class ActionModule(ReleaseAction):
    constraints = {"required_if": [["phase", "plan", ["to"]]]}
    verb = "rollback"

    def phase(self, args: dict[str, Any]) -> dict[str, Any]:
        rollback = Rollback(self.context(args))
        if args["phase"] == "plan":
            return {"plan": rollback.plan(args["to"].strip(), preview=self.preview).to_fact()}
        if args["phase"] == "fail":
            return {"conclusion": self._fail(rollback, args)}
        plan = RollbackPlan.from_fact(args["plan"])
        if self.preview:
            return {"changed": plan.needed and args["phase"] == "update"}
        return {"changed": rollback.update(plan) if args["phase"] == "update" else rollback.succeed(plan)}

    def _fail(self, rollback: Rollback, args: dict[str, Any]) -> str:
        failed = "the rollback failed, for the reason above. Next:"
        if not args["plan"]:
            return f"{failed} make status ENV={self.environment}"
        plan = RollbackPlan.from_fact(args["plan"])
        if args["unverified"]:
            return rollback.leave_unverified(plan, args["why"])
        return f"{failed} {rollback.fail(plan, args['why'])}"
