"""Exhaust the database's connections on purpose, and watch the recovery.

The sessions are leaked by a task of the application's image, with the application's credentials and in the service's
network, because the controller has neither. The programs are in `roles/drill/files/`. They need Python and a driver of
PostgreSQL in the image, and know no table of the application.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.project import ROLES
from fargate_ops.drill.client import HttpCall, http_call
from fargate_ops.drill.steady_state import DrillError
from fargate_ops.ecs.one_off import admin_task, newest_admin_definition, service_task
from fargate_ops.ecs.tasks import LogReader, OneOff, Runner, describe_tasks, how_stopped, log_stream
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]

FILES = ROLES / "drill/files"
#: The application has recovered after this many successes in a row: each may come from another process.
GOOD_ANSWERS = 20
HTTP_POLL_SECONDS = 0.05
TASK_POLL_SECONDS = 0.3
#: The application is refusing requests after this many 5xx responses.
REFUSED_ANSWERS = 5


@dataclass(frozen=True, kw_only=True)
class Exhaustion:
    """The server is full and the application refuses requests. ``leaked``: sessions held by the program."""

    task_arn: str
    leaked: int
    refusal: str
    answers: Mapping[str, int]

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """The application recovered after ``seconds``. ``kept``: the long transaction is committed."""

    seconds: float
    answers: Mapping[str, int]
    ended: int
    kept: bool
    said: str

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SlowStatement:
    """A slow statement that locks ``table``."""

    task_arn: str
    table: str

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


class Program:
    """Runs a program of `roles/drill/files/` as a one-off task."""

    def __init__(
        self,
        clients: Clients,
        stack: Stack,
        say: Say,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ecs, self._logs, self._stack = clients.client("ecs"), clients.client("logs"), stack
        self._cluster, self._container = stack.cluster_name, stack.container_name
        self._say, self._clock, self._sleep = say, clock, sleep

    def start(self, file: str, revision: str = "", **environment: float) -> str:
        """Start a program with `revision` or the serving task definition; return the task's ARN. Raises TaskError."""
        service = self._ecs.describe_services(cluster=self._cluster, services=[self._stack.service_name])
        return self._start(service_task, revision or str(service["services"][0]["taskDefinition"]), file, environment)

    def start_as_master(self, file: str, **environment: float) -> str:
        """Start a program as an admin task; return the task's ARN. Raises TaskError."""
        revision = str(newest_admin_definition(self._ecs, self._stack)["taskDefinitionArn"])
        return self._start(admin_task, revision, file, environment)

    def _start(self, task: Callable[..., OneOff], revision: str, file: str, environment: Mapping[str, float]) -> str:
        values = {name: f"{value:g}" for name, value in environment.items()}
        command = ["python", "-c", source(file)]
        what = task(self._stack, revision, command, purpose="drill", environment=values)
        return Runner(self._ecs, self._logs, self._say).start(what)

    def until(self, task_arn: str, key: str, limit_seconds: float) -> dict[str, Any]:
        """Wait for the program's JSON line that has `key`.

        Raises:
            DrillError: the program ended without that line, or did not print it within the limit.
        """
        reader, lines = LogReader(self._logs, self._stream(task_arn)), list[str]()
        started, last_look = self._clock(), False
        while True:
            lines += reader.new_lines()
            found = next((record for record in records(lines) if key in record), None)
            if found is not None:
                return found
            (task,) = describe_tasks(self._ecs, self._cluster, [task_arn])
            stopped = task["lastStatus"] == "STOPPED"
            if (stopped and last_look) or self._clock() - started > limit_seconds:
                end = how_stopped(task, self._container) if stopped else f"after {limit_seconds:.0f} s"
                raise DrillError(
                    f"the drill's program did not print {key!r}: {end}; its output: {' / '.join(lines[-3:])}"
                )
            last_look = stopped  # the last log lines arrive after the task has stopped
            self._sleep(2.0 if stopped else TASK_POLL_SECONDS)

    def stop(self, task_arn: str) -> None:
        """Stop the program's task."""
        self._ecs.stop_task(cluster=self._cluster, task=task_arn, reason="the drill is over")

    def _stream(self, task_arn: str) -> Any:
        (task,) = describe_tasks(self._ecs, self._cluster, [task_arn])
        definition = self._ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        return log_stream(definition, self._container, task_arn)


def source(file: str) -> str:
    """Return a program as one argument: the line that imports connect.py is replaced by that file's text."""
    connect, program = ((FILES / name).read_text(encoding="utf-8") for name in ("connect.py", file))
    return re.sub(r"^from roles\.drill\.files\.connect import .*$", lambda _: connect, program, flags=re.MULTILINE)


