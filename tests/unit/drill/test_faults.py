"""The faults of a drill, against a simulated environment with its own clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.client import LoadFile, Step
from fargate_ops.drill.faults import NotPlaced, Outage, restart_database, stop_task, stop_unplaced
from fargate_ops.drill.steady_state import DrillError, ServiceState

URL, READY_URL = "http://service", "http://service/ready"
LOAD_FILE = LoadFile(
    setup=Step(method="POST", path="/rows", body={"name": "x"}, status=201), steps=[Step(path="/rows/{id}")]
)


@dataclass
class World:
    """Time passes only in waits and requests. The database is down from ``gone`` to ``back`` after the reboot."""

    now: float = 100.0
    rebooted: float | None = None
    gone: float = 0.5
    back: float = 2.0
    available: float = 2.5
    keeps_rows: bool = True
    takes_rows: bool = True
    rows: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now

    @property
    def since(self) -> float:
        return -1.0 if self.rebooted is None else self.now - self.rebooted

    def reboot_db_instance(self, DBInstanceIdentifier: str) -> None:
        assert self.rows, "the row comes first"
        self.rebooted = self.now

    def describe_db_instances(self, DBInstanceIdentifier: str) -> dict[str, Any]:
        return {"DBInstances": [{"DBInstanceStatus": "available" if self.since > self.available else "rebooting"}]}

    def http_call(
        self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        self.now += 0.01
        if self.gone <= self.since < self.back:
            return 503, "unavailable"
        if method == "POST":
            if not self.takes_rows:
                return 0, "refused"
            self.rows.add("row-1")
            return 201, json.dumps({"id": "row-1"})
        if url == READY_URL:
            return 200, "ready"
        return (200 if self.keeps_rows and url == f"{URL}/rows/row-1" else 404), ""

    def restart(self, limit: float = 30) -> Outage:
        return restart_database(
            self,
            "database",
            URL,
            READY_URL,
            LOAD_FILE,
            limit,
            self.said.append,
            call=self.http_call,
            clock=self.clock,
            sleep=self.sleep,
        )


def test_a_restart_is_watched_from_the_first_refusal_to_the_last() -> None:
    world = World()
    outage = world.restart()
    assert outage.away_seconds == pytest.approx(1.5, abs=0.1)
    assert outage.row_kept
    assert set(outage.answers) == {"HTTP 200", "HTTP 503"}
    assert world.since > world.available, "200s do not count while RDS is still rebooting"


def test_a_restart_that_nobody_noticed_was_no_outage() -> None:
    assert World(gone=9, back=9).restart().away_seconds == 0


def test_rows_that_are_gone_are_noticed() -> None:
    assert not World(keeps_rows=False).restart().row_kept


def test_a_database_that_stays_away_is_given_up() -> None:
    with pytest.raises(DrillError, match=r"database is available after 5 s; readiness: \d+ x HTTP 200, \d+ x HTTP 503"):
        World(back=1e9).restart(limit=5)


def test_nothing_is_restarted_when_the_application_takes_no_row() -> None:
    world = World(takes_rows=False)
    with pytest.raises(OperationsError, match="answered not at all"):
        world.restart()
    assert world.rebooted is None


@dataclass
class Service:
    """Two tasks. A stopped task drains for three reads; its replacement is healthy after two."""

    replaces: bool = True
    stopped: str = ""
    reads: int = 0

    def stop_task(self, cluster: str, task: str, reason: str) -> None:
        self.stopped = task

    def read_state(self) -> ServiceState:
        tasks = {"a": "r:1", "b": "r:1"}
        targets = {"healthy": 2}
        if self.stopped:
            self.reads += 1
            del tasks[self.stopped]
            targets = {"healthy": 1} | ({"draining": 1} if self.reads < 3 else {})
            if self.replaces:
                tasks["c"] = "r:1"
                targets |= {"healthy": 2} if self.reads >= 2 else {"initial": 1}
        return ServiceState(
            revision="r:1",
            version="v",
            rollout="COMPLETED",
            desired=2,
            tasks=tasks,
            running=len(tasks),
            targets=targets,
        )


def test_a_stopped_task_is_watched_until_the_service_is_whole() -> None:
    service, world = Service(), World()
    done = stop_task(service, "c", service.read_state, 60, world.said.append, clock=world.clock, sleep=world.sleep)
    assert (done.stopped, done.started) == ("a", ["c"])
    assert service.reads == 3, "not before the drain is over"
    assert any("1 draining, 1 healthy, 1 initial" in line for line in world.said)


def test_a_task_that_is_not_replaced_is_a_failure() -> None:
    service, world = Service(replaces=False), World()
    with pytest.raises(DrillError, match="task a was not replaced within 10 s: 1 of 2 tasks run"):
        stop_task(service, "c", service.read_state, 10, world.said.append, clock=world.clock, sleep=world.sleep)


@dataclass
class Unplaced(Service):
    """The same service without capacity. An event says so some reads after the stop, and one from before stays."""

    said_after: int = 2

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        messages = ["(service shop) was unable to place a task. Reason: earlier."]
        if self.stopped:
            self.reads += 1
            messages += ["(service shop) has begun draining connections on 1 tasks."]
            if self.reads > self.said_after:
                messages += ["(service shop) was unable to place a task. Reason: now."]
        events = [{"id": str(number), "message": message} for number, message in enumerate(messages)]
        return {"services": [{"status": "ACTIVE", "events": events}]}

    def stop_one(self, world: World) -> NotPlaced:
        say = world.said.append
        return stop_unplaced(self, "c", "shop", self.read_state, 10, say, clock=world.clock, sleep=world.sleep)


def test_a_task_without_a_place_is_watched_until_an_event_says_so() -> None:
    service, world = Unplaced(replaces=False), World()
    done = service.stop_one(world)
    assert (done.stopped, done.event) == ("a", "(service shop) was unable to place a task. Reason: now.")
    assert done.event in world.said[-1]


def test_a_task_that_finds_a_place_is_a_failure() -> None:
    with pytest.raises(DrillError, match="no event says within 10 s that task a could not be replaced"):
        Unplaced(said_after=99).stop_one(World())
