"""Seed a month of synthetic billing data, check the cost report of it, and remove it."""

from __future__ import annotations

from typing import Any

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.cost_surge_checks import scene, verdict
from fargate_ops.drill.cost_surge_seed import remove, require_address, seed
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: drill_cost_surge
short_description: Seed a month of synthetic billing data, check the cost report of it, and remove it
description:
  - C(announce) prints the steps and the promises. C(seed) puts the costs and recommendations of
    C(fargate_ops.drill.cost_surge) into the local cloud, with a budget, a gp2 volume and an unused address. C(judge)
    compares the report with the known answer, and fails if they differ. C(remove) restores the previous state.
extends_documentation_fragment: [operations]
options:
  phase: {type: str, required: true, choices: [announce, seed, judge, remove], description: "The phase."}
  account_id: {type: str, description: "The account, for C(seed) and C(remove)."}
  region: {type: str, description: "The region, for C(seed) and C(remove)."}
  seeded: {type: dict, default: {}, description: "The result of C(seed), for C(judge) and C(remove)."}
  report: {type: dict, description: "The fact C(cost_report_result), for C(judge)."}
"""

EXAMPLES = """
- name: Seed the month
  drill_cost_surge:
    phase: seed
    environment_name: local
    account_id: "000000000000"
    region: ap-northeast-2
  register: seeded
"""

RETURN = """
go: {type: bool, returned: for the phase announce, description: "Whether to run the drill; false in check mode."}
seeded: {type: dict, returned: for the phase seed, description: "The created resources, and the costs before."}
verdict: {type: str, returned: for the phase judge, description: "The last line of the comparison."}
"""


class ActionModule(OperationsAction):
    constraints = {
        "required_if": [
            ["phase", "seed", ["account_id", "region"]],
            ["phase", "remove", ["account_id", "region"]],
            ["phase", "judge", ["report"]],
        ]
    }
    next_verb = "cost-report"

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if args["phase"] == "announce":
            self.answer("\n".join(scene()), color="bright blue")
            return {"go": not self.preview}
        if args["phase"] == "judge":
            return self._judge(args)
        address = require_address(self.aws_environment)
        clients, account = self.session(args["region"]), args["account_id"]
        if args["phase"] == "seed":
            return {"seeded": seed(clients, address, account, args["region"])}
        remove(clients, address, account, args["seeded"])
        return {}

    def _judge(self, args: dict[str, Any]) -> dict[str, Any]:
        kept, lines = verdict(args["report"], args["seeded"])
        self.answer("\n".join(lines), color="green" if kept else "red")
        if not kept:
            raise OperationsError(lines[-1])
        return {"verdict": lines[-1], **self.done(lines[-1])}
