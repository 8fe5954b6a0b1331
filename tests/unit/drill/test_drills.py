"""The verdict of a drill: every check can pass, and each can fail alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fargate_ops.core.application import Application
from fargate_ops.drill.client import WITHOUT_DATABASE, LoadFile, Step
from fargate_ops.drill.drills import DRILLS, Evidence, lacking, scene, verdict
from fargate_ops.drill.load import Report, Tally
from fargate_ops.drill.steady_state import ServiceState

BEFORE = ServiceState(
    revision="storefront:4",
    version="v4",
    rollout="COMPLETED",
    desired=2,
    tasks={"a": "storefront:4", "b": "storefront:4"},
    running=2,
    targets={"healthy": 2},
    newest_release="r4",
    newest_outcome="succeeded",
)
VERSION, FRESH_VERSION = WITHOUT_DATABASE


def seen(observation: ServiceState = BEFORE, **changes: Any) -> ServiceState:
    return ServiceState(**{**observation.to_plain(), **changes})


def load(**changes: Tally) -> Report:
    """All answered; ``version=`` and ``account=`` replace a tally."""
    tallies = {name: Tally(answers=Counter({"200 v4": 50}), last_answer=9.9) for name in WITHOUT_DATABASE}
    tallies["account"] = Tally(answers=Counter({"200 {}": 100}), last_answer=9.9)
    names = {"version": VERSION, "account": "account"}
    changed = tallies | {names[key]: tally for key, tally in changes.items()}
    return Report(tallies=changed, began=1000.0, seconds=10, done=True)


def cut(first_lost: float = 1.5, last_lost_sent: float = 5.5, last_lost: float = 8.0) -> Tally:
    """Lost requests while a zone was lost, from second 1 to second 6 of the load."""
    answers = Counter({"200 v4": 40})
    return Tally(
        answers=answers,
        lost=9,
        first_lost=first_lost,
        last_lost=last_lost,
        last_lost_sent=last_lost_sent,
        last_answer=9.9,
    )


LOST = Tally(answers=Counter({"200 v4": 49}), lost=1, examples=["3.0 s: 503"], last_lost=3, last_answer=9.9)
REPLACED = seen(tasks={"b": "storefront:4", "c": "storefront:4"})
AFTER_FAILURE = seen(newest_release="r5", newest_outcome="failed", newest_why="exit code 1")
NOTHING_NAMED: dict[str, Any] = {"cause": "", "also_seen": []}
RELEASE_FAILED = {
    "failed": True,
    "said": "local: the release failed\nmore",
    "incident": {"cause": "database down", "also_seen": ["bad release"]},
}
NAMED = {"cause": "zone lost", "also_seen": [], "next": "make zone-away ENV=local ZONE=ap-northeast-2a"}
ZONE_LOST = {
    "zone": "ap-northeast-2a",
    "lost": ["a"],
    "started": ["c"],
    "out_seconds": 12.5,
    "seconds": 20.0,
    "lost_at": 1001.0,
    "steady_at": 1006.0,
    "incident": NAMED,
}
NOT_PLACED = {
    "stopped": "a",
    "event": "(service shop) was unable to place a task. Reason: none.",
    "incident": {"cause": "no capacity", "also_seen": []},
}
TASK_REPLACED = {"stopped": "a", "started": ["c"], "seconds": 10.3}
OUTAGE = {"away_seconds": 1.2, "answers": {"HTTP 200": 30, "HTTP 503": 9}, "row_kept": True}
REFUSED = Tally(answers=Counter({"200 {}": 90}), lost=10, last_lost=3, last_answer=9.9)

FIRST = {"case": "leaked sessions", "ended": [1, 2], "report": "a.md"}
AGAIN = {"case": "nothing holds the connections now", "ended": [], "report": "b.md"}
EXHAUSTED: dict[str, Any] = {
    "fault": {"leaked": 2, "answers": {"HTTP 503": 5}, "refusal": "FATAL: too many clients"},
    "incident": {"cause": "pool exhausted", "also_seen": []},
    "first": FIRST,
    "recovery": {"seconds": 0.4, "ended": 2, "kept": True, "said": ""},
    "again": AGAIN,
}
STARVED: dict[str, Any] = {
    "starving": {"answers": {"HTTP 503": 5}},
    "incident": {"cause": "lock wait", "also_seen": ["pool exhausted"]},
    "first": {"case": "slow queries hold the sessions", "ended": [], "report": "a.md"},
    "cleared": {"over": True},
    "again": {"case": "the pools are full, the server is not", "ended": [], "report": "b.md"},
}
KEY = "20261124-101500"
DATABASES = {"": {"instance_identifier": "storefront"}, KEY: {"instance_identifier": f"storefront-{KEY}"}}
LOSS = {"lost": 1, "from": "2026-11-24T10:15:04Z", "to": "2026-11-24T10:15:05Z"}
TABLES = {"drill_rows": {"back": 2, **LOSS}}
COMPARED = {"key": KEY, "databases": DATABASES, "comparison": {"lost": 1, "tables": TABLES}}
RESTORED: dict[str, Any] = {
    "fault": {"deleted": 2, "later": 1, "first": LOSS["from"], "last": LOSS["to"]},
    "first": COMPARED,
    "looked": {"back": 2, "later": 0},
    "serves": f"storefront-{KEY}",
    "again": COMPARED,
}
SWITCHED = seen(revision="storefront:5", tasks={"c": "storefront:5", "d": "storefront:5"}, newest_release="r5")

MOVED = seen(
    revision="storefront:5",
    tasks={"c": "storefront:5", "d": "storefront:5"},
    newest_release="r5",
    newest_outcome="succeeded",
    newest_why="drill rotation",
)
ROTATED: dict[str, Any] = {
    "first": {"rotated": True, "user": "app_clone"},
    "users": ["app_clone"],
    "former": "app",
    "again": {"rotated": False, "age_days": 0.0},
    "changed": {"replaced": 2, "seconds": 14.2},
}

SCALED: dict[str, Any] = {
    "out": {"desired": 4, "seconds": 12.3, "outside": [], "limits": "2 to 4 tasks"},
    "released": seen(revision="storefront:5", desired=4).to_plain(),
    "busy": {"total": 900, "lost": 0},
    "in": {"desired": 2, "seconds": 41.5, "outside": [], "limits": "2 to 4 tasks", "numbers": [4, 3, 2]},
}

PASSING: dict[str, Evidence] = {
    "broken_release": Evidence(before=BEFORE, after=AFTER_FAILURE, load=load(), happened=RELEASE_FAILED),
    "never_healthy": Evidence(before=BEFORE, after=AFTER_FAILURE, load=load(), happened=RELEASE_FAILED),
    "task_killed": Evidence(before=BEFORE, after=REPLACED, load=load(), happened=TASK_REPLACED),
    "no_capacity": Evidence(before=BEFORE, after=REPLACED, load=load(), happened=NOT_PLACED),
    "zone_lost": Evidence(before=BEFORE, after=REPLACED, load=load(version=cut()), happened=ZONE_LOST),
    "database_restart": Evidence(before=BEFORE, after=BEFORE, load=load(account=REFUSED), happened=OUTAGE),
    "pool_exhaustion": Evidence(before=BEFORE, after=BEFORE, load=load(account=REFUSED), happened=EXHAUSTED),
    "restore": Evidence(before=BEFORE, after=SWITCHED, load=load(), happened=RESTORED),
    "slow_query": Evidence(before=BEFORE, after=BEFORE, load=load(account=REFUSED), happened=STARVED),
    "rotation": Evidence(before=BEFORE, after=MOVED, load=load(), happened=ROTATED),
    "cpu_load": Evidence(before=BEFORE, after=seen(revision="storefront:6"), load=load(), happened=SCALED),
}


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill_whose_promises_are_all_kept(name: str) -> None:
    passed, lines = verdict(name, PASSING[name])
    assert passed, lines
    assert lines[-1] == f"VERDICT {name}: every check passed"
    assert len(lines) == len(DRILLS[name].checks) + 1


OTHER_VERSION = Tally(answers=Counter({"200 v4": 49, "200 v5": 1}), last_answer=9.9)


@pytest.mark.parametrize(
    ("name", "changes", "failed"),
    [
        ("broken_release", {"happened": RELEASE_FAILED | {"failed": False}}, "the release fails"),
        (
            "broken_release",
            {"happened": RELEASE_FAILED | {"incident": NOTHING_NAMED}},
            "make incident names the bad release",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"incident": NOTHING_NAMED}},
            "make incident names the exhausted pool",
        ),
        ("slow_query", {"happened": STARVED | {"incident": NOTHING_NAMED}}, "make incident names the lock wait"),
        ("broken_release", {"after": BEFORE}, "the ledger records the failure and its reason"),
        (
            "broken_release",
            {"after": seen(AFTER_FAILURE, newest_outcome="succeeded")},
            "the ledger records the failure and its reason",
        ),
        (
            "never_healthy",
            {"after": seen(AFTER_FAILURE, revision="storefront:5")},
            "only the previous release runs",
        ),
        ("never_healthy", {"after": seen(AFTER_FAILURE, running=1)}, "only the previous release runs"),
        ("broken_release", {"load": load(version=OTHER_VERSION)}, "no other version answered a request"),
        ("broken_release", {"load": load(version=LOST)}, "no request is lost"),
        ("task_killed", {"load": load(account=Tally())}, "no request is lost"),
        ("task_killed", {"happened": {**TASK_REPLACED, "started": []}}, "the scheduler replaces it"),
        ("task_killed", {"after": seen(tasks={"a": "storefront:4", "c": "storefront:4"})}, "the scheduler replaces it"),
        ("task_killed", {"after": seen(REPLACED, targets={"healthy": 1})}, "all targets are healthy again"),
        ("no_capacity", {"happened": NOT_PLACED | {"event": ""}}, "ECS says that it cannot place another"),
        (
            "no_capacity",
            {"happened": NOT_PLACED | {"incident": {"cause": "", "also_seen": []}}},
            "make incident names the capacity",
        ),
        ("no_capacity", {"after": BEFORE}, "the scheduler replaces it once there is capacity"),
        (
            "no_capacity",
            {"after": seen(tasks={"a": "storefront:4", "c": "storefront:4"})},
            "the scheduler replaces it once there is capacity",
        ),
        ("no_capacity", {"after": seen(REPLACED, targets={"healthy": 1})}, "all targets are healthy again"),
        ("no_capacity", {"load": load(version=LOST)}, "no request is lost"),
        ("zone_lost", {"happened": ZONE_LOST | {"started": []}}, "new tasks replace the zone's"),
        (
            "zone_lost",
            {"after": seen(REPLACED, tasks={"c": "storefront:4", "d": "storefront:4"})},
            "the other zones' tasks keep running",
        ),
        ("zone_lost", {"after": seen(REPLACED, targets={"healthy": 1})}, "all targets are healthy again"),
        (
            "zone_lost",
            {"load": load(version=cut(last_lost_sent=6.5))},
            "requests are lost only until the service is steady without the zone",
        ),
        (
            "zone_lost",
            {"load": load(version=cut(first_lost=0.5))},
            "requests are lost only until the service is steady without the zone",
        ),
        *(
            (
                "zone_lost",
                {"happened": ZONE_LOST | {"incident": NAMED | changes}},
                "make incident names the lost zone, and how to move traffic away",
            )
            for changes in ({"cause": ""}, {"next": "make status ENV=local"})
        ),
        ("zone_lost", {"load": load(account=cut(last_lost=9.95))}, "all kinds of requests succeed again"),
        (
            "rotation",
            {"happened": ROTATED | {"users": ["app", "app_clone"]}},
            "the service connects as the other database user",
        ),
        (
            "rotation",
            {"after": seen(MOVED, revision="storefront:4")},
            "the service connects as the other database user",
        ),
        ("rotation", {"happened": ROTATED | {"former": "app_clone"}}, "the previous database user still works"),
        ("rotation", {"after": seen(MOVED, newest_outcome="failed")}, "the ledger records the rotation"),
        (
            "rotation",
            {"happened": ROTATED | {"again": {"rotated": True, "age_days": 0.0}}},
            "a second run within a day rotates nothing",
        ),
        (
            "rotation",
            {"happened": ROTATED | {"changed": {"replaced": 0, "seconds": 1}}},
            "the second write reaches the tasks automatically",
        ),
        ("rotation", {"load": load(account=LOST)}, "neither write loses a request"),
        ("cpu_load", {"happened": SCALED | {"out": SCALED["out"] | {"desired": 2}}}, "load adds tasks"),
        (
            "cpu_load",
            {"happened": SCALED | {"released": seen(revision="storefront:5", desired=5).to_plain()}},
            "a release in between keeps their number",
        ),
        (
            "cpu_load",
            {"happened": SCALED | {"in": SCALED["in"] | {"numbers": [4]}}},
            "a release in between keeps their number",
        ),
        (
            "cpu_load",
            {"happened": SCALED | {"in": SCALED["in"] | {"numbers": [4, 4, 3, 2]}}},
            "a release in between keeps their number",
        ),
        (
            "cpu_load",
            {"happened": SCALED | {"released": seen(desired=4).to_plain()}},
            "a release in between keeps their number",
        ),
        ("cpu_load", {"after": seen(desired=3)}, "calm removes them"),
        (
            "cpu_load",
            {"happened": SCALED | {"out": SCALED["out"] | {"outside": [5]}}},
            "their number stays within the limits",
        ),
        (
            "cpu_load",
            {"happened": SCALED | {"in": SCALED["in"] | {"outside": [1]}}},
            "their number stays within the limits",
        ),
        ("cpu_load", {"happened": SCALED | {"busy": {"total": 900, "lost": 1}}}, "no request is lost"),
        ("cpu_load", {"happened": SCALED | {"busy": {"total": 0, "lost": 0}}}, "no request is lost"),
        ("cpu_load", {"load": load(version=LOST)}, "no request is lost"),
        ("database_restart", {"after": REPLACED}, "no task is replaced"),
        ("database_restart", {"happened": {**OUTAGE, "answers": {"HTTP 200": 9}}}, "readiness returns 503 meanwhile"),
        (
            "database_restart",
            {"load": load(version=LOST, account=REFUSED)},
            "all requests that need no database succeed",
        ),
        (
            "database_restart",
            {"load": load(account=Tally(answers=Counter({"200 {}": 9}), lost=1, last_lost=9.8, last_answer=1.0))},
            "requests that need the database succeed again",
        ),
        ("database_restart", {"happened": {**OUTAGE, "row_kept": False}}, "no row is lost"),
        (
            "restore",
            {"happened": {**RESTORED, "looked": {**RESTORED["looked"], "back": 1}}},
            "the deleted rows are back",
        ),
        (
            "restore",
            {"happened": {**RESTORED, "fault": {**RESTORED["fault"], "last": "2026-11-24T10:15:06Z"}}},
            "the reported loss is exact to the second",
        ),
        (
            "restore",
            {"happened": {**RESTORED, "again": {**COMPARED, "comparison": {**COMPARED["comparison"], "lost": 0}}}},
            "the previous database is kept with its rows",
        ),
        (
            "restore",
            {"happened": {**RESTORED, "serves": "storefront"}},
            "the service is steady on the restored database",
        ),
        (
            "restore",
            {
                "happened": {
                    **RESTORED,
                    "again": {**COMPARED, "databases": {**DATABASES, "x": {"instance_identifier": "x"}}},
                }
            },
            "a second run restores nothing",
        ),
        ("restore", {"load": load(account=LOST)}, "no request is lost"),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"fault": {**EXHAUSTED["fault"], "answers": {"HTTP 200": 5}}}},
            "the server is full, and the application returns 5xx",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"first": FIRST | AGAIN | {"ended": [1, 2]}}},
            "the playbook diagnoses leaked sessions",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"first": FIRST | {"ended": [1, 2, 3]}}},
            "only the leaked sessions are ended",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"recovery": {**EXHAUSTED["recovery"], "seconds": 10.1}}},
            "requests succeed within 10 s",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"recovery": {**EXHAUSTED["recovery"], "kept": False}}},
            "a transaction that ran throughout commits",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"again": AGAIN | {"ended": [3]}}},
            "a second run of the playbook ends nothing",
        ),
        (
            "slow_query",
            {"happened": STARVED | {"starving": {"answers": {"HTTP 200": 9}}}},
            "the application's pools are full",
        ),
        ("slow_query", {"happened": STARVED | {"first": AGAIN}}, "the first run diagnoses slow queries"),
        (
            "slow_query",
            {"happened": STARVED | {"again": AGAIN}},
            "the second run diagnoses full pools, not a full server",
        ),
        ("slow_query", {"happened": STARVED | {"cleared": {"over": False}}}, "neither run ends a session"),
        (
            "slow_query",
            {"happened": STARVED | {"again": {**STARVED["again"], "ended": [1]}}},
            "neither run ends a session",
        ),
    ],
)
def test_each_promise_can_be_broken_alone(name: str, changes: dict[str, Any], failed: str) -> None:
    passed, lines = verdict(name, Evidence(**{**vars(PASSING[name]), **changes}))
    assert not passed
    assert lines[-1] == f"VERDICT {name}: FAILED: {failed}"
    assert [line for line in lines if line.startswith("  failed")] == [
        line for line in lines if f" {failed}: " in line
    ][:1]


def test_a_load_that_asked_for_nothing_proves_nothing() -> None:
    passed, _ = verdict("task_killed", Evidence(**{**vars(PASSING["task_killed"]), "load": Report()}))
    assert not passed


@pytest.mark.parametrize("name", DRILLS)
def test_what_is_announced_is_what_is_judged(name: str) -> None:
    announced = "\n".join(scene(name))
    assert announced.startswith(f"DRILL {name}\n  action  ")
    for check in DRILLS[name].checks:
        assert check.text in announced


def test_a_row_that_the_load_file_does_not_write_is_not_looked_for() -> None:
    happened = {**OUTAGE, "row_kept": None}
    passed, lines = verdict("database_restart", Evidence(**{**vars(PASSING["database_restart"]), "happened": happened}))
    assert passed
    assert "  passed  no row is lost: not checked: the load file writes none that it reads" in lines


@pytest.mark.parametrize(
    ("application", "load_file", "missing"),
    [
        ({}, [], {"app_ready_path", "app_admin_command", "app_load_file"}),
        ({"database": False}, [], {"app_database", "app_load_file"}),
        ({"database": False}, [Step(path="/")], {"app_database"}),
        ({"ready_path": "/ready"}, [Step(path="/")], {"app_admin_command"}),
        ({"ready_path": "/ready", "admin_command": ["admin"]}, [Step(path="/")], set()),
    ],
)
def test_what_the_application_lacks_for_a_drill_is_named(
    application: dict[str, Any], load_file: list[Step], missing: set[str]
) -> None:
    contract = Application(name="shop", port=8000, health_path="/", **application)
    lacks = {name: lacking(name, contract, LoadFile(steps=load_file)) for name in DRILLS}
    assert {setting for found in lacks.values() for setting in found} == missing
    for name in ("broken_release", "never_healthy", "task_killed", "no_capacity", "zone_lost"):
        assert lacks[name] == []
