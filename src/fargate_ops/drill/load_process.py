"""Start the load of a drill in a separate process, and stop it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fargate_ops.core.application import Application
from fargate_ops.core.problem import OperationsError
from fargate_ops.core.project import SOURCE
from fargate_ops.drill.client import LoadFile
from fargate_ops.drill.load import ANSWER_SECONDS, Assignment, Clients, Report, stop_file
from fargate_ops.state.lock import Machine, holder_of

Say = Callable[[str], None]

#: Limits of the wait for the first answers, which take about a second, and for the last ones.
FIRST_SECONDS = 60.0
LAST_SECONDS = ANSWER_SECONDS + 10.0


def start(
    url: str,
    path: Path,
    application: Application,
    load_file: str,
    per_second: float,
    database_clients: int,
    limit_seconds: float,
    say: Say,
) -> Report:
    """Start the load and wait for the first answers. The process writes its report to `path`.

    Raises:
        OperationsError: the load file is wrong, or the application rejects its request ``setup`` or does not answer.
    """
    _discard(path)
    try:
        load = LoadFile.read(load_file).begin(url)
    except OperationsError as error:
        raise OperationsError(f"the drill cannot begin: {error}") from error
    wanted = load.clients(application, per_second, database_clients)
    _launch(url, wanted, path, limit_seconds)
    report = _wait(path, lambda report: bool(report.answers), FIRST_SECONDS, "no request was answered")
    slow = sum(group.count for group in wanted if group.body_seconds)
    database = "" if load.requests else "; none uses the database: there is no load file (app_load_file)"
    say(f"load on {url}: {per_second:g} requests/s, and {slow} slow clients{database}")
    return report


def stop(path: Path, say: Say) -> Report:
    """End the load and wait for the requests in progress. Return an empty report if no load was started."""
    if not path.exists():
        return Report()
    stop_file(path).touch()
    report = _wait(path, lambda report: report.done, LAST_SECONDS, "the load did not end")
    say(f"load ended: {report.total} requests in {report.seconds:.0f} s, {report.lost} lost")
    return report


def _discard(path: Path) -> None:
    """Remove the files of an earlier load, which `stop` would take for this one if it does not start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in (path, stop_file(path)):
        file.unlink(missing_ok=True)


def _launch(url: str, wanted: Sequence[Clients], path: Path, limit_seconds: float) -> None:
    # The parent of this worker is ansible-playbook. The load ends when that process does.
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
    """Return the path of the process's standard error."""
    return Path(f"{report}.errors")
