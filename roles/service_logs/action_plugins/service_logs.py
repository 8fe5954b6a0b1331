"""Show the service's log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fargate_ops.ecs.logs import Query, parse_since, read
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: service_logs
short_description: Show a log group, all its streams together
description:
  - Prints the events since a given time. With C(follow), also prints new events until C(seconds) have passed or it is
    interrupted.
options:
  group: {type: str, required: true, description: "The log group; empty if Terraform's outputs name none."}
  region: {type: str, required: true, description: "The log group's region."}
  since: {type: str, required: true, description: "The start, an age (C(15m), C(2h), C(1d)) or an ISO 8601 time."}
  filter: {type: str, required: true, description: "A filter pattern of CloudWatch Logs; empty shows everything."}
  follow: {type: bool, required: true, description: "Whether to follow the log."}
  seconds: {type: float, required: true, description: "Seconds to follow the log; 0 for until Ctrl-C."}
"""

EXAMPLES = """
- name: Show the last quarter of an hour
  service_logs:
    group: /ecs/storefront-local
    region: ap-northeast-2
    since: 15m
    filter: ""
    follow: false
    seconds: 0
"""

RETURN = """
events: {type: int, returned: always, description: "Number of printed lines."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if not args["group"]:
            message = "Terraform's outputs name no such log: nothing was deployed here yet, or there is no database"
            return self.report(message, events=0)
        query = Query(group=args["group"], since=parse_since(args["since"], datetime.now(UTC)), pattern=args["filter"])
        count = read(
            self.session(args["region"]).client("logs"),
            query,
            follow=args["follow"] and not self.preview,
            limit_seconds=args["seconds"],
            say=self.say,
            sleep=self.sleep,
        )
        if not count:
            self.say(f"no event in {query.group} since {query.since:%Y-%m-%d %H:%M:%S} UTC")
        return {"events": count}
