"""Read a saved plan, print its changes, and refuse dangerous ones. See DOCUMENTATION."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible import context

from fargate_ops.core.approved_plan import require_approved
from fargate_ops.core.project import PROJECT
from fargate_ops.cost.plan_cost import items
from fargate_ops.cost.prices import Prices
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform import fingerprint
from fargate_ops.terraform.cause import inventory_names
from fargate_ops.terraform.guard import SavedPlan, causes, difference, guard
from fargate_ops.terraform.plan import read_plan, resources

DOCUMENTATION = r"""
module: terraform_guard
short_description: Read a saved Terraform plan, print its changes, and refuse dangerous ones
description:
  - Reads the plan itself, because C(community.general.terraform) misses replacements and output-only changes.
  - Skips a plan that C(terraform plan) reported as empty, because reading it would start the provider again.
  - Fails if a resource of a protected type would be destroyed, replaced or restarted, unless it is allowed by name. The
    failure names the differences in the inventory since the last complete apply.
  - Fails if the plan covers only a part of the configuration, or is not the approved one.
  - Also records that C(terraform init) has succeeded.
extends_documentation_fragment: [operations.backend]
options:
  name: {description: The root's name in messages and in an approved plan, type: str, required: true}
  launcher: {description: The launcher from terraform_workspace, type: path, required: true}
  root: {description: The Terraform root, type: path, required: true}
  data_dir: {description: TF_DATA_DIR of this root and environment, type: path, required: true}
  plan_file: {description: The saved plan, type: path, required: true}
  plan_output: {description: The output of C(terraform plan), type: str, required: true}
  fingerprint: {description: The fingerprint from terraform_workspace, type: str, required: true}
  variables: {description: The root's variables, type: dict, required: true}
  variables_name: {description: The Ansible variable that holds them, type: str, required: true}
  protected_types: {description: Resource types that need permission, type: list, elements: str, required: true}
  allowed: {description: Addresses or types that have permission, type: list, elements: str, required: true}
  provider_version: {description: The environment's constraint; an exact one must match, type: str, required: true}
  full: {description: Print the whole plan as Terraform does, type: bool, required: true}
  brief:
    description:
      - Print each change of a short plan, and of a long one only what is destroyed, replaced or restarted or has
        permission. The plan as Terraform prints it is kept in a file that the last line names.
    type: bool
    required: true
  difference_file: {description: 'A file for the changes, without a guard; empty for none', type: str, required: true}
  approved_plan: {description: The file of the approved plan; empty for none, type: str, required: true}
  prices: {description: 'Unit prices by region, which override the built-in table', type: dict, required: true}
"""

RETURN = r"""
apply: {description: Whether there is anything to apply, type: bool}
summary: {description: 'The number of changes by kind, as C(create 3, update 1)', type: str}
plan: {description: 'The changes with hashes of their arguments, and what they change in the cost', type: dict}
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
        document = saved.document(args["plan_output"])
        plan = read_plan(document)
        show = self.answer if args["full"] or not args["brief"] else self.say
        summary = f"  {root.name}: {plan.summary()}"
        if args["full"] and not plan.empty:
            show(saved.show())
        elif not plan.empty:
            kept = saved.keep(args["plan_output"])
            summary += f"; the whole plan: {kept.relative_to(PROJECT) if kept.is_relative_to(PROJECT) else kept}"
            for line in plan.brief(args["allowed"]) if args["brief"] else (change.line() for change in plan.changes):
                show(f"  {line}")
        show(summary)

        section = fingerprint.section(document)
        cost = items(resources(document), Prices.of(args["backend"]["region"], args["prices"]))
        result = {
            "apply": False,
            "summary": plan.summary(),
            "changed": not plan.empty,
            "plan": {"name": args["name"], "section": section, "cost": [item.to_fact() for item in cost]},
        }
        if args["difference_file"]:
            Path(args["difference_file"]).write_text(difference(plan))
            return result

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
            causes=differences,
        )
        if args["approved_plan"]:
            require_approved(Path(args["approved_plan"]), self.environment, args["name"], section)
        return result | {"apply": not plan.empty}
