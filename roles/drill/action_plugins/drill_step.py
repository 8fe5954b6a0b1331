"""Run one step of a drill."""

from __future__ import annotations

from typing import Any

from fargate_ops.drill.client import LoadFile
from fargate_ops.drill.steps import STEPS, Target
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: drill_step
short_description: Run one step of a drill
description:
  - C(task) stops one task of the service (StopTask) and waits until the service is in a steady state without it.
  - C(unplaced) stops one task of the service, and waits until an event says that ECS was unable to place another.
  - C(zone) associates the subnet of the zone that has most of the tasks with a network ACL that allows nothing, and
    waits until the service is in a steady state without those tasks; C(zone_back) gives the subnet its ACL back.
  - C(database) sends the load file's request C(setup), restarts the instance (RebootDBInstance) and waits until the
    application is ready again.
  - C(sessions) leaks the application's sessions until the server has no connection left and the application is not
    ready; C(recovery) waits until it is ready again, and reports whether the leaked sessions have ended.
  - C(slow) starts a slow statement that locks the table that the load reads most, C(starving) waits until the
    application is not ready, because its pools are full, C(cleared) waits until it is ready again.
  - C(rows) writes rows into a table of its own, deletes them as the master user in a later second, and writes others;
    C(restored) counts which of them the serving database has; C(drop) drops that table.
  - C(users) returns the database users of the service's sessions, C(former_user) the user of a task that runs the
    definition before a rotation, C(secret) writes the secret's value again and waits until every task was replaced.
  - C(scaled_out) waits until auto scaling has added tasks to those before, C(scaled_in) until it has removed them.
extends_documentation_fragment: [operations, operations.stack, operations.application, operations.bucket]
options:
  what:
    description: The step.
    type: str
    required: true
    choices:
      [task, unplaced, zone, zone_back, database, sessions, recovery, slow, starving, cleared, rows, restored, drop,
       users, former_user, secret, scaled_out, scaled_in]
  earlier:
    description: >-
      What C(sessions), C(slow), C(scaled_out) or the rotation returned, for the steps after it. For C(scaled_out), the
      state before.
    type: dict
    default: {}
  load_file: {type: path, required: true, description: "The application's load file; may be empty or missing."}
  limit_seconds: {type: float, required: true, description: "How many seconds to wait."}
  hold_seconds: {type: float, description: "How many seconds the slow statement takes, for C(slow)."}
"""

EXAMPLES = """
- name: Stop a task
  drill_step:
    what: task
    application: "{{ app_contract }}"
    load_file: "{{ app_load_file }}"
    stack: "{{ terraform_stack_outputs }}"
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
    limit_seconds: 180
"""

RETURN = """
happened: {type: dict, returned: success, description: "The step's result."}
"""


class ActionModule(OperationsAction):
    constraints = {"required_if": [["what", "slow", ["hold_seconds"]]]}
    next_verb = "status"
    _supports_check_mode = False

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        target = Target(
            clients=self.session(),
            stack=self.stack,
            application=self.application,
            load_file=LoadFile.read(args["load_file"]),
            bucket=args["bucket"],
            limit_seconds=args["limit_seconds"],
            say=self.answer,
            sleep=self.sleep,
            hold_seconds=args["hold_seconds"],
            earlier=args["earlier"],
        )
        return {"changed": True, "happened": STEPS[args["what"]](target)}
