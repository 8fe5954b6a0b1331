"""Restore a database beside the serving one: write it into the inventory, and compare it with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.core.application import ADMIN_COMMAND_NEXT, NO_ADMIN_COMMAND
from fargate_ops.database.restore import flow
from fargate_ops.database.restore.target import Inventory
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: database_restore
short_description: Restore a database beside the serving one
description:
  - C(choose) reads the available restore points from RDS, refuses an impossible request, and writes a possible one into
    the inventory's file. Without C(time), C(snapshot), C(serve) and C(forget) it lists the restore points and changes
    nothing.
  - C(compare) collects table statistics of the restored database and its source in one-off tasks, prints which rows are
    restored and which are missing, and writes a report. It changes nothing else. Without an admin command, nothing is
    compared.
extends_documentation_fragment: [operations, operations.stack, operations.application, operations.poll]
options:
  phase: {type: str, required: true, choices: [choose, compare], description: The phase.}
  restores: {type: dict, required: true, description: The inventory's C(database_restores).}
  serving: {type: str, required: true, description: The inventory's C(database_serving).}
  time: {type: str, default: "", description: "The second to which to restore; ISO 8601 with its zone."}
  snapshot: {type: str, default: "", description: The snapshot to restore.}
  serve: {type: str, default: "", description: "The key of the database that should serve, or C(original)."}
  forget: {type: str, default: "", description: The key of a restored database that is no longer needed.}
  file: {type: path, description: "The inventory's file of restores, for C(choose)."}
  key: {type: str, description: "The restored database, for C(compare)."}
  directory: {type: path, description: "Folder of the reports, for C(compare)."}
  wait_seconds: {type: float, description: "Seconds that one database's statistics may take, for C(compare)."}
"""

EXAMPLES = r"""
- name: Restore the database as it was at a given second
  database_restore:
    phase: choose
    stack: "{{ terraform_stack_outputs }}"
    application: "{{ app_contract }}"
    environment_name: local
    restores: {}
    serving: ""
    time: 2026-11-24T10:15:00Z
    file: inventory/local/group_vars/all/database_restores.yml
"""

RETURN = r"""
key: {description: "The database to restore; empty if there is none.", type: str, returned: for the phase choose}
restores: {description: The inventory's C(database_restores) now., type: dict, returned: for the phase choose}
serving: {description: The inventory's C(database_serving) now., type: str, returned: for the phase choose}
applied: {description: "The key of the database that serves now.", type: str, returned: for the phase choose}
comparison: {description: "Restored and missing rows, by table.", type: dict, returned: for the phase compare}
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
            found = flow.choose(
                clients, self.stack, inventory, wish, Path(args["file"]), self.answer, preview=self.preview
            )
            return found | self.ended(found["outcome"])
        if self.preview:
            message = f"  would survey {args['key']} and its source: no task is started in check mode"
            return self.report(message, comparison={}, report="")
        if not self.application.admin_command:
            message = f"  {args['key']} is not compared with its source: {NO_ADMIN_COMMAND}. Next: {ADMIN_COMMAND_NEXT}"
            return self.report(message, comparison={}, report="")
        found = flow.compare(
            clients,
            self.stack,
            self.application,
            inventory,
            args["key"],
            Path(args["directory"]),
            self.answer,
            wait_seconds=args["wait_seconds"],
            poll_seconds=args["poll_seconds"],
            sleep=self.sleep,
        )
        return found | self.ended(found["outcome"])
