"""Show every effective setting and the file that sets it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.utils.vars import load_extra_vars

from fargate_ops.core.files import write_file
from fargate_ops.inventory.resolve import resolved
from fargate_ops.inventory.settings import effective, names, row, text
from fargate_ops.inventory.yaml_scan import scan, sources
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: inventory_settings
short_description: Show every effective setting and the file that sets it
description:
  - Prints the resolved value of each variable that the inventory sets, with file and line. Reads only.
  - A value that looks like a secret is not shown.
options:
  project_dir: {type: path, required: true, description: "The checkout."}
  format: {type: str, choices: [text, json], required: true, description: "How to print; json also goes to C(file)."}
  file: {type: path, required: true, description: "Path of the JSON file."}
"""

EXAMPLES = r"""
- name: Show every setting
  inventory_settings:
    project_dir: .
    file: .local/staging/settings.json
"""

RETURN = r"""
settings:
  description: Value and place by variable.
  type: dict
  returned: success
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        inventory, project = Path(self.task_vars["inventory_dir"]), Path(args["project_dir"])
        written, command_line = scan(sources(inventory, project)), load_extra_vars(self._loader)
        found = resolved(names(written, command_line), self.task_vars, self._templar.template)
        settings = effective(*found, written, command_line)
        plain = row(settings, inventory.name)
        if args["format"] == "json":
            content = json.dumps(plain, indent=2, ensure_ascii=False)
            write_file(Path(args["file"]), f"{content}\n")
            self.answer(content)
        else:
            self.answer(text(settings, inventory.name, os.path.relpath(inventory, project)))
        return {"settings": plain["settings"]}
