"""Restore a database beside the one that serves: see what can be, decide, write it down, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.database.restore import flow
from fargate_ops.database.restore.target import Inventory
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: database_restore
short_description: Restore a database beside the one that serves
description:
  - C(choose) asks RDS what can be restored, refuses what cannot, and writes what was asked into the inventory's file;
    with none of C(time), C(snapshot), C(serve) and C(forget) it says what there is and changes nothing.
  - C(compare) surveys the restored database and its source by one-off tasks, says what is back and what is lost, and
    writes a report. It changes nothing.
extends_documentation_fragment: [operations, operations.stack, operations.poll]
options:
  phase: {type: str, required: true, choices: [choose, compare], description: Which.}
  restores: {type: dict, required: true, description: The inventory's C(database_restores).}
  serving: {type: str, required: true, description: The inventory's C(database_serving).}
  time: {type: str, default: "", description: "The second to restore, ISO 8601 with its zone."}
  snapshot: {type: str, default: "", description: The snapshot to restore.}
  serve: {type: str, default: "", description: "The key of the database that is to serve, or C(original)."}
  forget: {type: str, default: "", description: The key of a restored database that is not wanted any more.}
  file: {type: path, description: "The inventory's file, for C(choose)."}
  key: {type: str, description: "The restored database, for C(compare)."}
  directory: {type: path, description: "Where reports go, for C(compare)."}
  wait_seconds: {type: float, description: "How long a survey may take, for C(compare)."}
"""

EXAMPLES = r"""
- name: Restore a second
  database_restore:
    phase: choose
    stack: "{{ terraform_stack_outputs }}"
    environment_name: local
    restores: {}
    serving: ""
    time: 2026-11-24T10:15:00Z
    file: inventory/local/group_vars/all/database_restores.yml
"""

RETURN = r"""
key: {description: "The restored database; empty when none was asked for.", type: str, returned: for the phase choose}
restores: {description: The inventory's C(database_restores) now., type: dict, returned: for the phase choose}
serving: {description: The inventory's C(database_serving) now., type: str, returned: for the phase choose}
applied: {description: "And what was applied, which a restore leaves.", type: str, returned: for the phase choose}
comparison: {description: "What is lost and what is back, by table.", type: dict, returned: for the phase compare}
report: {description: The report's path., type: str, returned: for the phase compare}
"""


class ActionModule(OperationsAction):
    constraints = {
        "required_if": [["phase", "choose", ["file"]], ["phase", "compare", ["key", "directory", "wait_seconds"]]]
    }
    next_verb = "status"

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        self.require_stack()
        flow.require_databases(self.stack)
        inventory, clients = Inventory.from_variables(args["restores"], args["serving"]), self.session()
        if args["phase"] == "choose":
            wish = flow.Wish(**{name: args[name] for name in ("time", "snapshot", "serve", "forget")})
            return flow.choose(clients, self.stack, inventory, wish, Path(args["file"]), self.say, preview=self.preview)
        if self.preview:
            message = f"  would survey {args['key']} and its source: no task is started in check mode"
            return self.report(message, comparison={}, report="")
        return flow.compare(
            clients,
            self.stack,
            inventory,
            args["key"],
            Path(args["directory"]),
            self.say,
            wait_seconds=args["wait_seconds"],
            poll_seconds=args["poll_seconds"],
            sleep=self.sleep,
        )
