"""Say why database connections are exhausted, and end the sessions that nobody uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.aws.pace import POLL_SECONDS
from fargate_ops.database.incident.collect import Scope
from fargate_ops.database.incident.diagnosis import Limits
from fargate_ops.database.incident.respond import respond
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: db_incident
short_description: Say why database connections are exhausted, and end the sessions that nobody uses
description:
  - Asks CloudWatch, ECS, RDS, the ledger and the service's log, and the database itself by a one-off task, all at the
    same time; says which case it is, and why; writes a report.
  - Changes nothing unless C(end_idle) is set and ending sessions helps in this case.
extends_documentation_fragment: [operations, operations.stack, operations.bucket, operations.poll]
options:
  end_idle: {type: bool, required: true, description: Whether to end the sessions that nobody uses.}
  idle_in_transaction_seconds:
    {type: float, required: true, description: A session that is idle in a transaction for longer is leaked.}
  idle_seconds: {type: float, required: true, description: "One that is idle for longer, if the server is still full."}
  slow_seconds: {type: float, required: true, description: A statement that lasts longer is slow.}
  max_tasks: {type: int, required: true, description: The most tasks that auto scaling may choose.}
  minutes: {type: int, required: true, description: How far back metrics are shown.}
  log_minutes: {type: int, required: true, description: How far back the service's log is read.}
  wait_seconds: {type: float, required: true, description: How long the one-off task may take.}
  directory: {type: path, required: true, description: Where the reports go.}
"""

EXAMPLES = """
- name: Look, say, and change nothing
  db_incident:
    stack: "{{ terraform_stack_outputs }}"
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    end_idle: false
    idle_in_transaction_seconds: 30
    idle_seconds: 600
    slow_seconds: 5
    max_tasks: 4
    minutes: 30
    log_minutes: 5
    wait_seconds: 120
    directory: .local/local/incidents
"""

RETURN = """
case: {type: str, returned: success, description: "What it is, in words."}
ended: {type: list, returned: success, description: "The process ids of the sessions that were ended."}
connections_before:
  description: The server's sessions before anything was ended; null when they could not be seen.
  type: int
  returned: success
connections_after: {type: int, returned: success, description: "And afterwards."}
missing: {type: list, returned: success, description: "What could not be seen."}
report: {type: str, returned: success, description: "The report's path."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        self.require_stack()
        scope = Scope(
            environment=self.environment,
            stack=self.stack,
            poll_seconds=args["poll_seconds"] or POLL_SECONDS,
            **{name: args[name] for name in ("bucket", "max_tasks", "minutes", "log_minutes", "wait_seconds")},
        )
        limits = Limits(
            **{name: args[name] for name in ("idle_in_transaction_seconds", "idle_seconds", "slow_seconds")}
        )
        return respond(
            self.session(),
            scope,
            limits,
            Path(args["directory"]),
            self.say,
            end_idle=args["end_idle"],
            preview=self.preview,
            sleep=self.sleep,
        )
