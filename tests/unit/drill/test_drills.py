"""The verdict: every promise can be kept, and each can be broken alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fargate_ops.drill.client import WITHOUT_DATABASE, clients
from fargate_ops.drill.drills import DRILLS, Evidence, scene, verdict
from fargate_ops.drill.load import Report, Tally
from fargate_ops.drill.steady_state import ServiceState

BEFORE = ServiceState(
    revision="settlement:4",
    version="v4",
    rollout="COMPLETED",
    desired=2,
    tasks={"a": "settlement:4", "b": "settlement:4"},
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
    return Report(tallies=tallies | {names[key]: tally for key, tally in changes.items()}, seconds=10, done=True)


LOST = Tally(answers=Counter({"200 v4": 49}), lost=1, examples=["3.0 s: 503"], last_lost=3, last_answer=9.9)
REPLACED = seen(tasks={"b": "settlement:4", "c": "settlement:4"})
AFTER_FAILURE = seen(newest_release="r5", newest_outcome="failed", newest_why="exit code 1")
RELEASE_FAILED = {"failed": True, "said": "local: the release failed\nmore"}
TASK_REPLACED = {"stopped": "a", "started": ["c"], "seconds": 10.3}
OUTAGE = {"away_seconds": 1.2, "answers": {"HTTP 200": 30, "HTTP 503": 9}, "row_kept": True}
REFUSED = Tally(answers=Counter({"200 {}": 90}), lost=10, last_lost=3, last_answer=9.9)

FIRST = {"case": "leaked sessions", "ended": [1, 2], "report": "a.md"}
AGAIN = {"case": "nothing holds the connections now", "ended": [], "report": "b.md"}
EXHAUSTED: dict[str, Any] = {
    "fault": {"leaked": 2, "answers": {"HTTP 503": 5}, "refusal": "FATAL: too many clients"},
    "first": FIRST,
    "recovery": {"seconds": 0.4, "ended": 2, "row_kept": True, "said": ""},
    "again": AGAIN,
}
STARVED: dict[str, Any] = {
    "starving": {"answers": {"database-pool-exhausted": 5}},
    "first": {"case": "slow queries hold the sessions", "ended": [], "report": "a.md"},
    "cleared": {"over": True},
    "again": {"case": "the pools are full, the server is not", "ended": [], "report": "b.md"},
}
KEY = "20261124-101500"
DATABASES = {"": {"instance_identifier": "settlement"}, KEY: {"instance_identifier": f"settlement-{KEY}"}}
LOSS = {"lost": 1, "from": "2026-11-24T10:15:04Z", "to": "2026-11-24T10:15:05Z"}
COMPARED = {"key": KEY, "databases": DATABASES, "comparison": {"lost": 1, "tables": {"accounts": {"back": 2, **LOSS}}}}
RESTORED: dict[str, Any] = {
    "fault": {"deleted": ["a", "b"], "later": ["c"], "first": LOSS["from"], "last": LOSS["to"]},
    "first": COMPARED,
    "looked": {"back": 2, "later": 0, "takes": True},
    "serves": f"settlement-{KEY}",
    "again": COMPARED,
}
SWITCHED = seen(revision="settlement:5", tasks={"c": "settlement:5", "d": "settlement:5"}, newest_release="r5")

MOVED = seen(
    revision="settlement:5",
    tasks={"c": "settlement:5", "d": "settlement:5"},
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

KEPT: dict[str, Evidence] = {
    "broken_release": Evidence(before=BEFORE, after=AFTER_FAILURE, load=load(), happened=RELEASE_FAILED),
    "never_healthy": Evidence(before=BEFORE, after=AFTER_FAILURE, load=load(), happened=RELEASE_FAILED),
    "task_killed": Evidence(before=BEFORE, after=REPLACED, load=load(), happened=TASK_REPLACED),
    "database_restart": Evidence(before=BEFORE, after=BEFORE, load=load(account=REFUSED), happened=OUTAGE),
    "pool_exhaustion": Evidence(before=BEFORE, after=BEFORE, load=load(account=REFUSED), happened=EXHAUSTED),
    "restore": Evidence(before=BEFORE, after=SWITCHED, load=load(), happened=RESTORED),
    "slow_query": Evidence(before=BEFORE, after=BEFORE, load=load(account=REFUSED), happened=STARVED),
    "rotation": Evidence(before=BEFORE, after=MOVED, load=load(), happened=ROTATED),
}


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill_whose_promises_are_all_kept(name: str) -> None:
    kept, lines = verdict(name, KEPT[name])
    assert kept, lines
    assert lines[-1] == f"VERDICT {name}: every promise was kept"
    assert len(lines) == len(DRILLS[name].checks) + 1


OTHER_VERSION = Tally(answers=Counter({"200 v4": 49, "200 v5": 1}), last_answer=9.9)


@pytest.mark.parametrize(
    ("name", "changes", "broken"),
    [
        ("broken_release", {"happened": {"failed": False, "said": "it succeeded"}}, "the release fails, and says so"),
        ("broken_release", {"after": BEFORE}, "the ledger says failed, and why"),
        (
            "broken_release",
            {"after": seen(AFTER_FAILURE, newest_outcome="succeeded")},
            "the ledger says failed, and why",
        ),
        (
            "never_healthy",
            {"after": seen(AFTER_FAILURE, revision="settlement:5")},
            "the version before it serves, alone",
        ),
        ("never_healthy", {"after": seen(AFTER_FAILURE, running=1)}, "the version before it serves, alone"),
        ("broken_release", {"load": load(version=OTHER_VERSION)}, "no request was answered by another version"),
        ("broken_release", {"load": load(version=LOST)}, "no request is lost"),
        ("task_killed", {"load": load(account=Tally())}, "no request is lost"),
        ("task_killed", {"happened": {**TASK_REPLACED, "started": []}}, "the scheduler replaces it"),
        ("task_killed", {"after": seen(tasks={"a": "settlement:4", "c": "settlement:4"})}, "the scheduler replaces it"),
        ("task_killed", {"after": seen(REPLACED, targets={"healthy": 1})}, "as many targets are healthy as before"),
        (
            "rotation",
            {"happened": ROTATED | {"users": ["app", "app_clone"]}},
            "the service works as the other database user",
        ),
        ("rotation", {"after": seen(MOVED, revision="settlement:4")}, "the service works as the other database user"),
        ("rotation", {"happened": ROTATED | {"former": "app_clone"}}, "the user before it still works"),
        ("rotation", {"after": seen(MOVED, newest_outcome="failed")}, "the ledger says so"),
        (
            "rotation",
            {"happened": ROTATED | {"again": {"rotated": True, "age_days": 0.0}}},
            "run again within a day, nothing is rotated",
        ),
        (
            "rotation",
            {"happened": ROTATED | {"changed": {"replaced": 0, "seconds": 1}}},
            "what somebody else put reaches the tasks by itself",
        ),
        ("rotation", {"load": load(account=LOST)}, "no request is lost in either"),
        ("database_restart", {"after": REPLACED}, "no task is replaced"),
        ("database_restart", {"happened": {**OUTAGE, "answers": {"HTTP 200": 9}}}, "/readyz says 503 meanwhile"),
        (
            "database_restart",
            {"load": load(version=LOST, account=REFUSED)},
            "requests that need no database are all answered",
        ),
        (
            "database_restart",
            {"load": load(account=Tally(answers=Counter({"200 {}": 9}), lost=1, last_lost=9.8, last_answer=1.0))},
            "requests that need it succeed again",
        ),
        ("database_restart", {"happened": {**OUTAGE, "row_kept": False}}, "what was written is still there"),
        (
            "restore",
            {"happened": {**RESTORED, "looked": {**RESTORED["looked"], "back": 1}}},
            "the deleted rows are back",
        ),
        (
            "restore",
            {"happened": {**RESTORED, "fault": {**RESTORED["fault"], "last": "2026-11-24T10:15:06Z"}}},
            "what is lost is said to the second, and true",
        ),
        (
            "restore",
            {"happened": {**RESTORED, "again": {**COMPARED, "comparison": {**COMPARED["comparison"], "lost": 0}}}},
            "the database before is kept, with its rows",
        ),
        (
            "restore",
            {"happened": {**RESTORED, "serves": "settlement"}},
            "the service is whole on the restored one, and takes new rows",
        ),
        (
            "restore",
            {
                "happened": {
                    **RESTORED,
                    "again": {**COMPARED, "databases": {**DATABASES, "x": {"instance_identifier": "x"}}},
                }
            },
            "run again, it restores nothing anew",
        ),
        ("restore", {"load": load(account=LOST)}, "no request is lost"),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"fault": {**EXHAUSTED["fault"], "answers": {"HTTP 200": 5}}}},
            "the server is full, and the application answers 5xx",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"first": FIRST | AGAIN | {"ended": [1, 2]}}},
            "the playbook names the case",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"first": FIRST | {"ended": [1, 2, 3]}}},
            "the leaked sessions are ended, and no other",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"recovery": {**EXHAUSTED["recovery"], "seconds": 10.1}}},
            "requests succeed within 10 s of it",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"recovery": {**EXHAUSTED["recovery"], "row_kept": False}}},
            "a transaction that worked through it all commits",
        ),
        (
            "pool_exhaustion",
            {"happened": EXHAUSTED | {"again": AGAIN | {"ended": [3]}}},
            "run again, the playbook ends nothing",
        ),
        (
            "slow_query",
            {"happened": STARVED | {"starving": {"answers": {"HTTP 200": 9}}}},
            "the application's pools are full",
        ),
        ("slow_query", {"happened": STARVED | {"first": AGAIN}}, "the playbook names the slow statements"),
        (
            "slow_query",
            {"happened": STARVED | {"again": AGAIN}},
            "the client-side case is told apart from a full server",
        ),
        ("slow_query", {"happened": STARVED | {"cleared": {"over": False}}}, "no session is ended in either"),
        (
            "slow_query",
            {"happened": STARVED | {"again": {**STARVED["again"], "ended": [1]}}},
            "no session is ended in either",
        ),
    ],
)
def test_each_promise_can_be_broken_alone(name: str, changes: dict[str, Any], broken: str) -> None:
    kept, lines = verdict(name, Evidence(**{**vars(KEPT[name]), **changes}))
    assert not kept
    assert lines[-1] == f"VERDICT {name}: BROKEN: {broken}"
    assert [line for line in lines if line.startswith("  BROKEN")] == [
        line for line in lines if f" {broken}: " in line
    ][:1]


def test_a_load_that_asked_for_nothing_proves_nothing() -> None:
    kept, _ = verdict("task_killed", Evidence(**{**vars(KEPT["task_killed"]), "load": Report()}))
    assert not kept


@pytest.mark.parametrize("name", DRILLS)
def test_what_is_announced_is_what_is_judged(name: str) -> None:
    announced = "\n".join(scene(name))
    assert announced.startswith(f"DRILL {name}\n  we      ")
    for check in DRILLS[name].checks:
        assert check.text in announced


def test_the_load_asks_what_the_verdict_looks_at() -> None:
    groups = clients("account-1", 60)
    names = {group.request.name for group in groups}
    assert set(WITHOUT_DATABASE) < names
    assert sum(group.per_second for group in groups) == 60
    posts = [group.request for group in groups if group.request.method == "POST"]
    assert {group.body_seconds for group in groups if group.request in posts} == {2.0}
    assert len({request.headers["Idempotency-Key"] for request in posts}) == 1, "one transaction, retried"
