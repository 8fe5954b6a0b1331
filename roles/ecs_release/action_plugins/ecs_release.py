"""One phase of a release of the ECS service."""

from __future__ import annotations

from typing import Any

from fargate_ops.core.problem import EndError
from fargate_ops.ecs.task_definition import Image, Settings
from fargate_ops.release.plan import Plan
from fargate_ops.release.plugin_context import ReleaseAction
from fargate_ops.release.release import Releaser

DOCUMENTATION = """
---
action: ecs_release
short_description: One phase of a release of the ECS service
description:
  - C(plan) settles a deployment that is in progress or was left unfinished, compares the wanted task definition with
    the one that PRIMARY runs, and returns the changes to make. The other phases make them.
  - C(register) registers missing revisions. C(prepare) runs the admin task if the database needs it. C(update) points
    the service at the revision and watches that deployment to its end. C(succeed) and C(fail) record the outcome.
    C(succeed) also sets auto scaling's limits. C(fail) puts the previous version back if the new one came into service,
    and then fails with the whole outcome.
  - In check mode each phase prints what it would do, or why that cannot be known yet.
extends_documentation_fragment:
  - operations
  - operations.stack
  - operations.application
  - operations.bucket
  - operations.notification
  - ecs_release_context
options:
  phase:
    description: The phase.
    type: str
    required: true
    choices: [plan, register, prepare, update, succeed, fail]
  image: {type: dict, required: true, description: The fact C(image_build_result).}
  settings:
    description: The settings of the task definitions.
    type: dict
    required: true
    suboptions:
      cpu: {description: CPU units of a task., required: true, type: int}
      memory: {description: MiB of a task., required: true, type: int}
      workers: {description: Worker processes of a task., required: true, type: int}
      pool_size: {description: Database connections that a worker keeps open., required: true, type: int}
      max_overflow: {description: Database connections that a worker may open beyond those., required: true, type: int}
      proxy_cidrs:
        {description: Ranges whose X-Forwarded-* headers the tasks trust., required: true, type: list, elements: str}
      command:
        {description: The container's command; empty for the image's., required: true, type: list, elements: str}
      through_proxy:
        {description: "Whether the service connects to the RDS Proxy, if there is one.", required: true, type: bool}
      execute_command:
        {description: Whether ECS Exec may open a shell in the service's tasks., required: true, type: bool}
      stop_timeout: {description: Seconds from SIGTERM to SIGKILL., required: true, type: int}
      environment: {description: Plain environment variables of the service's tasks., required: true, type: dict}
      secrets: {description: "Secrets of the service's tasks, by variable.", required: true, type: dict}
      admin_environment: {description: Plain environment variables of the admin task., required: true, type: dict}
  allow_rolled_back: {type: bool, required: true, description: Whether to release a rolled-back image or definition.}
  wait:
    type: bool
    required: true
    description: >-
      Whether C(update) waits until a release that is not rolling is over. Otherwise it returns once users get it.
  baking:
    type: str
    default: ""
    description: For the phase C(succeed), the result C(baking) of the phase C(update).
  keep_revisions:
    type: int
    required: true
    description: Newest revisions of each family that stay registered, beside those in use or needed for a rollback.
"""

EXAMPLES = """
- name: Compare the wanted task definition with the running one
  ecs_release:
    phase: plan
    stack: "{{ terraform_stack_outputs }}"
    application: "{{ app_contract }}"
    image: "{{ image_build_result }}"
    settings: "{{ __ecs_release_settings }}"
    limits: {flow: 6000, wait: 600, rollback_wait: 300, prepare_wait: 600, poll: 4, log_grace: 3}
    verify: {source: public, answers: 6, limit_seconds: 30}
    strategy: "{{ ecs_release_strategy }}"
    allow_rolled_back: false
    wait: true
    keep_revisions: 20
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
    requires_lock: true
    notification_log: .local/local/notifications.log
    why: too slow
"""

RETURN = """
plan:
  description: The changes to make, completed by the phase C(register). Empty if they cannot be known yet.
  type: dict
  returned: always
baking:
  description: What a release does that goes on without this run; else empty.
  type: str
  returned: for the phase C(update)
reason: {type: str, returned: on failure, description: "Why the phase failed, in one line."}
outcome: {type: dict, returned: for the phase C(succeed) and on failure, description: How the command ended.}
"""


class ActionModule(ReleaseAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        known = {"Terraform outputs": bool(self.stack), "image digest": args["image"].get("digest")}
        if missing := [name for name, value in known.items() if not value]:
            unknown, phase = f"there is no {' and no '.join(missing)}", args["phase"]
            return self.unknown(
                f"what to {phase} cannot be known yet: {unknown}", f"cannot {phase}: {unknown}", plan={}
            )
        return super().execute(args)

    def phase(self, args: dict[str, Any]) -> dict[str, Any]:
        releaser = Releaser(
            self.context(args),
            Settings.from_fact(args["settings"]),
            Image.from_fact(args["image"]),
            allow_rolled_back=args["allow_rolled_back"],
            keep_revisions=args["keep_revisions"],
            wait=args["wait"],
        )
        if args["phase"] == "plan":
            releaser.settle(preview=self.preview)
            return {"plan": releaser.plan().to_fact()}
        plan = Plan.from_fact(args["plan"])
        if args["phase"] == "register":
            plan, changed = releaser.register(plan, preview=self.preview)
            return {"changed": changed, "plan": plan.to_fact()}
        if args["phase"] == "fail":
            raise EndError(releaser.end(plan, self.failed(args)), self.environment)
        if args["phase"] == "prepare" and plan.needed and not self.preview:
            releaser.begin(plan)
        if args["baking"]:
            changed = releaser.leave_baking(plan, args["baking"])
            return {"changed": changed, **self.ended(releaser.done(plan, baking=args["baking"]))}
        do = {"prepare": releaser.prepare, "update": releaser.update, "succeed": releaser.succeed}[args["phase"]]
        result: dict[str, Any] = {"changed": do(plan, preview=self.preview)}
        if args["phase"] == "update":
            result["baking"] = releaser.baking
        if args["phase"] == "succeed":
            result |= self.ended(releaser.done(plan, preview=self.preview))
        return result