def records(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the lines that are JSON objects."""
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            found.append(record)
    return found


def poll_url(
    url: str, limit_seconds: float, call: HttpCall, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[tuple[float, int, str]]:
    """Request `url` until the limit has passed; yield the time of each request, its status (0: no answer) and body."""
    started = clock()
    while (at := clock()) - started <= limit_seconds:
        yield at, *call("GET", url, None)
        sleep(HTTP_POLL_SECONDS)


def exhaust(
    program: Program,
    ready_url: str,
    limit_seconds: float,
    say: Say,
    *,
    call: HttpCall = http_call,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Exhaustion:
    """Leak sessions until the server has no connection left, and wait until the application is not ready.

    Raises:
        DrillError: within the limit, the server did not fill up or the application refused nothing.
        TaskError: the program could not be started.
    """
    started = clock()
    task_arn = program.start("leak.py", LIMIT_SECONDS=limit_seconds)
    full = program.until(task_arn, "full", limit_seconds)
    refusal = str(program.until(task_arn, "refused", limit_seconds)["refused"])
    say(f"  {clock() - started:5.1f} s  {full['full']} sessions leaked; the server answers: {refusal}")
    answers: Counter[str] = Counter()
    for _, code, _ in poll_url(ready_url, limit_seconds, call, clock, sleep):
        answers[f"HTTP {code}" if code else "no answer"] += 1
        if sum(number for name, number in answers.items() if name.startswith("HTTP 5")) >= REFUSED_ANSWERS:
            break
    else:
        program.stop(task_arn)
        raise DrillError(f"the application still answers: {dict(answers)}")
    say(f"  {clock() - started:5.1f} s  readiness: {', '.join(f'{n} x {name}' for name, n in answers.items())}")
    return Exhaustion(task_arn=task_arn, leaked=int(full["full"]), refusal=refusal, answers=dict(answers))


def recover(
    program: Program,
    exhaustion: Exhaustion,
    ready_url: str,
    limit_seconds: float,
    say: Say,
    *,
    call: HttpCall = http_call,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Recovered:
    """Wait until the application is ready again, and read the program's result.

    Raises:
        DrillError: the application did not recover within the limit.
    """
    started, answers = clock(), Counter[str]()
    good_from, in_a_row = started, 0
    for at, code, _ in poll_url(ready_url, limit_seconds, call, clock, sleep):
        answers[f"HTTP {code}" if code else "no answer"] += 1
        good_from = at if not in_a_row else good_from
        in_a_row = in_a_row + 1 if code == 200 else 0
        if in_a_row == GOOD_ANSWERS:
            break
    else:
        program.stop(exhaustion.task_arn)
        raise DrillError(f"the application does not answer again after {limit_seconds:.0f} s: {dict(answers)}")
    end = program.until(exhaustion.task_arn, "leaked", limit_seconds)
    ended, leaked = int(end["ended"]), int(end["leaked"])
    say(f"  answered again after {good_from - started:.1f} s; {ended} of {leaked} leaked sessions were ended")
    return Recovered(
        seconds=round(good_from - started, 1),
        answers=dict(answers),
        ended=ended,
        kept=bool(end.get("kept")),
        said=str(end.get("failed") or ""),
    )


def hold(program: Program, hold_seconds: float, limit_seconds: float, say: Say) -> SlowStatement:
    """Start a slow statement that locks the table that the load reads most. Raises DrillError and TaskError."""
    task_arn = program.start_as_master("slow.py", HOLD_SECONDS=hold_seconds)
    table = str(program.until(task_arn, "held", limit_seconds)["held"])
    say(f"a statement of {hold_seconds:g} s locks {table}")
    return SlowStatement(task_arn=task_arn, table=table)


def starve(
    ready_url: str,
    limit_seconds: float,
    say: Say,
    *,
    call: HttpCall = http_call,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, int]:
    """Wait until the application is not ready, because no connection of its pools is free; return all responses.

    Raises:
        DrillError: it was ready until the limit.
    """
    started, answers = clock(), Counter[str]()
    for _, code, _ in poll_url(ready_url, limit_seconds, call, clock, sleep):
        answers[f"HTTP {code}" if code else "no answer"] += 1
        if code == 503:
            break  # one is enough: it waited for the pool's whole timeout
    else:
        raise DrillError(f"the application was ready for {limit_seconds:.0f} s: {dict(answers)}")
    say(f"  {clock() - started:5.1f} s  {', '.join(f'{number} x {name}' for name, number in answers.items())}")
    return dict(answers)


def clear(
    program: Program,
    slow: SlowStatement,
    ready_url: str,
    limit_seconds: float,
    say: Say,
    *,
    call: HttpCall = http_call,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until the statement is over and the application is ready again; return whether the statement completed.

    Raises:
        DrillError: the application did not recover within the limit.
    """
    started, in_a_row = clock(), 0
    over = "over" in program.until(slow.task_arn, "over", limit_seconds)
    for _, code, _ in poll_url(ready_url, limit_seconds, call, clock, sleep):
        in_a_row = in_a_row + 1 if code == 200 else 0
        if in_a_row == GOOD_ANSWERS:
            break
    else:
        raise DrillError(f"the application does not answer again after {limit_seconds:.0f} s")
    say(f"  the statement is over; answered again after {clock() - started:.1f} s")
    return over
