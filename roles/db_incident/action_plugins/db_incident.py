"""Diagnose exhausted database connections, and terminate unused sessions."""

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
short_description: Diagnose exhausted database connections, and terminate unused sessions
description:
  - Reads CloudWatch, ECS, RDS, the ledger and the service's log, and the database itself in a one-off task, all
    concurrently. Names the case with its reasons, and writes a report.
  - Changes nothing unless C(end_idle) is set and terminating sessions helps in this case.
extends_documentation_fragment:
  [operations, operations.stack, operations.application, operations.bucket, operations.poll]
options:
  end_idle: {type: bool, required: true, description: Whether to terminate unused sessions.}
  idle_in_transaction_seconds:
    {type: float, required: true, description: Seconds idle in a transaction after which a session counts as leaked.}
  idle_seconds:
    type: float
    required: true
    description: Seconds idle after which a session counts as unused, if the server is still full.
  slow_seconds: {type: float, required: true, description: Seconds after which a statement is slow.}
  max_tasks: {type: int, required: true, description: The most tasks that auto scaling may start.}
  minutes: {type: int, required: true, description: "How far back to show metrics, in minutes."}
  log_minutes: {type: int, required: true, description: "How far back to read the service's log, in minutes."}
  wait_seconds: {type: float, required: true, description: Seconds that the one-off task may take.}
  directory: {type: path, required: true, description: Folder of the reports.}
"""

EXAMPLES = """
- name: Diagnose without changing anything
  db_incident:
    stack: "{{ terraform_stack_outputs }}"
    application: "{{ app_contract }}"
    bucket: storefront-terraform-000000000000-ap-northeast-2
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
case: {type: str, returned: success, description: "The diagnosed case, in words."}
ended: {type: list, returned: success, description: "Process ids of the terminated sessions."}
connections_before:
  description: Number of the server's sessions at the start; null if it could not be read.
  type: int
  returned: success
connections_after: {type: int, returned: success, description: "Number of them at the end."}
missing: {type: list, returned: success, description: "Evidence that could not be collected."}
report: {type: str, returned: success, description: "The report's path."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        self.require_stack()
        scope = Scope(
            environment=self.environment,
            stack=self.stack,
            application=self.application,
            poll_seconds=args["poll_seconds"] or POLL_SECONDS,
            **{name: args[name] for name in ("bucket", "max_tasks", "minutes", "log_minutes", "wait_seconds")},
        )
        limits = Limits(
            **{name: args[name] for name in ("idle_in_transaction_seconds", "idle_seconds", "slow_seconds")}
        )
        found = respond(
            self.session(),
            scope,
            limits,
            Path(args["directory"]),
            self.answer,
            end_idle=args["end_idle"],
            preview=self.preview,
            sleep=self.sleep,
        )
        return found | self.done(found["case"], report=found["report"])
