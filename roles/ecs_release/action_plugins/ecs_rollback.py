"""One phase of a rollback of the ECS service."""

from __future__ import annotations

from typing import Any

from fargate_ops.core.problem import EndError
from fargate_ops.release.plugin_context import ReleaseAction
from fargate_ops.release.rollback import Rollback, RollbackPlan

DOCUMENTATION = """
---
action: ecs_rollback
short_description: One phase of a rollback of the ECS service
description:
  - C(plan) chooses the release to put back and records which one is undone. It refuses an impossible rollback and names
    the possible ones. C(update) points the service at that release's task definition and watches that deployment to its
    end. C(succeed) and C(fail) record the outcome; C(fail) then fails with it.
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
    strategy: "{{ ecs_release_strategy }}"
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
    requires_lock: true
    notification_log: .local/local/notifications.log
    why: too slow
"""

RETURN = """
plan: {type: dict, returned: always, description: "The release to put back: version, digest, image, revision."}
reason: {type: str, returned: on failure, description: "Why the phase failed, in one line."}
outcome: {type: dict, returned: for the phase C(succeed) and on failure, description: How the command ended.}
"""


class ActionModule(ReleaseAction):
    constraints = {"required_if": [["phase", "plan", ["to"]]]}
    verb = "rollback"

    def phase(self, args: dict[str, Any]) -> dict[str, Any]:
        rollback = Rollback(self.context(args))
        if args["phase"] == "plan":
            return {"plan": rollback.plan(args["to"].strip(), preview=self.preview).to_fact()}
        plan = RollbackPlan.from_fact(args["plan"]) if args["plan"] else None
        if args["phase"] == "fail":
            raise EndError(rollback.end(plan, self.failed(args)), self.environment)
        assert plan  # noqa: S101 - for the type checker; only the phase fail may have none
        if args["phase"] == "update":
            return {"changed": plan.needed if self.preview else rollback.update(plan)}
        changed = False if self.preview else rollback.succeed(plan)
        return {"changed": changed, **self.ended(rollback.done(plan, preview=self.preview))}
