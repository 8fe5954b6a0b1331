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
  - Writes a reproducible zip of the Python files of O(source). Terraform compares its hash, so the same sources never
    cause a difference in a plan.
  - Writes only below C(.local), also in check mode, because the next plan reads the file.
options:
  source: {type: path, required: true, description: "The Python package to zip; its name is the folder in the zip."}
  path: {type: path, required: true, description: "Path of the zip file."}
"""

EXAMPLES = r"""
- name: Package the bots
  bots_package:
    source: app/bots/bots
    path: .local/bots.zip
"""

RETURN = r"""
path:
  description: Path of the zip file.
  type: path
  returned: success
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        path = Path(args["path"])
        return {"changed": write(build(Path(args["source"])), path), "path": str(path)}
