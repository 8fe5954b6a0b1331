"""Read a saved plan, say what it would do, and refuse what nobody asked for. See DOCUMENTATION."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible import context
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform import cause
from fargate_ops.terraform.plan import Plan, nothing_to_apply, read_plan, refusal, refused
from fargate_ops.terraform.workspace import FINGERPRINT, LOCK_FILE, exact_version, locked_version

DOCUMENTATION = r"""
module: terraform_guard
short_description: Read a saved Terraform plan, print what it would do, refuse dangerous changes
description:
  - C(community.general.terraform) misses replacements and output-only changes, so the plan itself is read.
  - A plan that C(terraform plan) itself called empty is not read again, which would start the provider once more.
  - Fails when a resource of a protected type would be destroyed, replaced or restarted, unless it is allowed by name.
    The failure names what differs in the inventory since the last complete apply.
  - Fails when the plan covers a part of the configuration only.
  - Also records that C(terraform init) has succeeded.
options:
  launcher: {description: What terraform_workspace returned, type: path, required: true}
  root: {description: The Terraform root, type: path, required: true}
  data_dir: {description: TF_DATA_DIR of this root and environment, type: path, required: true}
  plan_file: {description: The saved plan, type: path, required: true}
  plan_output: {description: What C(terraform plan) printed, type: str, required: true}
  fingerprint: {description: What terraform_workspace returned, type: str, required: true}
  variables: {description: The variables of the root, type: dict, required: true}
  variables_name: {description: The variable of Ansible that holds them, type: str, required: true}
  backend: {description: 'The S3 backend: bucket, key, region', type: dict, required: true}
  protected_types: {description: Resource types that need permission, type: list, elements: str, default: []}
  allowed: {description: Addresses or types that have it, type: list, elements: str, default: []}
  provider_version: {description: The environment's constraint; an exact one is asserted, type: str, default: ""}
  full: {description: Print the whole plan as Terraform does, type: bool, default: false}
  refuse_changes: {description: Fail when there is anything to change (the drift check), type: bool, default: false}
"""

RETURN = r"""
apply: {description: Whether there is something to apply, type: bool}
summary: {description: 'create 3, update 1', type: str}
"""


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        root, data_dir = Path(args["root"]), Path(args["data_dir"])
        wanted, chosen = exact_version(args["provider_version"]), locked_version(root / LOCK_FILE)
        if wanted and chosen != wanted:
            raise ProblemError(
                f"Nothing was applied: this environment declares provider hashicorp/aws {wanted}, init chose {chosen}.",
                "aws_provider_version and terraform.lock.hcl (inventory)",
                "correct one of them, then repeat the command",
            )
        record_init(root, data_dir, args["fingerprint"])

        empty = nothing_to_apply(args["plan_output"])
        plan = Plan(changes=(), outputs=()) if empty else read_plan(json.loads(self._show(args, "-json")))
        display = Display()
        if args["full"] and not plan.empty:
            display.display(self._show(args))
        else:
            for change in plan.changes:
                display.display(f"  {change.line()}")
        display.display(f"  {root.name}: {plan.summary()}")

        if not plan.complete:
            raise ProblemError(
                "Nothing was applied: the plan covers a part of the configuration only.",
                "a -target or -exclude of Terraform",
                "leave it out, then repeat the command",
            )
        if changes := refused(plan, args["protected_types"], args["allowed"]):
            problem = refusal(changes, self._command(), self._causes(args))
            raise ProblemError(problem.what, problem.where, problem.next_step)
        if args["refuse_changes"] and not plan.empty:
            raise ProblemError(
                f"{root.name} is not what this repository says ({plan.summary()}); nothing was applied.",
                str(root),
                f"make deploy ENV={self._environment} for it to become so, or commit what it is",
            )
        return {"apply": not plan.empty, "summary": plan.summary(), "changed": not plan.empty}

    @property
    def _environment(self) -> str:
        return str(self.task_vars.get("env_name", "…"))

    def _command(self) -> str:
        """The command that applies this plan: a plan's own is a deployment."""
        (playbook, *_) = context.CLIARGS.get("args") or ["deploy"]
        verb = Path(playbook).stem
        return f"make {'deploy' if verb == 'plan' else verb} ENV={self._environment}"

    def _show(self, args: dict[str, Any], *options: str) -> str:
        command = [args["launcher"], "show", "-no-color", *options, args["plan_file"]]
        environment = {**os.environ, **action_environment(self)}
        done = subprocess.run(command, cwd=args["root"], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ProblemError(
                f"The plan cannot be read: {done.stderr.strip()}", args["plan_file"], "repeat the command"
            )
        return done.stdout

    def _causes(self, args: dict[str, Any]) -> Sequence[str]:
        """What differs in the inventory since the last complete apply."""
        backend = args["backend"]
        try:
            s3 = aws_session(action_environment(self), backend["region"]).client("s3")
            before = cause.read_record(s3, backend["bucket"], backend["key"])
        except (ClientError, BotoCoreError) as error:
            return [f"the inventory; its values of the last apply cannot be read: {error}"]
        if before is None:
            return ["the inventory; its values of the last apply are not known"]
        names = cause.inventory_names(self.task_vars, args["variables_name"])
        found = list(cause.differences(before, args["variables"], names))
        return found or [f"{args['root']}, or AWS itself: no value of the inventory differs from the last apply"]


def record_init(root: Path, data_dir: Path, fingerprint: str) -> None:
    """A plan was made, so init has succeeded: remember for what, and keep this environment's provider lock."""
    if (root / LOCK_FILE).is_file():  # a root of built-in resources alone has none
        (data_dir / LOCK_FILE).write_bytes((root / LOCK_FILE).read_bytes())
    (data_dir / FINGERPRINT).write_text(fingerprint)
