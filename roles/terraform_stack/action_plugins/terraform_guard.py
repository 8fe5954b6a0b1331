"""Read a saved plan, say what it would do, and refuse what nobody asked for. See DOCUMENTATION."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible import context

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.cause import inventory_names
from fargate_ops.terraform.guard import SavedPlan, causes, guard

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
extends_documentation_fragment: [operations.backend]
options:
  launcher: {description: What terraform_workspace returned, type: path, required: true}
  root: {description: The Terraform root, type: path, required: true}
  data_dir: {description: TF_DATA_DIR of this root and environment, type: path, required: true}
  plan_file: {description: The saved plan, type: path, required: true}
  plan_output: {description: What C(terraform plan) printed, type: str, required: true}
  fingerprint: {description: What terraform_workspace returned, type: str, required: true}
  variables: {description: The variables of the root, type: dict, required: true}
  variables_name: {description: The variable of Ansible that holds them, type: str, required: true}
  protected_types: {description: Resource types that need permission, type: list, elements: str, required: true}
  allowed: {description: Addresses or types that have it, type: list, elements: str, required: true}
  provider_version: {description: The environment's constraint; an exact one is asserted, type: str, required: true}
  full: {description: Print the whole plan as Terraform does, type: bool, required: true}
  refuse_changes: {description: Fail when there is anything to change (the drift check), type: bool, required: true}
"""

RETURN = r"""
apply: {description: Whether there is something to apply, type: bool}
summary: {description: 'create 3, update 1', type: str}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        root = Path(args["root"])
        saved = SavedPlan(
            root=root,
            data_dir=Path(args["data_dir"]),
            file=args["plan_file"],
            launcher=args["launcher"],
            environment=self.aws_environment,
        )
        saved.record_init(args["fingerprint"], args["provider_version"])
        plan = saved.read(args["plan_output"])
        if args["full"] and not plan.empty:
            self.say(saved.show())
        else:
            for change in plan.changes:
                self.say(f"  {change.line()}")
        self.say(f"  {root.name}: {plan.summary()}")

        def differences() -> Sequence[str]:
            s3 = self.session(args["backend"]["region"]).client("s3")
            names = inventory_names(self.task_vars, args["variables_name"])
            return causes(s3, args["backend"], args["variables"], names, root)

        (playbook, *_) = context.CLIARGS.get("args") or ["deploy"]
        guard(
            plan,
            root,
            self.environment,
            playbook,
            protected_types=args["protected_types"],
            allowed=args["allowed"],
            refuse_changes=args["refuse_changes"],
            causes=differences,
        )
        return {"apply": not plan.empty, "summary": plan.summary(), "changed": not plan.empty}
