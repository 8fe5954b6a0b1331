"""Keep the provider's checksums of an environment in git. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.provider_lock import Request, checksums, resolve, write
from fargate_ops.terraform.workspace import exact_version

DOCUMENTATION = r"""
module: provider_lock
short_description: Keep the provider's checksums of an environment in git
description:
  - Where O(version) is exact, asks the registry for the checksums of that version on every platform and writes them to
    O(file). A range is left to each machine, and nothing is written.
  - In check mode it asks all the same, and writes nothing.
options:
  version: {type: str, required: true, description: "Constraint of C(hashicorp/aws)."}
  file: {type: path, required: true, description: "The lock file."}
  root: {type: path, required: true, description: "The Terraform root whose constraints it records."}
  platforms: {type: list, elements: str, required: true, description: "C(linux_amd64), …"}
  mirror: {type: str, required: true, description: "A mirror's directory to ask instead of the registry."}
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
  description: How many the lock holds; 0 where a range is declared.
  type: int
  returned: success
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        path = Path(args["file"]).absolute()
        shown = "/".join(path.parts[-3:])
        version = exact_version(args["version"])
        if version is None:
            self.say(f"  {shown}: any provider {args['version']} is taken here, so none is locked")
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
