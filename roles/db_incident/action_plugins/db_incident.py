"""Say why database connections are exhausted, and end the sessions that nobody uses."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.database.incident.collect import Scope, SessionsTask, collect
from fargate_ops.database.incident.diagnosis import Limits, Verdict, diagnose
from fargate_ops.database.incident.evidence import Ended, Evidence, NoListing
from fargate_ops.database.incident.report import ended_lines, markdown, next_lines, screen, would_end
from fargate_ops.ecs.tasks import TaskError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import sleep_with_parent, whole_lines

DOCUMENTATION = """
---
action: db_incident
short_description: Say why database connections are exhausted, and end the sessions that nobody uses
description:
  - Asks CloudWatch, ECS, RDS, the ledger and the service's log, and the database itself by a one-off task, all at the
    same time; says which case it is, and why; writes a report.
  - Changes nothing unless C(end_idle) is set and ending sessions helps in this case.
options:
  stack: {description: The fact C(terraform_stack_outputs)., required: true, type: dict}
  bucket: {description: The state bucket, in which the ledger lives., required: true, type: str}
  environment_name: {description: The environment., required: true, type: str}
  end_idle: {description: Whether to end the sessions that nobody uses., default: false, type: bool}
  idle_in_transaction_seconds:
    description: A session that is idle in a transaction for longer is leaked.
    default: 30
    type: float
  idle_seconds:
    description: One that is idle for longer is not needed, if the server is still full.
    default: 600
    type: float
  slow_seconds: {description: A statement that lasts longer is slow., default: 5, type: float}
  max_tasks: {description: The most tasks that auto scaling may choose., required: true, type: int}
  minutes: {description: How far back metrics are shown., default: 30, type: int}
  log_minutes: {description: How far back the service's log is read., default: 5, type: int}
  wait_seconds: {description: How long the one-off task may take., default: 120, type: float}
  poll_seconds: {description: About how many seconds lie between two looks at it., default: 3, type: float}
  directory: {description: Where the reports go., required: true, type: path}
"""

EXAMPLES = """
- name: Look, say, and change nothing
  db_incident:
    stack: "{{ terraform_stack_outputs }}"
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    max_tasks: 4
    directory: .local/local/incidents
"""

RETURN = """
case:
  description: What it is, in words.
  type: str
  returned: when something is deployed
ended:
  description: The process ids of the sessions that were ended.
  type: list
  returned: when something is deployed
connections_before:
  description: The server's sessions before anything was ended; null when they could not be seen.
  type: int
  returned: when something is deployed
connections_after:
  description: And afterwards.
  type: int
  returned: when something is deployed
missing:
  description: What could not be seen.
  type: list
  returned: when something is deployed
report:
  description: The report's path.
  type: str
  returned: when something is deployed
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        environment, stack = args["environment_name"], self.stack
        if not stack:
            raise AnsibleActionFail(f"{environment}: nothing is deployed here. Next: make deploy ENV={environment}")
        session = aws_session(action_environment(self), stack.region)
        scope = Scope(
            environment=environment,
            stack=stack,
            bucket=args["bucket"],
            max_tasks=args["max_tasks"],
            minutes=args["minutes"],
            log_minutes=args["log_minutes"],
            wait_seconds=args["wait_seconds"],
            poll_seconds=args["poll_seconds"],
        )
        limits = Limits(
            idle_in_transaction_seconds=args["idle_in_transaction_seconds"],
            idle_seconds=args["idle_seconds"],
            slow_seconds=args["slow_seconds"],
        )
        now = datetime.now(UTC)
        task = SessionsTask(session, scope, whole_lines(display.display), sleep=sleep_with_parent())
        seen = collect(session, scope, None if self.check_mode else task.listing, now)
        verdict = diagnose(seen, limits)
        display.display("\n".join(screen(seen, verdict)))
        ended = self._end(args["end_idle"], task, seen, verdict, limits)
        path = _write(Path(args["directory"]), seen, verdict, ended, now)
        display.display("\n".join([*next_lines(verdict, ended), f"  report     {path}"]))
        before = len(seen.database.sessions) if seen.database else None
        return {
            "changed": bool(ended and ended.sessions),
            "case": str(verdict.case),
            "ended": [item.pid for item in ended.sessions] if ended else [],
            "connections_before": ended.before if ended else before,
            "connections_after": ended.after if ended else before,
            "missing": list(seen.missing),
            "report": str(path),
        }

    def _end(self, wanted: bool, task: SessionsTask, seen: Evidence, verdict: Verdict, limits: Limits) -> Ended | None:
        """End what nobody uses, if that is wanted and helps."""
        if seen.database is None:
            if wanted:
                display.display("  ended nothing: what the sessions do is not known")
            return None
        if not verdict.ending_helps:
            display.display("  ended nothing: it would not help in this case" if wanted else "  changed nothing")
            return None
        if not wanted:
            display.display(f"  changed nothing; {would_end(seen.database, limits)}")
            return None
        try:
            ended = task.end(limits.idle_in_transaction_seconds, limits.idle_seconds)
        except (NoListing, TaskError, ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(
                f"{seen.environment}: ending sessions did not come to its end: {error}. "
                f"Next: make incident-db ENV={seen.environment}"
            ) from error
        display.display("\n".join(ended_lines(ended)))
        return ended


def _write(directory: Path, seen: Evidence, verdict: Verdict, ended: Ended | None, now: datetime) -> Path:
    """The report for people, and beside it the same whole for machines. Statements in it have no values."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"db-connections-{now:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(seen, verdict, ended, now), encoding="utf-8")
    whole = {"verdict": asdict(verdict), "evidence": asdict(seen), "ended": asdict(ended) if ended else None}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=2, default=str), encoding="utf-8")
    return path
