"""Announce a drill, observe the service, and conclude the drill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.client import LoadFile
from fargate_ops.drill.drills import Evidence, lacking, scene, verdict
from fargate_ops.drill.load import Report
from fargate_ops.drill.steady_state import ServiceState, observe, wait_until_steady
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: drill
short_description: Announce a drill, observe the service, and conclude the drill
description:
  - C(announce) prints the fault and the promises. It refuses a drill that needs a setting which the application has
    not, or with C(optional) skips it. C(observe) waits for a steady state and returns the service's state. C(conclude)
    compares the promises with the results, and fails if a promise was not kept.
  - Changes nothing.
extends_documentation_fragment: [operations, operations.application]
options:
  phase: {type: str, required: true, choices: [announce, observe, conclude], description: "The phase."}
  name:
    description: The drill, for C(announce) and C(conclude).
    type: str
    choices:
      [broken_release, never_healthy, task_killed, no_capacity, zone_lost, database_restart, pool_exhaustion,
       slow_query, rotation, restore, cpu_load]
  optional: {type: bool, default: false, description: "Whether C(announce) may skip the drill."}
  load_file: {type: path, required: true, description: "The application's load file; may be empty or missing."}
  stack: {type: dict, description: "The fact C(terraform_stack_outputs), for C(observe)."}
  bucket: {type: str, description: "The state bucket, which holds the ledger, for C(observe)."}
  limit_seconds: {type: float, description: "How many seconds C(observe) waits for a steady state."}
  before: {type: dict, description: "The result of C(observe) before the fault, for C(conclude)."}
  after: {type: dict, description: "Its result after the fault, for C(conclude)."}
  happened: {type: dict, description: "The result of the drill's own step, for C(conclude)."}
  report: {type: path, description: "The load's report, for C(conclude)."}
"""

EXAMPLES = """
- name: Wait for a steady state
  drill:
    phase: observe
    application: "{{ app_contract }}"
    load_file: "{{ app_load_file }}"
    stack: "{{ terraform_stack_outputs }}"
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
    limit_seconds: 120
  register: before
"""

RETURN = """
go: {type: bool, returned: for the phase announce, description: "Whether to run the drill; false in check mode."}
skipped: {type: bool, returned: for the phase announce, description: "Whether it needs what the application has not."}
seen: {type: dict, returned: for the phase observe, description: "The service's state."}
verdict: {type: str, returned: for the phase conclude, description: "The last line of the comparison."}
"""


class ActionModule(OperationsAction):
    constraints = {
        "required_if": [
            ["phase", "announce", ["name"]],
            ["phase", "observe", ["stack", "bucket", "limit_seconds"]],
            ["phase", "conclude", ["name", "before", "after", "happened", "report"]],
        ]
    }
    next_verb = "status"

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if args["phase"] == "announce":
            if settings := lacking(args["name"], self.application, LoadFile.read(args["load_file"])):
                needs = f"the drill {args['name']} needs {', '.join(settings)}, which the application has not"
                if not args["optional"]:
                    raise OperationsError(f"{needs}. Next: see docs/your-application.md")
                return self.report(f"skipped: {needs}", go=False, skipped=True)
            self.answer("\n".join(scene(args["name"])), color="bright blue")
            return {"go": not self.preview, "skipped": False}
        return self._observe(args) if args["phase"] == "observe" else self._conclude(args)

    def _observe(self, args: dict[str, Any]) -> dict[str, Any]:
        self.require_stack()
        clients = self.session()
        seen = wait_until_steady(
            lambda: observe(clients, self.stack, args["bucket"], self.environment),
            args["limit_seconds"],
            sleep=self.sleep,
        )
        return {"seen": seen.to_plain()}

    def _conclude(self, args: dict[str, Any]) -> dict[str, Any]:
        evidence = Evidence(
            before=ServiceState(**args["before"]),
            after=ServiceState(**args["after"]),
            load=Report.from_json(Path(args["report"]).read_text(encoding="utf-8")),
            happened=args["happened"],
        )
        kept, lines = verdict(args["name"], evidence)
        self.answer("\n".join(lines), color="green" if kept else "red")
        if not kept:
            raise OperationsError(lines[-1])
        return {"verdict": lines[-1], **self.done(lines[-1])}
