"""Show the service's log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.ecs.logs import LogsError, Query, parse_since, read
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import sleep_with_parent

DOCUMENTATION = """
---
action: service_logs
short_description: Show a log group, all its streams together
description:
  - Prints the events since a moment and, following, the new ones until it is interrupted or its time is over.
options:
  group:
    description: The log group; empty where there are no Terraform outputs.
    required: true
    type: str
  region:
    description: Its region.
    required: true
    type: str
  since:
    description: C(15m), C(2h), C(1d) ago, or an ISO 8601 time.
    default: 10m
    type: str
  filter:
    description: A filter pattern of CloudWatch Logs.
    default: ""
    type: str
  follow:
    description: Whether to go on.
    default: false
    type: bool
  seconds:
    description: For how long to follow; 0 is until Ctrl-C.
    default: 0
    type: float
"""

EXAMPLES = """
- name: Show the last quarter of an hour
  service_logs:
    group: /ecs/settlement-local
    region: ap-northeast-2
    since: 15m
"""

RETURN = """
events:
  description: How many lines were shown.
  type: int
  returned: always
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if not args["group"]:
            message = "there are no Terraform outputs: nothing was deployed here yet, and there is no log"
            display.display(message)
            return {"changed": False, "events": 0, "msg": message}
        try:
            query = Query(
                group=args["group"], since=parse_since(args["since"], datetime.now(UTC)), pattern=args["filter"]
            )
            count = read(
                aws_session(action_environment(self), args["region"]).client("logs"),
                query,
                follow=args["follow"] and not self.check_mode,
                limit_seconds=args["seconds"],
                say=display.display,
                sleep=sleep_with_parent(),
            )
        except (LogsError, ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(str(error)) from None
        if not count:
            display.display(f"no event in {query.group} since {query.since:%Y-%m-%d %H:%M:%S} UTC")
        return {"changed": False, "events": count}
