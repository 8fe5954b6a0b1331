"""Write an environment's provider lock file. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.provider_lock import Request, checksums, resolve, write
from fargate_ops.terraform.workspace import exact_version

DOCUMENTATION = r"""
module: provider_lock
short_description: Write an environment's provider lock file
description:
  - If O(version) is exact, gets that version's checksums for every platform from the registry and writes them to
    O(file). For a range it writes nothing.
  - Check mode gets the checksums too, but writes nothing.
options:
  version: {type: str, required: true, description: "Constraint of C(hashicorp/aws)."}
  file: {type: path, required: true, description: "Path of the lock file."}
  root: {type: path, required: true, description: "The Terraform root whose constraints are recorded."}
  platforms: {type: list, elements: str, required: true, description: "Platforms, as C(linux_amd64)."}
  mirror: {type: str, required: true, description: "A mirror's directory to use instead of the registry, or empty."}
  terraform_path: {type: path, required: true, description: "The terraform binary."}
"""

EXAMPLES = r"""
- name: Lock the provider
  provider_lock:
    version: = 6.25.0
    file: inventory/staging/terraform.lock.hcl
    root: terraform
    platforms: [linux_amd64, darwin_arm64]
    terraform_path: /usr/bin/terraform
"""

RETURN = r"""
checksums:
  description: Number of checksums in the lock file; 0 for a range.
  type: int
  returned: success
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        path = Path(args["file"]).absolute()
        shown = "/".join(path.parts[-3:])
        version = exact_version(args["version"])
        if version is None:
            self.say(f"  {shown}: provider {args['version']} is a range, so nothing is locked")
            return {"checksums": 0}
        mirror = Path(args["mirror"]).expanduser() if args["mirror"] else None
        request = Request(version, args["platforms"], mirror)
        text = resolve(request, Path(args["root"]), path, Path(args["terraform_path"]), self.aws_environment)
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        changed = before != text if self.preview else write(path, text)
        what = f"{request}: {checksums(text)} checksums"
        if not changed:
            self.say(f"  {shown} is current: {what}")
        elif self.preview:
            self.say(f"  {shown} would be written: {what}")
        else:
            self.say(f"  {shown} is written: {what}. Next: git diff {shown}, then commit it")
        return {"changed": changed, "checksums": checksums(text)}
