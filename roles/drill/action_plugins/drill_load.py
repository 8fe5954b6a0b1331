"""Start and stop the load under which a drill happens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from fargate_ops.core.project import SOURCE
from fargate_ops.drill.client import clients, open_account, waiting_clients
from fargate_ops.drill.load import ANSWER_SECONDS, Assignment, Clients, Report, stop_file
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.lock import Machine, holder_of

DOCUMENTATION = """
---
action: drill_load
short_description: Start and stop the load under which a drill happens
description:
  - C(started) writes one account through the public address and starts a process of its own that sends requests until
    it is stopped, C(limit_seconds) are over or the playbook has ended. It returns when the first answers are there.
  - C(stopped) ends it, waits for the requests under way, and says what became of them all.
options:
  state:
    description: Which.
    required: true
    choices: [started, stopped]
    type: str
  report:
    description: The file for the process's report. Its folder is made.
    required: true
    type: path
  url:
    description: The public address, for C(started).
    default: ""
    type: str
  per_second:
    description: Requests a second, beside a few that last two seconds.
    default: 60
    type: float
  waiting:
    description: Instead of all that, so many clients (C(count)) that post the transaction C(key) of C(account).
    default: {}
    type: dict
  limit_seconds:
    description: The process ends by itself after so long.
    default: 900
    type: float
"""

EXAMPLES = """
- name: Start the load
  drill_load:
    state: started
    url: http://127.0.0.1:8080
    report: "{{ work_dir }}/drill/load.json"
"""

RETURN = """
total:
  description: Requests so far.
  type: int
  returned: always
lost:
  description: Those without the right answer.
  type: int
  returned: always
"""
#: The first answers are there after a second; the last ones after the longest that a request may take.
FIRST_SECONDS = 20.0
LAST_SECONDS = ANSWER_SECONDS + 10.0

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION
    _supports_check_mode = False

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        path = Path(args["report"])
        report = self._start(args, path) if args["state"] == "started" else self._stop(path)
        return {"changed": False, "total": report.total, "lost": report.lost}

    def _start(self, args: dict[str, Any], path: Path) -> Report:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in (path, stop_file(path)):
            file.unlink(missing_ok=True)
        waiting = args["waiting"]
        if waiting:
            wanted = waiting_clients(str(waiting["account"]), str(waiting["key"]), int(waiting["count"]))
        else:
            wanted = self._usual_clients(args)
        # The worker that runs this action is a child of ansible-playbook, with which the load ends.
        assignment = Assignment(
            url=args["url"],
            clients=wanted,
            report=str(path),
            limit_seconds=args["limit_seconds"],
            pid=os.getppid(),
            holder=holder_of(Machine.this(), os.getppid()),
        )
        with _errors(path).open("wb") as errors:
            subprocess.Popen(
                [sys.executable, "-m", "fargate_ops.drill.load", assignment.to_argument()],
                cwd=SOURCE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                close_fds=True,
            )
        # Those that wait are not answered soon, and rightly so.
        report = _wait(path, lambda report: bool(waiting or report.answers), FIRST_SECONDS, "no request was answered")
        usual = f"{args['per_second']:g} requests/s, and 6 slow clients"
        what = f"{waiting['count']} clients that post one transaction" if waiting else usual
        display.display(f"load on {args['url']}: {what}")
        return report

    def _usual_clients(self, args: dict[str, Any]) -> list[Clients]:
        try:
            return clients(open_account(args["url"]), args["per_second"])
        except RuntimeError as error:
            raise AnsibleActionFail(f"the drill cannot begin: {error}") from error

    def _stop(self, path: Path) -> Report:
        if not path.exists():
            return Report()
        stop_file(path).touch()
        report = _wait(path, lambda report: report.done, LAST_SECONDS, "the load did not end")
        display.display(f"load ended: {report.total} requests in {report.seconds:.0f} s, {report.lost} lost")
        return report


def _wait(path: Path, condition: Any, seconds: float, otherwise: str) -> Report:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists():
            report = Report.from_json(path.read_text(encoding="utf-8"))
            if condition(report):
                return report
        time.sleep(0.1)
    raise AnsibleActionFail(f"{otherwise} within {seconds:.0f} s. Next: cat {_errors(path)} {path}")


def _errors(report: Path) -> Path:
    """What the process says when it fails."""
    return Path(f"{report}.errors")
