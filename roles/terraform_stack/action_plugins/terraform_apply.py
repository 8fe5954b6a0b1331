"""Run Terraform through its module, and show its progress. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import context

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import meanwhile
from fargate_ops.terraform.progress import Progress, TerraformError

DOCUMENTATION = r"""
module: terraform_apply
short_description: Apply or destroy through C(community.general.terraform), and show its progress
description:
  - The module prints nothing until it ends. Meanwhile this action shows what Terraform creates, updates and destroys,
    from the output that the launcher copies into a file.
  - A failure names the resources and what Terraform reports about them.
options:
  module: {description: Arguments of C(community.general.terraform), type: dict, required: true}
  progress_file: {description: The launcher's copy of the output, type: path, required: true}
  plan_output: {description: 'The output of C(terraform plan), with the number of changes', type: str, default: ''}
  seconds: {description: The time between two lines of progress, type: float, default: 10}
"""

RETURN = r"""
stdout: {description: "Terraform's output", type: str}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        root = Path(args["module"]["project_path"])
        progress = Progress(Path(args["progress_file"]), args["plan_output"])

        def show() -> None:
            progress.read()
            self.progress(f"  {progress.line()}")

        with meanwhile(show, args["seconds"]):
            result: dict[str, Any] = self._execute_module(
                "community.general.terraform", module_args=args["module"], task_vars=self.task_vars
            )
        if result.get("failed"):
            progress.read()
            (playbook, *_) = context.CLIARGS.get("args") or ["deploy"]
            next_step = f"correct it, then continue: make {Path(playbook).stem} ENV={self.environment}"
            raise TerraformError(root, progress, str(result.get("stderr") or result["msg"]), next_step)
        self.say(f"  {root.name}: {progress.ended(result['stdout'])}")
        return result
