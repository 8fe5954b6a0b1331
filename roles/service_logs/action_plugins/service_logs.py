"""Show the service's log."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fargate_ops.ecs import log_lines
from fargate_ops.ecs.logs import query, read
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: service_logs
short_description: Show a log group, all its streams together
description:
  - Prints the events since a given time, or those of one request, as lines for a reader. With C(follow), also prints
    new events until C(seconds) have passed or it is interrupted.
options:
  group: {type: str, required: true, description: "The log group; empty if Terraform's outputs name none."}
  region: {type: str, required: true, description: "The log group's region."}
  since: {type: str, required: true, description: "The start, an age (C(15m), C(2h), C(1d)) or an ISO 8601 time."}
  filter: {type: str, required: true, description: "A filter pattern of CloudWatch Logs; empty shows everything."}
  request: {type: str, required: true, description: "The id of a request whose lines alone are shown, or empty."}
  metrics: {type: bool, required: true, description: "Whether to show the lines that carry metrics."}
  raw_file: {type: str, required: true, description: "A file that gets the unchanged lines instead, or empty."}
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
    request: ""
    metrics: false
    raw_file: ""
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
        asked = query(
            args["group"], since=args["since"], pattern=args["filter"], request=args["request"], now=datetime.now(UTC)
        )
        with ExitStack() as opened:
            raw = opened.enter_context(Path(args["raw_file"]).open("a", encoding="utf-8")) if args["raw_file"] else None

            def show(event: Mapping[str, Any]) -> bool:
                if raw is not None:
                    print(event["message"].rstrip("\n"), file=raw, flush=True)
                    return True
                shown = log_lines.show(event, metrics=args["metrics"])
                if shown is not None:
                    self.answer(shown.text, color=shown.color)
                return shown is not None

            count = read(
                self.session(args["region"]).client("logs"),
                asked,
                follow=args["follow"] and not self.preview,
                limit_seconds=args["seconds"],
                show=show,
                sleep=self.sleep,
            )
        if not count:
            self.answer(f"no event in {asked.group} since {asked.since:%Y-%m-%d %H:%M:%S} UTC")
        return {"events": count}
