"""The console's real server in front of a state document that a test sets, and such documents."""

from __future__ import annotations

import asyncio
import copy
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn

from fargate_ops.console.document import difference
from fargate_ops.console.server import create_app

Json = dict[str, Any]
NOW = datetime.now(UTC).replace(microsecond=0)
INTERVALS = {"traffic": 60, "alarms": 60}
OLD, NEW = "settlement-local:4", "settlement-local:5"
NAMES = {OLD: "fedcba987654+91be", NEW: "0123456789ab+3f2a"}


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


class Feed:
    """Stands where the poller stands: it sends the documents that a test sets."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._closed = False
        self.viewers = 0

    def document(self) -> Json:
        return self._document

    @contextmanager
    def viewer(self) -> Iterator[None]:
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1

    async def events(self) -> AsyncIterator[tuple[str, Json]]:
        changed, sent = self._changed, self._document
        yield "state", sent
        while await changed.wait() and not self._closed:
            changed, current = self._changed, self._document
            yield "delta", difference(sent, current)
            sent = current

    def set(self, document: Json) -> None:
        """Send what changed to the viewers."""
        self._document = document
        self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


@contextmanager
def served(feed: Feed, port: int = 0) -> Iterator[str]:
    """Serve the console's page with this feed; yield its address."""
    listener = socket.create_server(("127.0.0.1", port))
    port = listener.getsockname()[1]
    config = uvicorn.Config(create_app(feed, port), log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=feed._loop.run_until_complete, args=(server.serve([listener]),))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        feed.close()
        thread.join(60)
        listener.close()


def section(value: Any, interval: int = 10, age: float = 2) -> Json:
    return {"value": value, "at": None if value is None else ago(age), "interval_seconds": interval, "error": None}


def error(message: str, command: str) -> Json:
    return {"message": message, "next": command, "at": ago(1), "since": ago(60)}


def quiet() -> Json:
    """Return the document of an environment in which nothing happens: one release failed, and its successor serves."""
    sections = {
        "serving": {
            "version": NAMES[OLD].partition("+")[0],
            "name": NAMES[OLD],
            "digest": "sha256:7380e9a1c0ffee00" + "0" * 48,
            "revision": OLD,
            "kind": "release",
            "outcome": "succeeded",
            "since": ago(7500),
            "by": "ann@laptop",
            "why": "",
            "desired": 3,
            "running": 3,
            "healthy": 3,
            "rollback_to": "aaaabbbbcccc+5d1e (settlement-local:2)",
            "max_connections": 210,
            "warnings": [],
        },
        "rollout": {
            "in_progress": False,
            "state": "COMPLETED",
            "reason": "",
            "progress": "new 0 pending, 3 running · targets 3 healthy",
            "desired": 3,
            "deployments": [deployment(OLD, "new", created=7520, running=3)],
            "targets": {"healthy": 3},
            "tasks": [task(OLD, "new", number) for number in range(3)],
            "service_deployment": {
                "id": "S4_MyeDFgcxOOddD4rT9Xg",
                "status": "SUCCESSFUL",
                "reason": "",
                "created": ago(7520),
                "finished": ago(7502),
            },
            "events": [{"at": ago(7500), "text": "(service settlement-local) has reached a steady state."}],
        },
        "traffic": traffic(),
        "alarms": {
            "alarms": [
                alarm("database-connections", "OK", "docs/runbooks/database_connections.md", "make incident-db"),
                alarm("error-rate", "OK", "docs/monitoring.md#error-rate", "make status", threshold=5.0),
            ]
        },
        "ledger": {
            "releases": [
                release(OLD, "succeeded", started=7520, seconds=20.4, serves=True),
                release("settlement-local:3", "failed", started=9900, seconds=61, why="a task stopped: exit code 1"),
                release("settlement-local:2", "rolled_back", started=21000, seconds=19),
            ],
            "more": False,
            "unreadable": [],
        },
        "lock": dict.fromkeys(
            ("owner", "purpose", "since", "heartbeat", "heartbeat_age_seconds", "text", "next"),
        )
        | {"state": "free"},
    }
    return {
        "environment": "local",
        "region": "ap-northeast-2",
        "account": "000000000000",
        "url": "http://127.0.0.1:8080",
        "now": NOW.isoformat(),
        "busy": False,
        "aws_calls": {"last_minute": 17, "limit": 30},
        "sections": {
            name: section(value, 60 if name in ("traffic", "alarms") else 10) for name, value in sections.items()
        },
    }


def deployment(revision: str, which: str, *, created: float, running: int, pending: int = 0, failed: int = 0) -> Json:
    return {
        "id": f"ecs-svc/{revision}",
        "which": which,
        "status": "PRIMARY" if which == "new" else "ACTIVE",
        "revision": revision,
        "name": NAMES.get(revision),
        "desired": 3,
        "pending": pending,
        "running": running,
        "failed": failed,
        "state": "COMPLETED" if which == "old" or running == 3 else "IN_PROGRESS",
        "reason": "",
        "created": ago(created),
    }


def task(revision: str, which: str, number: int, status: str = "RUNNING", target: str = "healthy") -> Json:
    return {
        "id": f"{revision[-1] * 7}{number}-e54a-4f1c",
        "which": which,
        "revision": revision,
        "status": status,
        "started": ago(500) if status == "RUNNING" else None,
        "address": f"172.31.240.{number}",
        "target": target,
    }


def alarm(name: str, state: str, runbook: str, command: str, threshold: float = 168.0) -> Json:
    return {
        "name": f"settlement-local-{name}",
        "state": state,
        "since": ago(640),
        "meaning": "The database has almost as many connections as it accepts.",
        "runbook": runbook,
        "next": command,
        "threshold": threshold,
    }


