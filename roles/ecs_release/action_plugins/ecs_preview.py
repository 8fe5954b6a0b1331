"""What a deployment would release, and whether that is approved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.core.approved_plan import RELEASE, PlanDocument, require_approved
from fargate_ops.core.files import write_file
from fargate_ops.cost.plan_cost import Item, Tasks, of_tasks, text
from fargate_ops.cost.prices import Prices
from fargate_ops.ecs.task_definition import Settings
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.preview import planned_image, preview

DOCUMENTATION = """
---
action: ecs_preview
short_description: What a deployment would release, and whether that is approved
description:
  - Compares image, task definition and migrations with what serves. Reads only, and no secret.
  - With C(approved_plan), fails if they are not the approved ones. Otherwise prints them and what the whole plan
    changes in a month's cost, and writes the plan into C(file) for an approval.
extends_documentation_fragment:
  - operations
  - operations.stack
  - operations.application
  - operations.bucket
options:
  image: {type: dict, required: true, description: The fact C(image_build_result).}
  settings: {type: dict, required: true, description: The settings of the task definitions.}
  min_tasks: {type: int, required: true, description: Tasks that auto scaling keeps at least.}
  architecture: {type: str, required: true, description: C(X86_64) or C(ARM64).}
  infrastructure: {type: dict, required: true, description: The fact C(terraform_stack_plan); empty with an approval.}
  approved_plan: {type: str, required: true, description: The file of the approved plan; empty for none.}
  file: {type: path, required: true, description: The file that gets the plan.}
  prices: {type: dict, required: true, description: "Unit prices by region, which override the built-in table."}
  region: {type: str, required: true, description: The region whose prices count.}
"""

EXAMPLES = """
- name: Show what a deployment would release
  ecs_preview:
    stack: "{{ terraform_stack_outputs }}"
    application: "{{ app_contract }}"
    image: "{{ image_build_result }}"
    settings: "{{ __ecs_release_settings }}"
    min_tasks: 2
    architecture: X86_64
    infrastructure: "{{ terraform_stack_plan }}"
    approved_plan: ""
    file: .local/local/plan.json
    prices: {}
    region: ap-northeast-2
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
"""

RETURN = """
fingerprint: {type: str, returned: without an approval, description: "The plan's hash, to compare two by eye."}
"""


class ActionModule(OperationsAction):
    next_verb = "plan"

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        settings, image = Settings.from_fact(args["settings"]), planned_image(args["image"])
        found = preview(
            self.session(args["region"]),
            self.stack,
            self.application,
            settings,
            image,
            bucket=args["bucket"],
            environment=self.environment,
        )
        if args["approved_plan"]:
            require_approved(Path(args["approved_plan"]), self.environment, RELEASE, found.section)
            return self.report(f"  {args['approved_plan']} approves this release")
        for line in found.lines:
            self.answer(f"  {line}")
        planned = args["infrastructure"]
        wanted = Tasks(args["min_tasks"], settings.cpu, settings.memory, args["architecture"])
        cost = [Item.from_fact(item) for item in planned.get("cost", [])]
        cost += of_tasks(found.running, wanted, Prices.of(args["region"], args["prices"]))
        for line in text(cost, args["region"]):
            self.answer(f"  {line}")
        infrastructure = {planned["name"]: planned["section"]} if planned else {}
        document = PlanDocument(self.environment, {**infrastructure, RELEASE: found.section})
        write_file(Path(args["file"]), f"{document.to_json()}\n")
        deploy = f"make deploy ENV={self.environment} ARGS='-e approved_plan={args['file']}'"
        what = f"planned {document.fingerprint}; nothing was changed"
        return {"fingerprint": document.fingerprint, **self.done(what, next_command=deploy, plan=args["file"])}
