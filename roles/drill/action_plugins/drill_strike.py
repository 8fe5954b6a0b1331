"""Do a failure on purpose, and watch until the system has answered it."""

from __future__ import annotations

from typing import Any

from fargate_ops.drill.strikes import STRIKES, Target
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: drill_strike
short_description: Do a failure on purpose, and watch until the system has answered it
description:
  - C(task) stops one task of the service (StopTask) and waits until the service is whole again without it.
  - C(database) writes a row, restarts the instance (RebootDBInstance) and waits until C(/readyz) is right again.
  - C(sessions) leaks the application's sessions until the server has no connection left and C(/readyz) says 503;
    C(recovery) waits until it is right again, and tells what became of the leaked ones.
  - C(slow) starts a slow statement that others will wait for, C(starving) sees requests find no connection in their
    pool, C(cleared) waits until that is over.
  - C(rows) writes accounts, deletes them with the master user after a whole second, and writes others; C(restored)
    looks what the application has of them.
  - C(users) tells as whom the service's sessions are, C(former_user) as whom a task of the definition before a rotation
    logs in, C(secret) puts the value of the secret in use once more and waits until every task was replaced.
extends_documentation_fragment: [operations, operations.stack, operations.bucket]
options:
  what:
    description: What is hit.
    type: str
    required: true
    choices: [task, database, sessions, recovery, slow, starving, cleared, rows, restored, users, former_user, secret]
  struck:
    description: What C(sessions), C(slow), C(rows) or the rotation returned, for what comes after it.
    type: dict
    default: {}
  limit_seconds: {type: float, required: true, description: "For how long to wait for the answer."}
  hold_seconds: {type: float, description: "How long the slow statement takes, for C(slow)."}
"""

EXAMPLES = """
- name: Stop a task
  drill_strike:
    what: task
    stack: "{{ terraform_stack_outputs }}"
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    limit_seconds: 180
"""

RETURN = """
happened: {type: dict, returned: success, description: "What was hit, and how the system answered."}
"""


class ActionModule(OperationsAction):
    constraints = {"required_if": [["what", "slow", ["hold_seconds"]]]}
    next_verb = "status"
    _supports_check_mode = False

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        target = Target(
            clients=self.session(),
            stack=self.stack,
            bucket=args["bucket"],
            limit_seconds=args["limit_seconds"],
            say=self.say,
            sleep=self.sleep,
            hold_seconds=args["hold_seconds"],
            struck=args["struck"],
        )
        return {"changed": True, "happened": STRIKES[args["what"]](target)}
