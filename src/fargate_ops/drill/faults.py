"""Stop a task or restart the database, and watch until the service has recovered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.drill.client import HttpCall, LoadFile, http_call
from fargate_ops.drill.steady_state import DrillError, ServiceState
from fargate_ops.ecs.rollout import describe_service

Say = Callable[[str], None]

#: Part of the event of a service for whose task ECS found no place.
NOT_PLACED = "unable to place a task"
#: Readiness has recovered after this many 200s in a row: each may come from another process.
GOOD_ANSWERS = 20
#: Short, because a PostgreSQL container restarts within some tenths of a second.
HTTP_POLL_SECONDS = 0.02
#: Between two reads of the service or of the instance's status.
STATE_POLL_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """A stopped task, its replacements, and the seconds until the service was steady again."""

    stopped: str
    started: list[str]
    seconds: float

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def stop_task(
    ecs: Any,
    cluster: str,
    read_state: Callable[[], ServiceState],
    limit_seconds: float,
    say: Say,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Replacement:
    """Stop one task and wait until the service is steady without it.

    Raises:
        DrillError: the task was not replaced within the limit.
    """
    before = read_state()
    task_id = min(before.tasks)
    say(f"stopping task {task_id}")
    ecs.stop_task(cluster=cluster, task=task_id, reason="drill: task_killed")
    started, said = clock(), ""
    while True:
        seen = read_state()
        line = f"{seen.running} of {seen.desired} tasks run, targets: {seen.targets_text}"
        if line != said:
            say(f"  {clock() - started:5.1f} s  {line}")
            said = line
        if task_id not in seen.tasks and not seen.missing:
            new = sorted(set(seen.tasks) - set(before.tasks))
            return Replacement(stopped=task_id, started=new, seconds=round(clock() - started, 1))
        if clock() - started > limit_seconds:
            missing = seen.missing or "it still runs"
            raise DrillError(f"task {task_id} was not replaced within {limit_seconds:.0f} s: {missing}")
        sleep(STATE_POLL_SECONDS)


@dataclass(frozen=True, kw_only=True)
class NotPlaced:
    """A stopped task that ECS cannot replace, and the event that says so."""

    stopped: str
    event: str

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def stop_unplaced(
    ecs: Any,
    cluster: str,
    service: str,
    read_state: Callable[[], ServiceState],
    limit_seconds: float,
    say: Say,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> NotPlaced:
    """Stop one task, and wait until ECS was unable to place another.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html

    Raises:
        DrillError: no event says so within the limit.
    """

    def events() -> dict[str, str]:
        found = describe_service(ecs, cluster, service).get("events", ())
        return {str(event["id"]): str(event["message"]) for event in found if NOT_PLACED in event["message"]}

    before = events()
    task_id = min(read_state().tasks)
    say(f"stopping task {task_id}, without capacity for another")
    ecs.stop_task(cluster=cluster, task=task_id, reason="drill: no_capacity")
    started = clock()
    while not (new := [message for identifier, message in events().items() if identifier not in before]):
        if clock() - started > limit_seconds:
            raise DrillError(f"no event says within {limit_seconds:.0f} s that task {task_id} could not be replaced")
        sleep(STATE_POLL_SECONDS)
    say(f"  {clock() - started:5.1f} s  {new[0]}")
    return NotPlaced(stopped=task_id, event=new[0])


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A restart of the database as seen by clients of the readiness path.

    ``away_seconds``: from the first response other than 200 to the first of the final 200s; 0 if all were 200.
    ``row_kept``: what the load file's ``setup`` wrote just before still exists; None if it writes nothing.
    """

    away_seconds: float
    answers: Mapping[str, int]
    row_kept: bool | None

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def restart_database(
    rds: Any,
    instance: str,
    url: str,
    ready_url: str,
    load_file: LoadFile,
    limit_seconds: float,
    say: Say,
    *,
    call: HttpCall = http_call,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Outage:
    """Write a row through the application, restart the instance, and poll ``ready_url`` until it has recovered.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RebootDBInstance.html

    Raises:
        DrillError: the database did not recover within the limit.
        OperationsError: the application rejected the row.
    """
    load = load_file.begin(url, call)
    say(f"restarting {instance}")
    rds.reboot_db_instance(DBInstanceIdentifier=instance)
    started = looked = clock()
    answers: Counter[str] = Counter()
    away_from = good_from = None
    in_a_row, status = 0, "rebooting"
    while in_a_row < GOOD_ANSWERS or status != "available":
        sent = clock()
        code, _ = call("GET", ready_url)
        answers[f"HTTP {code}" if code else "no answer"] += 1
        if code == 200:
            good_from = good_from if in_a_row else clock()
            in_a_row += 1
        else:
            if away_from is None:
                say(f"  {sent - started:5.1f} s  readiness: {code or 'no answer'}")
                away_from = sent
            in_a_row = 0
        if clock() - looked > STATE_POLL_SECONDS:
            looked = clock()
            status = str(rds.describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0]["DBInstanceStatus"])
        if clock() - started > limit_seconds:
            raise DrillError(f"{instance} is {status} after {limit_seconds:.0f} s; readiness: {_text(answers)}")
        sleep(HTTP_POLL_SECONDS)
    away = 0.0 if away_from is None or good_from is None else good_from - away_from
    say(f"  {clock() - started:5.1f} s  readiness: {_text(answers)}; {instance} is {status}")
    return Outage(away_seconds=round(away, 1), answers=dict(answers), row_kept=load.is_read(url, call))


def _text(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {answer}" for answer, count in answers.items())
