"""Continue or stop the deployment of the ECS service that is in flight."""

from __future__ import annotations

from typing import Any

from fargate_ops.release.abort import Abort
from fargate_ops.release.plugin_context import ReleaseAction
from fargate_ops.release.promote import Promote

DOCUMENTATION = """
---
action: ecs_in_flight
short_description: Continue or stop the deployment of the ECS service that is in flight
description:
  - C(promote) continues a deployment that is paused, after a check of its test traffic. If none is paused, it says when
    the one in flight ends.
  - C(abort) stops the deployment in flight, records that, and waits until the version before it serves alone.
  - In check mode each says what it would do, and nothing is changed.
extends_documentation_fragment:
  - operations
  - operations.stack
  - operations.application
  - operations.bucket
  - operations.notification
  - ecs_release_context
options:
  phase: {type: str, required: true, choices: [promote, abort], description: What to do.}
"""

EXAMPLES = """
- name: Stop the deployment in flight
  ecs_in_flight:
    phase: abort
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
reason: {type: str, returned: on failure, description: "Why it failed, in one line."}
outcome: {type: dict, returned: always, description: How the command ended.}
"""


class ActionModule(ReleaseAction):
    def phase(self, args: dict[str, Any]) -> dict[str, Any]:
        self.require_stack()
        context = self.context(args)
        operation = Promote(context) if args["phase"] == "promote" else Abort(context)
        changed, outcome = operation.run(preview=self.preview)
        return {"changed": changed, **self.ended(outcome)}
