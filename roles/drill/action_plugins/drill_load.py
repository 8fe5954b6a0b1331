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
  - C(started) sends the load file's request C(setup) and starts a separate process that sends requests until it is
    stopped, C(limit_seconds) have passed or the playbook has ended. It returns after the first answers.
  - C(stopped) ends the process, waits for the requests in progress, and reports the outcome of all requests.
extends_documentation_fragment: [operations.application]
options:
  state: {type: str, required: true, choices: [started, stopped], description: "The wanted state."}
  report: {type: path, required: true, description: "Path of the process's report. Its folder is created."}
  url: {type: str, description: "The public address, for C(started)."}
  load_file: {type: path, required: true, description: "The application's load file; may be empty or missing."}
  per_second: {type: float, description: "Requests per second, in addition to slow clients, for C(started)."}
  database_clients:
    description: Clients of each kind of request that uses the database, for C(started). They share the rate.
    type: int
  limit_seconds: {type: float, description: "Seconds after which the process ends by itself, for C(started)."}
"""

EXAMPLES = """
- name: Start the load
  drill_load:
    state: started
    url: http://127.0.0.1:8080
    report: "{{ work_dir }}/drill/load.json"
    application: "{{ app_contract }}"
    load_file: "{{ app_load_file }}"
    per_second: 60
    database_clients: 5
    limit_seconds: 900
"""

RETURN = """
total: {type: int, returned: always, description: "Requests so far."}
lost: {type: int, returned: always, description: "Requests without a correct answer."}
"""


class ActionModule(OperationsAction):
    constraints = {
        "required_if": [["state", "started", ["url", "per_second", "database_clients", "limit_seconds"]]],
    }
    _supports_check_mode = False

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        path = Path(args["report"])
        if args["state"] == "stopped":
            report = load_process.stop(path, self.answer)
        else:
            report = load_process.start(
                args["url"],
                path,
                self.application,
                args["load_file"],
                args["per_second"],
                args["database_clients"],
                args["limit_seconds"],
                self.answer,
            )
        return {"total": report.total, "lost": report.lost}
