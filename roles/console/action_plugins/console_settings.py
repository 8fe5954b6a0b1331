"""Write what the page of an environment needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.console.settings import Settings
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: console_settings
short_description: Write what the page of an environment needs
description:
  - Writes the play's C(environment) and Terraform's outputs into a file of mode 0600, for C(make console).
extends_documentation_fragment: [operations, operations.stack, operations.bucket]
options:
  region: {type: str, required: true, description: "The region."}
  direct_addresses:
    description: Addresses of this machine, which no proxy reaches.
    type: list
    elements: str
    required: true
  path: {type: path, required: true, description: "Path of the file."}
"""

EXAMPLES = """
- name: Write what the page of an environment needs
  console_settings:
    environment_name: local
    stack: "{{ terraform_stack_outputs }}"
    bucket: storefront-terraform-000000000000-ap-northeast-2
    region: ap-northeast-2
    direct_addresses: []
    path: .local/local/console.json
"""

RETURN = """
path: {type: str, returned: always, description: Path of the file.}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        settings = Settings(
            environment=self.environment,
            region=args["region"],
            bucket=args["bucket"],
            stack=dict(self.stack.values),
            aws_environment=self.aws_environment,
            direct_addresses=args["direct_addresses"],
        )
        if not self.preview:
            settings.write(Path(args["path"]))
        # The file is not part of the system, so writing it again is not reported as a change.
        return {"path": args["path"]}
