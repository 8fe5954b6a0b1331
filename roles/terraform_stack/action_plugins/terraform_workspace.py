"""Prepare the folder in which `community.general.terraform` then works. See DOCUMENTATION."""

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
  - Writes the variables file, puts the environment's provider lock in place and tells whether C(terraform init) is due.
  - In check mode it writes only below the working folder, and tells when a plan cannot be known yet.
  - A plan that is only looked at has files of its own, so that a flow that applies one at the same time is not changed.
extends_documentation_fragment: [operations.backend]
options:
  root: {description: The Terraform root, type: path, required: true}
  data_dir: {description: TF_DATA_DIR of this root and environment, type: path, required: true}
  variables: {description: The variables of the root, type: dict, required: true}
  lock_file: {description: 'The provider lock in git, if the environment keeps one', type: path, required: true}
  provider_version:
    {description: The environment's constraint; an exact one is pinned where no lock file is, type: str, required: true}
  terraform_path: {description: The terraform binary, type: path, required: true}
  provider_source:
    {description: What the provider is installed from; a change initialises again, type: str, required: true}
  plan_unchanged:
    {description: Plan even if neither configuration nor state changed since it was applied, type: bool, required: true}
  preview: {description: Whether the plan is only looked at; in check mode it always is, type: bool, required: true}
"""

RETURN = r"""
known: {description: Whether the state can be read; only false in check mode, type: bool}
reason: {description: Why it cannot, type: str}
init: {description: Whether init is due, type: bool}
fingerprint: {description: What to record once init has succeeded, type: str}
launcher: {description: Terraform as C(binary_path) takes it, type: path}
variables_file: {description: The file for C(variables_files), type: path}
plan_file: {description: Where the plan goes, type: path}
preview: {description: Whether the plan is only looked at, type: bool}
unchanged: {description: Whether there is nothing to plan; only true without C(plan_unchanged), type: bool}
applied: {description: What to record once it is applied, type: dict}
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