def release(
    revision: str, outcome: str, *, started: float, seconds: float | None, why: str = "", serves: bool = False
) -> Json:
    name = NAMES.get(revision, f"{revision[-1] * 12}+77aa")
    return {
        "name": name,
        "version": name.partition("+")[0],
        "digest": "sha256:" + "7" * 64,
        "revision": revision,
        "kind": "release",
        "outcome": outcome,
        "by": "ann@laptop",
        "why": why,
        "started": ago(started),
        "ended": None if seconds is None else ago(started - seconds),
        "duration_seconds": seconds,
        "serves": serves,
    }


def traffic() -> Json:
    """Return six hours with a gap, a minute alone between two gaps, and errors during the failed release."""
    first = int(NOW.timestamp()) // 60 * 60 - 360 * 60
    minutes = range(360)
    known = [not 100 <= minute < 150 or minute == 125 for minute in minutes]

    def series(of: Any) -> list[float | None]:
        return [of(minute) if is_known else None for minute, is_known in zip(minutes, known, strict=True)]

    return {
        "period_seconds": 60,
        "times": [first + 60 * minute for minute in minutes],
        "series": {
            "requests": series(lambda minute: 400 + minute % 60 * 4),
            "errors_4xx": series(lambda minute: minute % 7),
            "errors_5xx": series(lambda minute: 30 if 195 <= minute < 198 else 0),
            "p50": series(lambda minute: 2 + minute % 5 / 10),
            "p99": series(lambda minute: 9 + minute % 13 + (60 if 195 <= minute < 198 else 0)),
            "connections": series(lambda minute: 30 + minute % 9),
        },
        "no_data": {},
        "max_connections": 210,
    }


def rolling() -> Json:
    """Return the document in the middle of a rollout: one new task is healthy, one starts, one old task drains."""
    document = copy.deepcopy(quiet())
    sections = document["sections"]
    document["busy"] = True
    sections["serving"]["value"] |= {
        "version": NAMES[NEW].partition("+")[0],
        "name": NAMES[NEW],
        "revision": NEW,
        "outcome": "in_progress",
        "since": None,
        "running": 4,
    }
    sections["rollout"]["value"] |= {
        "in_progress": True,
        "state": "IN_PROGRESS",
        "progress": "new 1 pending, 2 running · old 0 pending, 2 running · targets 3 healthy, 1 initial, 1 draining",
        "deployments": [
            deployment(NEW, "new", created=14, running=2, pending=1),
            deployment(OLD, "old", created=7520, running=2),
        ],
        "targets": {"healthy": 3, "initial": 1, "draining": 1},
        "tasks": [
            task(OLD, "old", 0),
            task(OLD, "old", 1),
            task(OLD, "old", 2, target="draining"),
            task(NEW, "new", 3),
            task(NEW, "new", 4, target="initial"),
            task(NEW, "new", 5, "PENDING", "not registered"),
        ],
        "service_deployment": {
            "id": "S5",
            "status": "IN_PROGRESS",
            "reason": "",
            "created": ago(14),
            "finished": None,
        },
        "events": [
            *(
                {
                    "at": ago(3),
                    "text": "(service settlement-local) registered 1 targets in (target-group arn:aws:elasticload"
                    "balancing:ap-northeast-2:000000000000:targetgroup/settlement-local-api/5h3qm3yflgnunzvf)",
                }
                for _ in range(3)
            ),
            {"at": ago(9), "text": "(service settlement-local) has started 3 tasks: (task 5555)."},
        ],
    }
    sections["ledger"]["value"]["releases"].insert(0, release(NEW, "in_progress", started=15, seconds=None))
    sections["lock"]["value"] = {
        "state": "held",
        "owner": "ann@laptop",
        "purpose": "release",
        "since": ago(21),
        "heartbeat": ago(1),
        "heartbeat_age_seconds": 1,
        "text": "ann@laptop, for release, since 21 s",
        "next": "",
    }
    return document


def failing() -> Json:
    """Return the document after all new tasks failed: ECS puts the old revision back, and an alarm rings."""
    document = rolling()
    sections = document["sections"]
    serves = quiet()["sections"]["serving"]["value"]
    sections["serving"]["value"] = serves | {"warnings": ["a rollout of settlement-local:4 is in progress"]}
    sections["rollout"]["value"] |= {
        "reason": "ECS deployment ecs-svc/6 in progress.",
        "progress": "new 0 pending, 3 running · old 0 pending, 0 running · targets 3 healthy",
        "deployments": [
            deployment(OLD, "new", created=4, running=3) | {"state": "IN_PROGRESS"},
            deployment(NEW, "old", created=48, running=0, failed=3) | {"state": "FAILED"},
        ],
        "tasks": [task(NEW, "old", 3, "STOPPED", "not registered"), *(task(OLD, "new", number) for number in range(3))],
    }
    sections["rollout"]["value"]["service_deployment"] |= {
        "created": ago(48),
        "status": "ROLLBACK_IN_PROGRESS",
        "reason": "Circuit breaker threshold exceeded.",
    }
    sections["alarms"]["value"]["alarms"][0]["state"] = "ALARM"
    return document


def nothing_deployed() -> Json:
    """Return the document of an environment without a service."""
    document = copy.deepcopy(quiet())
    document |= {"region": "", "account": "", "url": ""}
    for name in ("serving", "rollout", "traffic", "alarms"):
        document["sections"][name] |= {
            "value": None,
            "at": None,
            "error": error("nothing is deployed here", "make deploy ENV=local"),
        }
    document["sections"]["ledger"]["value"] = {"releases": [], "more": False, "unreadable": []}
    return document
