"""Start the load of a drill in a process of its own, and stop it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fargate_ops.core.problem import OperationsError
from fargate_ops.core.project import SOURCE
from fargate_ops.drill.client import clients, open_account, waiting_clients
from fargate_ops.drill.load import ANSWER_SECONDS, Assignment, Clients, Report, stop_file
from fargate_ops.state.lock import Machine, holder_of

Say = Callable[[str], None]

#: The first answers are there after a second; the last ones after the longest that a request may take.
FIRST_SECONDS = 20.0
LAST_SECONDS = ANSWER_SECONDS + 10.0


def start(url: str, path: Path, per_second: float, limit_seconds: float, say: Say) -> Report:
    """Start the usual load and wait for the first answers. The process writes its report to `path`.

    Raises:
        OperationsError: the application takes no account, or answers nothing.
    """
    try:
        wanted = clients(open_account(url), per_second)
    except OperationsError as error:
        raise OperationsError(f"the drill cannot begin: {error}") from error
    _launch(url, wanted, path, limit_seconds)
    report = _wait(path, lambda report: bool(report.answers), FIRST_SECONDS, "no request was answered")
    say(f"load on {url}: {per_second:g} requests/s, and 6 slow clients")
    return report


def start_waiting(url: str, path: Path, waiting: Mapping[str, Any], limit_seconds: float, say: Say) -> Report:
    """Start ``count`` clients that post the transaction ``key`` of ``account``; none has to be answered."""
    wanted = waiting_clients(str(waiting["account"]), str(waiting["key"]), int(waiting["count"]))
    _launch(url, wanted, path, limit_seconds)
    report = _wait(path, lambda report: True, FIRST_SECONDS, "no request was answered")
    say(f"load on {url}: {waiting['count']} clients that post one transaction")
    return report


def stop(path: Path, say: Say) -> Report:
    """End the load and wait for the requests under way; an empty report where none was started."""
    if not path.exists():
        return Report()
    stop_file(path).touch()
    report = _wait(path, lambda report: report.done, LAST_SECONDS, "the load did not end")
    say(f"load ended: {report.total} requests in {report.seconds:.0f} s, {report.lost} lost")
    return report


def _launch(url: str, wanted: Sequence[Clients], path: Path, limit_seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in (path, stop_file(path)):
        file.unlink(missing_ok=True)
    # The worker that runs an action is a child of ansible-playbook, with which the load ends.
    assignment = Assignment(
        url=url,
        clients=wanted,
        report=str(path),
        limit_seconds=limit_seconds,
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


def _wait(path: Path, condition: Callable[[Report], bool], seconds: float, otherwise: str) -> Report:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists():
            report = Report.from_json(path.read_text(encoding="utf-8"))
            if condition(report):
                return report
        time.sleep(0.1)
    raise OperationsError(f"{otherwise} within {seconds:.0f} s. Next: cat {_errors(path)} {path}")


def _errors(report: Path) -> Path:
    """Return the file of what the process prints when it fails."""
    return Path(f"{report}.errors")
