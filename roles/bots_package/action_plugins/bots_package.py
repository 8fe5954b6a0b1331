"""Package the Lambda functions for Terraform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from roles.bots_package.python import package
from roles.preflight.python.arguments import argument_spec

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


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec=argument_spec(DOCUMENTATION))
        path = Path(args["path"])
        try:
            changed = package.write(package.build(Path(args["source"])), path)
        except package.NoSources as error:
            return result | {"failed": True, "msg": f"The bots cannot be packaged: {error}. Next: git status app/bots"}
        return result | {"changed": changed, "path": str(path)}
