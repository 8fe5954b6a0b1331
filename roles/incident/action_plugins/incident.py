"""Look at all signals at once, and name the cause of an incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fargate_ops.aws.session import aws_session, client_config
from fargate_ops.core.problem import OperationsError
from fargate_ops.incident.causes import causes
from fargate_ops.incident.gather import CLIENT_LIMITS, gather
from fargate_ops.incident.report import outcome, result, text
from fargate_ops.incident.signals import Scope
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: incident
short_description: Look at all signals at once, and name the cause of an incident
description:
  - Reads the ledger, ECS, the load balancer, RDS, CloudWatch, the logs, the bots' queue and CloudTrail concurrently,
    and names the cause with its evidence, the next command and the runbook. Names none without evidence. Reads only.
extends_documentation_fragment: [operations, operations.bucket]
options:
  name: {type: str, required: true, description: "The environment's prefix, the name of its cluster and its service."}
  database: {type: bool, required: true, description: "Whether the environment has a database."}
  minutes: {type: float, required: true, description: "How old evidence may be, in minutes."}
  release_minutes:
    {type: float, required: true, description: "How long ago the newest release may be the cause, in minutes."}
  cloudtrail: {type: bool, required: true, description: "Whether to read CloudTrail."}
"""

EXAMPLES = """
- name: Name the cause
  incident:
    name: storefront-staging
    bucket: storefront-terraform-111111111111-ap-northeast-2
    environment_name: staging
    database: true
    minutes: 5
    release_minutes: 30
    cloudtrail: true
"""

RETURN = """
found:
  description:
    - The result as plain values. C(cause) and C(next) are empty if nothing was found; C(also_seen) are the other
      causes, the most direct first; C(evidence) are lines; C(not_read) has a reason for each source without an answer.
  type: dict
  returned: if the endpoint answers
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if silence := self.silence():
            return self.report(f"{self.environment}: nothing was looked at: {silence}")
        scope = Scope(
            environment=self.environment,
            name=args["name"],
            bucket=args["bucket"],
            has_database=args["database"],
            recent=timedelta(minutes=args["minutes"]),
            release=timedelta(minutes=args["release_minutes"]),
            cloudtrail=args["cloudtrail"],
        )
        session = aws_session(self.aws_environment, config=client_config(**CLIENT_LIMITS))
        seen = gather(session, scope, datetime.now(UTC))
        if not seen.read:
            raise OperationsError(f"no signal can be read: {next(iter(seen.unread.values()))}")
        found = causes(seen)
        self.answer(text(seen, found))
        return {"found": result(seen, found)} | self.ended(outcome(seen, found))
