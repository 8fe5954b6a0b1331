"""Prepare the folder in which `community.general.terraform` then works. See DOCUMENTATION."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform import workspace
from fargate_ops.terraform.outputs import state_etag

DOCUMENTATION = r"""
module: terraform_workspace
short_description: Prepare the working folder of one Terraform root for one environment
description:
  - Writes the variables file, puts the environment's provider lock in place and tells whether C(terraform init) is due.
  - In check mode it writes only below the working folder, and tells when a plan cannot be known yet.
  - A plan that is only looked at has files of its own, so that a flow that applies one at the same time is not changed.
options:
  root: {description: The Terraform root, type: path, required: true}
  data_dir: {description: TF_DATA_DIR of this root and environment, type: path, required: true}
  variables: {description: The variables of the root, type: dict, required: true}
  backend: {description: 'The S3 backend: bucket, key, region', type: dict, required: true}
  lock_file: {description: 'The provider lock in git, if the environment keeps one', type: path, required: true}
  provider_version:
    {description: The environment's constraint; an exact one is pinned where no lock file is, type: str, default: ""}
  terraform_path: {description: The terraform binary, type: path, required: true}
  provider_source:
    {description: What the provider is installed from; a change initialises again, type: str, default: ""}
  plan_unchanged:
    {description: Plan even if neither configuration nor state changed since it was applied, type: bool, default: true}
  preview: {description: Whether the plan is only looked at, as it always is in check mode, type: bool, default: false}
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
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        root, data_dir, backend = Path(args["root"]), Path(args["data_dir"]), args["backend"]
        s3 = aws_session(action_environment(self), backend["region"]).client("s3")

        unknown = _unreadable_state(s3, backend["bucket"])
        if unknown:
            if not self.check_mode:
                environment = self.task_vars.get("env_name", "…")
                raise ProblemError(unknown, f"s3://{backend['bucket']}", f"make bootstrap ENV={environment}")
            message = (
                f"{root.name}: the plan cannot be known yet: {unknown} It would then plan every resource of {root}/"
            )
            Display().display(f"  {message}", color="yellow")
            return {"known": False, "reason": message, "unchanged": False, "init": False}

        lock_file, exact = Path(args["lock_file"]), workspace.exact_version(args["provider_version"])
        if refusal := workspace.lock_refusal(lock_file, exact):
            raise ProblemError(refusal, str(lock_file), "make lock, then commit what it wrote")
        if stray := workspace.stray_variables(root):
            raise ProblemError(
                f"Terraform would take variables from {', '.join(path.name for path in stray)}; nothing was planned.",
                str(root),
                f"set them in the inventory, then: rm {' '.join(shlex.quote(str(path)) for path in stray)}",
            )
        if exact and not lock_file.is_file():
            Display().display(
                f"  provider {exact} is taken without known checksums: no {lock_file.parent.name}/{lock_file.name}. "
                "Next: make lock, then commit it",
                color="yellow",
            )
        data_dir.mkdir(parents=True, exist_ok=True)
        workspace.discard_broken(data_dir)
        workspace.install_lock_file(root, [lock_file, data_dir / workspace.LOCK_FILE], exact)
        wanted = workspace.fingerprint(
            root, root.parent / "modules", {"backend": backend, "source": args["provider_source"]}
        )
        preview = args["preview"] or self.check_mode
        name = "preview" if preview else "apply"
        variables_file = data_dir / f"{name}.tfvars.json"
        workspace.write_variables(variables_file, args["variables"])
        launcher = data_dir / "terraform.sh"
        workspace.write_launcher(launcher, args["terraform_path"], locked=lock_file.is_file())
        # Not the lock that init leaves in the root: it is not there yet when the first plan is made.
        inputs = {
            "backend": backend,
            "terraform": args["terraform_path"],
            "provider": [args["provider_source"], args["provider_version"]],
            "lock": lock_file.read_text() if lock_file.is_file() else "",
        }
        digest = workspace.applied_digest(root, root.parent / "modules", args["variables"], inputs)
        unchanged = not args["plan_unchanged"] and workspace.is_applied(
            data_dir, digest, state_etag(s3, backend["bucket"], backend["key"])
        )
        if unchanged:
            Display().display(f"  {root.name}: as it was applied, so it is not planned")
        return {
            "known": True,
            "unchanged": unchanged,
            "applied": {"data_dir": str(data_dir), "digest": digest, "variables_file": str(variables_file)},
            "init": not workspace.initialised(data_dir, wanted),
            "fingerprint": wanted,
            "launcher": str(launcher),
            "variables_file": str(variables_file),
            "plan_file": str(data_dir / f"{name}.tfplan"),
            "preview": preview,
        }


def _unreadable_state(s3: Any, bucket: str) -> str:
    """Why the state cannot be read, or an empty string."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return f"The state bucket {bucket} does not exist; bootstrap makes it."
        return f"The state bucket {bucket} cannot be read: {error}."
    except BotoCoreError as error:
        return f"AWS does not answer: {error}."
    return ""
