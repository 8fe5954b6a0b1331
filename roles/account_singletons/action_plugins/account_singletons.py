"""Find what AWS allows once per account. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.account_singletons import Found, Wanted, find

DOCUMENTATION = r"""
module: account_singletons
short_description: Find what AWS allows once per account and region
description:
  - Looks for the recorder and the delivery channel of AWS Config, for the cost anomaly monitor of services, and for
    GitHub's OIDC provider. The Terraform provider has no data source that may find none. Changes nothing.
options:
  region: {type: str, required: true, description: "Region of the recorder."}
  name: {type: str, required: true, description: "The name that Terraform gives to its own."}
  detection: {type: bool, required: true, description: "Whether to ask AWS Config."}
  resource_types: {type: list, elements: str, required: true, description: "Types that should be recorded."}
  cost_anomaly: {type: bool, required: true, description: "Whether to ask Cost Explorer."}
  github: {type: bool, required: true, description: "Whether to ask IAM for GitHub's OIDC provider."}
  app_name: {type: str, required: true, description: "The tag Application of what is Terraform's own."}
  home_region: {type: str, required: true, description: "Region that has the account's own; empty: the recorder's."}
"""

RETURN = r"""
found: {description: "Variables of the account's root.", type: dict, returned: success}
own_recorder: {description: "Whether the account needs, or has, a recorder of our own.", type: bool, returned: success}
remarks: {description: "What a recorder of others lacks.", type: list, elements: str, returned: success}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = Wanted(**args)
        if silence := self.silence():
            self.say(f"  what the account has already is not known yet: {silence}")
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
