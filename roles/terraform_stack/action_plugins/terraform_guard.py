"""Read a saved plan, say what it would do, and refuse what nobody asked for. See DOCUMENTATION."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from roles.aws_session.python.session import action_environment
from roles.terraform_stack.python.plan import Plan, nothing_to_apply, read_plan, refusals
from roles.terraform_stack.python.workspace import FINGERPRINT, LOCK_FILE, exact_version, locked_version

DOCUMENTATION = r"""
module: terraform_guard
short_description: Read a saved Terraform plan, print what it would do, refuse dangerous changes
description:
  - C(community.general.terraform) misses replacements and output-only changes, so the plan itself is read.
  - A plan that C(terraform plan) itself called empty is not read again, which would start the provider once more.
  - Fails when a resource of a protected type would be destroyed, replaced or restarted, unless it is allowed by name.
  - Also records that C(terraform init) has succeeded.
options:
  terraform_path: {description: The terraform binary, type: path, required: true}
  root: {description: The Terraform root, type: path, required: true}
  data_dir: {description: TF_DATA_DIR of this root and environment, type: path, required: true}
  plan_file: {description: The saved plan, type: path, required: true}
  plan_output: {description: What C(terraform plan) printed, type: str, required: true}
  fingerprint: {description: What terraform_workspace returned, type: str, required: true}
  protected_types: {description: Resource types that need permission, type: list, elements: str}
  allowed: {description: Addresses or types that have it, type: list, elements: str}
  provider_version: {description: The environment's constraint; an exact one is asserted, type: str}
  full: {description: Print the whole plan as Terraform does, type: bool}
  refuse_changes: {description: Fail when there is anything to change (the drift check), type: bool}
"""

RETURN = r"""
apply: {description: Whether there is something to apply, type: bool}
summary: {description: 'create 3, update 1', type: str}
"""


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "terraform_path": {"type": "path", "required": True},
                "root": {"type": "path", "required": True},
                "data_dir": {"type": "path", "required": True},
                "plan_file": {"type": "path", "required": True},
                "plan_output": {"type": "str", "required": True},
                "fingerprint": {"type": "str", "required": True},
                "protected_types": {"type": "list", "elements": "str", "default": []},
                "allowed": {"type": "list", "elements": "str", "default": []},
                "full": {"type": "bool", "default": False},
                "refuse_changes": {"type": "bool", "default": False},
                "provider_version": {"type": "str", "default": ""},
            }
        )
        root, data_dir = Path(args["root"]), Path(args["data_dir"])
        wanted, chosen = exact_version(args["provider_version"]), locked_version(root / LOCK_FILE)
        if wanted and chosen != wanted:
            raise AnsibleActionFail(
                f"Nothing was applied: this environment declares provider hashicorp/aws {wanted}, init chose {chosen}. "
                f"Next: correct aws_provider_version or the environment's terraform.lock.hcl, then run this again."
            )
        record_init(root, data_dir, args["fingerprint"])

        def show(*options: str) -> str:
            command = [args["terraform_path"], "show", "-no-color", *options, args["plan_file"]]
            environment = {**os.environ, **action_environment(self)}
            done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise AnsibleActionFail(f"The plan {args['plan_file']} cannot be read: {done.stderr.strip()}")
            return done.stdout

        empty = nothing_to_apply(args["plan_output"])
        plan = Plan(changes=(), outputs=()) if empty else read_plan(json.loads(show("-json")))
        display = Display()
        if args["full"] and not plan.empty:
            display.display(show())
        else:
            for change in plan.changes:
                display.display(f"  {change.line()}")
        display.display(f"  {root.name}: {plan.summary()}")

        refused = refusals(plan, args["protected_types"], args["allowed"])
        if refused:
            names = [change.address for change in plan.changes if any(change.address in line for line in refused)]
            raise AnsibleActionFail(
                f"Nothing was applied: the plan {'; '.join(refused)}. If that is meant, run it again with "
                f"-e '{json.dumps({'terraform_stack_allow': names})}'"
            )
        if args["refuse_changes"] and not plan.empty:
            raise AnsibleActionFail(
                f"{root.name} is not what this repository says ({plan.summary()}); nothing was applied. "
                f"Next: `make deploy` for it to become so, or commit what it is."
            )
        return result | {"apply": not plan.empty, "summary": plan.summary(), "changed": not plan.empty}


def record_init(root: Path, data_dir: Path, fingerprint: str) -> None:
    """A plan was made, so init has succeeded: remember for what, and keep this environment's provider lock."""
    if (root / LOCK_FILE).is_file():  # a root of built-in resources alone has none
        (data_dir / LOCK_FILE).write_bytes((root / LOCK_FILE).read_bytes())
    (data_dir / FINGERPRINT).write_text(fingerprint)
