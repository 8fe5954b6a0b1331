"""Start and stop the load under which a drill happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.drill import load_process
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: drill_load
short_description: Start and stop the load under which a drill happens
description:
  - C(started) writes one account through the public address and starts a process of its own that sends requests until
    it is stopped, C(limit_seconds) are over or the playbook has ended. It returns when the first answers are there.
  - C(stopped) ends it, waits for the requests under way, and says what became of them all.
options:
  state: {type: str, required: true, choices: [started, stopped], description: "Which."}
  report: {type: path, required: true, description: "The file for the process's report. Its folder is made."}
  url: {type: str, description: "The public address, for C(started)."}
  per_second: {type: float, description: "Requests a second, beside a few that last two seconds."}
  waiting:
    description: Instead of C(per_second), so many clients (C(count)) that post the transaction C(key) of C(account).
    type: dict
  limit_seconds: {type: float, description: "The process ends by itself after so long, for C(started)."}
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
lost: {type: int, returned: always, description: "Those without the right answer."}
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
