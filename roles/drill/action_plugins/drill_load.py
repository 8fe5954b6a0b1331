"""Start and stop the load of a drill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.drill import load_process
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: drill_load
short_description: Start and stop the load of a drill
description:
  - C(started) creates an account through the public address and starts a separate process that sends requests until it
    is stopped, C(limit_seconds) have passed or the playbook has ended. It returns after the first answers.
  - C(stopped) ends the process, waits for the requests in progress, and reports the outcome of all requests.
options:
  state: {type: str, required: true, choices: [started, stopped], description: "The wanted state."}
  report: {type: path, required: true, description: "Path of the process's report. Its folder is created."}
  url: {type: str, description: "The public address, for C(started)."}
  per_second: {type: float, description: "Requests per second, in addition to six slow clients."}
  waiting:
    description: Instead of C(per_second), C(count) clients that post the transaction C(key) of C(account).
    type: dict
  limit_seconds: {type: float, description: "Seconds after which the process ends by itself, for C(started)."}
"""

EXAMPLES = """
- name: Start the load
  drill_load:
    state: started
    url: http://127.0.0.1:8080
    report: "{{ work_dir }}/drill/load.json"
    per_second: 60
    limit_seconds: 900
"""

RETURN = """
total: {type: int, returned: always, description: "Requests so far."}
lost: {type: int, returned: always, description: "Requests without a correct answer."}
"""


class ActionModule(OperationsAction):
    constraints = {
        "mutually_exclusive": [["per_second", "waiting"]],
        "required_if": [
            ["state", "started", ["url", "limit_seconds"]],
            ["state", "started", ["per_second", "waiting"], True],
        ],
    }
    _supports_check_mode = False

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        path, url, limit = Path(args["report"]), args["url"], args["limit_seconds"]
        if args["state"] == "stopped":
            report = load_process.stop(path, self.say)
        elif args["waiting"]:
            report = load_process.start_waiting(url, path, args["waiting"], limit, self.say)
        else:
            report = load_process.start(url, path, args["per_second"], limit, self.say)
        return {"total": report.total, "lost": report.lost}
