"""Package the Lambda functions for Terraform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.bots_package import build, write

DOCUMENTATION = r"""
module: bots_package
short_description: Package the Lambda functions for Terraform
description:
  - Writes a zip of the Python files of O(source); the same sources give the same bytes, so that Terraform, which
    compares their hash, sees a change only where there is one.
  - Writes only below C(.local), in check mode as well, since the plan that follows reads the file.
options:
  source: {type: path, required: true, description: "The Python package; its name is the folder within the zip."}
  path: {type: path, required: true, description: "The zip."}
"""

EXAMPLES = r"""
- name: Package the bots
  bots_package:
    source: app/bots/bots
    path: .local/bots.zip
"""

RETURN = r"""
path:
  description: The zip.
  type: path
  returned: success
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        path = Path(args["path"])
        return {"changed": write(build(Path(args["source"])), path), "path": str(path)}
