"""Announce a drill, look at the service, conclude the drill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.drill.drills import Evidence, scene, verdict
from fargate_ops.drill.load import Report
from fargate_ops.drill.steady_state import DrillError, ServiceState, observe, wait_until_steady
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import sleep_with_parent
from fargate_ops.state.ledger import LedgerError

DOCUMENTATION = """
---
action: drill
short_description: Announce a drill, look at the service, conclude the drill
description:
  - C(announce) says what will be done and what is expected, C(observe) waits until the service is whole and returns
    what is seen, C(conclude) compares what was expected with what happened, and fails when a promise was not kept.
  - Changes nothing.
options:
  phase:
    description: Which one.
    required: true
    choices: [announce, observe, conclude]
    type: str
  name:
    description: The drill, for C(announce) and C(conclude).
    choices:
      ["", broken_release, never_healthy, task_killed, database_restart, pool_exhaustion, slow_query, rotation, restore]
    default: ""
    type: str
  stack:
    description: The fact C(terraform_stack_outputs), for C(observe).
    default: {}
    type: dict
  bucket:
    description: The state bucket, in which the ledger lives, for C(observe).
    default: ""
    type: str
  environment_name:
    description: The environment.
    required: true
    type: str
  limit_seconds:
    description: For how long C(observe) waits until the service is whole.
    default: 120
    type: float
  before:
    description: What C(observe) returned before, for C(conclude).
    default: {}
    type: dict
  after:
    description: What it returned afterwards.
    default: {}
    type: dict
  happened:
    description: What the drill's own step returned.
    default: {}
    type: dict
  report:
    description: The load's report, for C(conclude).
    default: ""
    type: path
"""

EXAMPLES = """
- name: See that the service is whole
  drill:
    phase: observe
    stack: "{{ terraform_stack_outputs }}"
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
  register: before
"""

RETURN = """
go:
  description: Whether to do it, which check mode does not.
  type: bool
  returned: for the phase announce
seen:
  description: The service as C(observe) saw it.
  type: dict
  returned: for the phase observe
verdict:
  description: The last line.
  type: str
  returned: for the phase conclude
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if args["phase"] == "announce":
            display.display("\n".join(scene(args["name"])), color="bright blue")
            return {"go": not self.check_mode}
        return self._observe(args) if args["phase"] == "observe" else self._conclude(args)

    def _observe(self, args: dict[str, Any]) -> dict[str, Any]:
        environment, stack = args["environment_name"], self.stack
        if not stack:
            raise AnsibleActionFail(f"{environment}: nothing is deployed here. Next: make deploy ENV={environment}")
        session = aws_session(action_environment(self), stack.region)
        try:
            seen = wait_until_steady(
                lambda: observe(session, stack, args["bucket"], environment),
                args["limit_seconds"],
                sleep=sleep_with_parent(),
            )
        except DrillError as error:
            raise AnsibleActionFail(f"{environment}: {error}. Next: make status ENV={environment}") from error
        except (ClientError, BotoCoreError, LedgerError) as error:
            raise AnsibleActionFail(f"{environment}: {error}") from error
        return {"seen": seen.to_plain()}

    def _conclude(self, args: dict[str, Any]) -> dict[str, Any]:
        evidence = Evidence(
            before=ServiceState(**args["before"]),
            after=ServiceState(**args["after"]),
            load=Report.from_json(Path(args["report"]).read_text(encoding="utf-8")),
            happened=args["happened"],
        )
        kept, lines = verdict(args["name"], evidence)
        display.display("\n".join(lines), color="green" if kept else "red")
        if not kept:
            raise AnsibleActionFail(
                f"{args['environment_name']}: {lines[-1]}. Next: make status ENV={args['environment_name']}"
            )
        return {"verdict": lines[-1]}
