"""Move traffic away from an availability zone, or back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fargate_ops.ecs.zone_away import Limits, ZoneAway
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: zone_away
short_description: Move traffic away from an availability zone, or back
description:
  - Starts a zonal shift of the load balancer (ARC) away from C(zone), which ends by itself. Refuses it if the other
    zones' healthy targets could not carry the load. With C(cancel), cancels the active shift.
  - Changes nothing if traffic is already away from C(zone), or if there is nothing to cancel. Check mode only reports.
extends_documentation_fragment: [operations, operations.stack]
options:
  zone: {type: str, required: true, description: "Name of the zone, C(ap-northeast-2a)."}
  cancel: {type: bool, required: true, description: "Whether to cancel the active shift instead."}
  expires_in: {type: str, required: true, description: "Minutes or hours after which it ends, C(90m) or C(1h)."}
  comment: {type: str, required: true, description: "The shift's comment, at most 128 characters."}
  cpu_percent:
    description: The CPU that the other zones' targets may reach, in percent of what their tasks have.
    type: float
    required: true
  minutes: {type: int, required: true, description: "How far back the CPU is read, in minutes."}
"""

EXAMPLES = """
- name: Move traffic away from a zone
  zone_away:
    stack: "{{ terraform_stack_outputs }}"
    environment_name: staging
    zone: ap-northeast-2a
    cancel: false
    expires_in: 1h
    comment: a switch failed
    cpu_percent: 80
    minutes: 5
"""

RETURN = """
zone: {type: str, returned: success, description: "The zone that traffic is now away from; empty if none."}
"""


class ActionModule(OperationsAction):
    next_verb = "status"

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        self.require_stack()
        shifts = ZoneAway(self.session(), self.stack, self.environment, self.say)
        if args["cancel"]:
            result = shifts.cancel(preview=self.preview)
        else:
            result = shifts.start(
                args["zone"],
                args["expires_in"],
                args["comment"],
                Limits(cpu_percent=args["cpu_percent"], minutes=args["minutes"]),
                datetime.now(UTC),
                preview=self.preview,
            )
        back = f"make zone-away CANCEL=1 ENV={self.environment}" if result.zone else ""
        return {"changed": result.changed, "zone": result.zone, **self.done(result.what, next_command=back)}
