"""One phase of a rollback of the ECS service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release import plugin_context as action
from fargate_ops.release.rollback import Rollback, RollbackPlan

DOCUMENTATION = """
---
action: ecs_rollback
short_description: One phase of a rollback of the ECS service
description:
  - C(plan) chooses the release to put back, refuses what cannot work and says what is possible, and records what is
    undone. C(update) points the service at that release's task definition and watches that deployment to its end.
    C(succeed) and C(fail) record how it ended.
  - In check mode C(plan) says where it would go, or refuses, and touches nothing.
extends_documentation_fragment: [ecs_release_context]
options:
  phase:
    description: Which one.
    required: true
    choices: [plan, update, succeed, fail]
    type: str
  to:
    description: >-
      For the phase C(plan), a git hash, alone or with a definition (C(0123456789ab+3f2a)), a revision (C(7) or
      C(family:7)) or steps (C(-2), C(2 steps)); empty undoes the most recent change, or resumes a rollback that has
      not succeeded.
    default: ""
    type: str
"""

EXAMPLES = """
- name: Put the release before this one back
  ecs_rollback:
    phase: plan
    stack: "{{ terraform_stack_outputs }}"
    limits: {flow: 6000, wait: 600, rollback_wait: 300, prepare_wait: 600, poll: 4, log_grace: 3}
    verify: {source: public, answers: 6, limit_seconds: 30}
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    notification_log: .local/local/notifications.log
"""

RETURN = """
plan:
  description: What is put back, with version, digest, image and revision.
  type: dict
  returned: always
conclusion:
  description: What is true now, and what to type.
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
        with action.failing_cleanly(f"{args['environment_name']}: rollback: {args['phase']}"):
            phase: Callable[[Rollback, dict[str, Any]], dict[str, Any]] = getattr(self, f"_{args['phase']}")
            return {"plan": args["plan"]} | phase(Rollback(action.context(self, args)), args)

    def _plan(self, rollback: Rollback, args: dict[str, Any]) -> dict[str, Any]:
        return {"changed": False, "plan": rollback.plan(args["to"].strip(), preview=self._task.check_mode).to_fact()}

    def _update(self, rollback: Rollback, args: dict[str, Any]) -> dict[str, Any]:
        plan = RollbackPlan.from_fact(args["plan"])
        return {"changed": plan.needed if self._task.check_mode else rollback.update(plan)}

    def _succeed(self, rollback: Rollback, args: dict[str, Any]) -> dict[str, Any]:
        changed = not self._task.check_mode and rollback.succeed(RollbackPlan.from_fact(args["plan"]))
        return {"changed": changed}

    def _fail(self, rollback: Rollback, args: dict[str, Any]) -> dict[str, Any]:
        failed = "the rollback failed, for the reason above. Next:"
        if not args["plan"]:
            return {"changed": False, "conclusion": f"{failed} make status ENV={args['environment_name']}"}
        plan = RollbackPlan.from_fact(args["plan"])
        if args["unverified"]:
            return {"changed": False, "conclusion": rollback.leave_unverified(plan, args["why"])}
        return {"changed": False, "conclusion": f"{failed} {rollback.fail(plan, args['why'])}"}
