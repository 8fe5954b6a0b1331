"""Create the inventory of a new environment from another one. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import CompleteError
from fargate_ops.inventory.folder import Request, missing, plan, write
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: environment_folder
short_description: Create the inventory of a new environment from another one
description:
  - Copies the folder of O(from) with its comments, and replaces name, account, region and zones.
  - Writes nothing unless everything is valid, and nothing in check mode. Refuses an existing folder.
options:
  name: {type: str, required: true, description: "The new environment's name."}
  from: {type: str, required: true, description: "The environment whose folder is copied."}
  region: {type: str, required: true, description: "AWS region."}
  account_id: {type: str, required: true, description: "AWS account, 12 digits."}
  zones: {type: str, required: true, description: "Letters or names of zones, separated by commas; empty derives them."}
  directory: {type: path, required: true, description: "Folder that contains the environments' folders."}
"""

EXAMPLES = r"""
- name: Create an environment
  environment_folder:
    name: qa
    from: staging
    region: ap-northeast-1
    account_id: "123456789012"
    zones: a,c,d
    directory: inventory
"""

RETURN = r"""
folder:
  description: Path of the new folder.
  type: str
  returned: success
look_at:
  description: Lines to check, whose values belong to the other environment (addresses, ARNs).
  type: list
  returned: success
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        zones = tuple(zone for zone in args["zones"].replace(" ", "").split(",") if zone)
        request = Request(args["name"], args["from"], args["region"], args["account_id"], zones)
        if flags := missing(request):
            raise CompleteError(
                f"Not given: {', '.join(flags)}. Next: make new-env {' '.join(flags)} …", kind=Kind.REFUSED
            )
        directory = Path(args["directory"]).absolute()
        folder = plan(request, directory)
        if not self.preview:
            write(folder, directory / request.name)
        for line in folder.look_at:
            self.answer(f"  copied from {request.source}, check whether it applies here too: {line}")
        if folder.derived:
            self.answer(
                f"  zones derived from the region: {', '.join(folder.zones)}. Which the account has: aws ec2 "
                f"describe-availability-zones --region {request.region}; others: ZONES=a,c,d or network.yml"
            )
        self.answer(
            f"  inventory/{request.name} {'would be' if self.preview else 'is'} {request.source} in {request.region}, "
            f"account {request.account_id}. Next: make bootstrap ENV={request.name}, then make plan ENV={request.name}"
        )
        return {"changed": True, "folder": str(directory / request.name), "look_at": list(folder.look_at)}
