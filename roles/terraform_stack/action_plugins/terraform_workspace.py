"""Prepare the working folder of `community.general.terraform`. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.prepare import Request, prepare, unreadable_state

DOCUMENTATION = r"""
module: terraform_workspace
short_description: Prepare the working folder of one Terraform root for one environment
description:
  - Writes the variables file, installs the environment's provider lock and returns whether C(terraform init) is needed.
  - In check mode, writes only below the working folder, and reports if a plan cannot be known yet.
  - A preview has files of its own, so that it does not affect a concurrent apply.
extends_documentation_fragment: [operations.backend]
options:
  root: {description: The Terraform root, type: path, required: true}
  data_dir: {description: TF_DATA_DIR of this root and environment, type: path, required: true}
  variables: {description: The root's variables, type: dict, required: true}
  lock_file: {description: 'The provider lock in git, if the environment has one', type: path, required: true}
  provider_version:
    {description: The environment's constraint; an exact one is pinned without a lock file, type: str, required: true}
  terraform_path: {description: The terraform binary, type: path, required: true}
  provider_source:
    {description: The provider's source; a different one needs C(terraform init) again, type: str, required: true}
  plan_unchanged:
    {description: Plan even if neither configuration nor state changed since the apply, type: bool, required: true}
  preview: {description: Whether the plan will not be applied; always in check mode, type: bool, required: true}
"""

RETURN = r"""
known: {description: Whether the state can be read; only false in check mode, type: bool}
reason: {description: The reason if it cannot, type: str}
init: {description: Whether C(terraform init) is needed, type: bool}
fingerprint: {description: The fingerprint to record after C(terraform init) has succeeded, type: str}
launcher: {description: The command for C(binary_path), type: path}
variables_file: {description: The file for C(variables_files), type: path}
plan_file: {description: Path of the plan, type: path}
progress_file: {description: The file into which the launcher copies the output of an apply or a destroy, type: path}
preview: {description: Whether the plan will not be applied, type: bool}
unchanged: {description: Whether there is nothing to plan; only true without C(plan_unchanged), type: bool}
applied: {description: The record to write after a complete apply, type: dict}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        paths: dict[str, Any] = {name: Path(args.pop(name)) for name in ("root", "data_dir", "lock_file")}
        preview = args.pop("preview") or self.preview
        request = Request(**paths, **args, preview=preview)
        s3, bucket = self.session(request.backend["region"]).client("s3"), request.backend["bucket"]
        if unknown := unreadable_state(s3, bucket):
            if not self.preview:
                raise ProblemError(unknown, f"s3://{bucket}", f"make bootstrap ENV={self.environment}")
            root = request.root
            reason = (
                f"{root.name}: the plan cannot be known yet: {unknown} It would then plan every resource of {root}/"
            )
            self.warn(f"  {reason}")
            return {"known": False, "reason": reason, "unchanged": False, "init": False}
        return prepare(request, s3, self.say, self.warn)
