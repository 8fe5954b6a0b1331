"""Find resources that AWS allows once per account. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.account_singletons import Found, Wanted, find

DOCUMENTATION = r"""
module: account_singletons
short_description: Find resources that AWS allows once per account or region
description:
  - Looks for the recorder and the delivery channel of AWS Config, for the cost anomaly monitor of services, and for
    GitHub's OIDC provider. The Terraform provider has no data source for them. Changes nothing.
options:
  region: {type: str, required: true, description: "Region of the recorder."}
  name: {type: str, required: true, description: "The name of Terraform's own resources."}
  detection: {type: bool, required: true, description: "Whether to look for a recorder and a channel."}
  resource_types: {type: list, elements: str, required: true, description: "Resource types to record."}
  cost_anomaly: {type: bool, required: true, description: "Whether to look for a cost anomaly monitor."}
  github: {type: bool, required: true, description: "Whether to look for GitHub's OIDC provider."}
  app_name: {type: str, required: true, description: "The tag Application of Terraform's own resources."}
  home_region: {type: str, required: true, description: "Region of the account-wide resources; empty for O(region)."}
"""

RETURN = r"""
found: {description: "Variables of the account's Terraform root.", type: dict, returned: success}
own_recorder: {description: "Whether the recorder is, or will be, our own.", type: bool, returned: success}
remarks: {description: "What somebody else's recorder lacks.", type: list, elements: str, returned: success}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = Wanted(**args)
        if silence := self.silence():
            self.say(f"  which of these resources the account already has is not known yet: {silence}")
            found = Found()
        else:
            found = find(self.session(wanted.region), wanted)
        for remark in found.remarks:
            self.warn(f"  {remark}")
        return {
            "found": found.variables(),
            "own_recorder": wanted.detection and found.recorder in (None, wanted.name),
            "remarks": list(found.remarks),
        }
