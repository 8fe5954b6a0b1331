"""The diagnosis: a table of evidence and verdicts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fargate_ops.database.incident.diagnosis import ENDING_HELPS, Case, Limits, Verdict, diagnose
from fargate_ops.database.incident.evidence import Database, Evidence, Logs, Pools, Session, Task

LIMITS = Limits(idle_in_transaction_seconds=30, idle_seconds=600, slow_seconds=5)
ROOM = 95
SMALL = Pools(revision="settlement-x:2", workers=2, pool_size=5, max_overflow=0)


def sessions(number: int, **values: Any) -> list[Session]:
    defaults: dict[str, Any] = {
        "user": "settlement_app",
        "application": "settlement-api@task/7",
        "state": "idle",
        "age_seconds": 900.0,
        "state_seconds": 60.0,
    }
    return [Session(pid=pid, **(defaults | values)) for pid in range(number)]


def leaked(number: int, seconds: float = 120) -> list[Session]:
    return sessions(
        number, state="idle in transaction", state_seconds=seconds, tag="get_account /v1/accounts/{account_id}"
    )


def slow(number: int) -> list[Session]:
    return sessions(number, state="active", state_seconds=9, tag="monthly_statements /v1/statements/{month}")


def evidence(found: list[Session] | None, **values: Any) -> Evidence:
    database = (
        None
        if found is None
        else Database(max_connections=ROOM + 5, reserved=5, app_users=["settlement_app"], sessions=found)
    )
    defaults: dict[str, Any] = {
        "environment": "staging",
        "max_connections": ROOM + 5,
        "max_tasks": 4,
        "minutes": 5,
        "database": database,
        "serving": SMALL,
        "before": dataclasses.replace(SMALL, revision="settlement-x:1"),
        "logs": Logs(),
    }
    return Evidence(**(defaults | values))


def task(address: str, revision: str = SMALL.revision) -> Task:
    return Task(id=address, revision=revision, status="RUNNING", address=address)


STARVED = Logs(pool_timeouts=40, leaks={"GET /v1/accounts/{account_id}": 3}, pool_in_use=5, pool_size=5)
TWICE = Pools(revision="settlement-x:2", workers=2, pool_size=10, max_overflow=0)
MANY = Pools(revision="settlement-x:1", workers=2, pool_size=10, max_overflow=0)


@pytest.mark.parametrize(
    ("found", "case", "said"),
    [
        (
            evidence(leaked(80) + sessions(15)),
            Case.LEAKED_SESSIONS,
            "opened by get_account /v1/accounts/{account_id}: 80",
        ),
        (evidence(leaked(30) + sessions(10)), Case.LEAKED_SESSIONS, "30 are idle in a transaction"),
        # Few, and the server has room.
        (evidence(leaked(3) + sessions(10)), Case.NOTHING, "3 are idle in a transaction"),
        # Few on the server, but the pools are short of them.
        (evidence(leaked(9) + sessions(10), logs=STARVED), Case.LEAKED_SESSIONS, "9 are idle in a transaction"),
        # Too short: a transaction between two statements is no leak.
        (evidence(leaked(80, seconds=1) + sessions(15)), Case.SERVER_FULL, "taken by settlement_app"),
        (evidence(slow(60) + sessions(35)), Case.SLOW_QUERIES, "for monthly_statements /v1/statements/{month}: 60"),
        (evidence(slow(12) + sessions(8), logs=STARVED), Case.SLOW_QUERIES, "12 are busy"),
        (evidence(slow(12) + sessions(8)), Case.NOTHING, "12 are slow"),
        # Sessions that wait for a lock count, however short the wait.
        (
            evidence(sessions(12, state="active", state_seconds=0.1, blocked_by=[99]), logs=STARVED),
            Case.SLOW_QUERIES,
            "12 wait for a lock; most for pid 99",
        ),
        (evidence(sessions(95), serving=TWICE), Case.POOLS_GREW, "may hold 20, one of settlement-x:1 held 10"),
        (evidence(sessions(95), serving=MANY, before=MANY), Case.TOO_SMALL, "may open 160"),
        (evidence(sessions(95)), Case.SERVER_FULL, "taken by settlement_app (settlement-api@task/7): 95"),
        (evidence(sessions(95), serving=None, before=None), Case.SERVER_FULL, "95 of 95"),
        # Nine tenths of the application's connections, not of all.
        (evidence(sessions(86)), Case.SERVER_FULL, "86 of 95"),
        (evidence(sessions(85)), Case.NOTHING, "85 of 95"),
        (evidence(sessions(20), logs=STARVED), Case.CLIENT_POOLS_FULL, "ending sessions on the server does not free"),
        (evidence(sessions(20), logs=Logs(leaks={"GET /a": 2})), Case.CLIENT_POOLS_FULL, "held too long by GET /a: 2"),
        # An application without log messages: a task's sessions are all busy.
        (
            evidence(
                sessions(10, state="active", state_seconds=0.1, address="10.0.0.1") + sessions(10, address="10.0.0.2"),
                tasks=[task("10.0.0.1"), task("10.0.0.2")],
                logs=None,
            ),
            Case.CLIENT_POOLS_FULL,
            "every connection of 1 of 2 tasks is busy",
        ),
        (
            evidence(
                sessions(10, state="active", blocked_by=[99], address="10.0.0.1"), tasks=[task("10.0.0.1")], logs=None
            ),
            Case.SLOW_QUERIES,
            "10 wait for a lock; most for pid 99",
        ),
        # One is idle; a task of another definition; another address; unknown pools.
        (
            evidence(
                sessions(9, state="active", state_seconds=0.1, address="10.0.0.1") + sessions(1, address="10.0.0.1"),
                tasks=[task("10.0.0.1")],
            ),
            Case.NOTHING,
            "10 of 95",
        ),
        *(
            (
                evidence(sessions(10, state="active", state_seconds=0.1, address="10.0.0.1"), **values),
                Case.NOTHING,
                "10 of 95",
            )
            for values in (
                {"tasks": [task("10.0.0.1", "settlement-x:1")]},
                {"tasks": [task("10.0.0.2")]},
                {"tasks": [task("10.0.0.1")], "serving": None},
            )
        ),
        (evidence(sessions(20)), Case.NOTHING, "20 of 95"),
        (evidence(sessions(20), logs=None), Case.NOTHING, "20 of 95"),
        (evidence([]), Case.NOTHING, "0 of 95"),
        (evidence(None), Case.UNKNOWN, "the database could not be queried"),
        (evidence(None, series={"connections": [None, 99.0]}), Case.UNKNOWN, "counted 99 of 100"),
        (evidence(None, instance={"status": "rebooting"}), Case.UNKNOWN, "the instance is rebooting"),
    ],
)
def test_the_case_is_named_with_its_reason(found: Evidence, case: Case, said: str) -> None:
    verdict = diagnose(found, LIMITS)
    assert verdict.case is case
    assert said in "\n".join(verdict.why)
    assert verdict.next
    assert any("ENV=staging" in command for command in verdict.next)


def at_room(room: int, found: list[Session], **values: Any) -> Evidence:
    """Evidence of a server with `room` connections, the same in Terraform."""
    database = Database(max_connections=room + 5, reserved=5, app_users=["settlement_app"], sessions=found)
    return evidence([], database=database, max_connections=room + 5, **values)


TEN = Pools(revision="settlement-x:1", workers=2, pool_size=3, max_overflow=2)
FIFTEEN = Pools(revision="settlement-x:2", workers=3, pool_size=3, max_overflow=2)


@pytest.mark.parametrize(
    ("found", "case"),
    [
        # Nine tenths of the room.
        (at_room(100, sessions(90)), Case.SERVER_FULL),
        (at_room(100, sessions(89)), Case.NOTHING),
        # A quarter of the taken connections if the server is full; else a quarter of all.
        (at_room(100, leaked(23) + sessions(69)), Case.LEAKED_SESSIONS),
        (at_room(100, leaked(22) + sessions(70)), Case.SERVER_FULL),
        (at_room(100, leaked(25) + sessions(64)), Case.LEAKED_SESSIONS),
        (at_room(100, leaked(24) + sessions(65)), Case.NOTHING),
        (at_room(100, slow(23) + sessions(69)), Case.SLOW_QUERIES),
        (at_room(100, slow(22) + sessions(70)), Case.SERVER_FULL),
        # 1.5 times as many connections in each task as before.
        (at_room(400, sessions(400), serving=FIFTEEN, before=TEN), Case.POOLS_GREW),
        (at_room(400, sessions(400), serving=FIFTEEN, before=dataclasses.replace(SMALL, workers=3)), Case.SERVER_FULL),
        # Four tasks, twice as many during a rolling update: 80 connections.
        (at_room(80, sessions(80), serving=TEN, before=TEN), Case.SERVER_FULL),
        (at_room(79, sessions(79), serving=TEN, before=TEN), Case.TOO_SMALL),
    ],
)
def test_a_case_begins_at_its_threshold(found: Evidence, case: Case) -> None:
    assert diagnose(found, LIMITS).case is case


FOLDER = "inventory/staging/group_vars/all"
END = (
    "make incident-db ENV=staging ARGS='-e end_idle=true'   # ends unused sessions; without end_idle it changes nothing"
)
ROLLBACK = "make rollback ENV=staging   # to the previous release"
PROXY = (
    f"rds_proxy_enabled: true in {FOLDER}/database.yml, then make plan ENV=staging && make deploy ENV=staging   "
    "# RDS Proxy"
)
SIZE = (
    f"database_instance_class and database_max_connections in {FOLDER}/database.yml, then make deploy ENV=staging   "
    "# a larger instance; restarts it"
)
POOLS = f"app_workers, app_pool_size, app_max_overflow, app_max_tasks in {FOLDER}/app.yml, then make deploy ENV=staging"
LEAKS = "make logs ENV=staging SINCE=1h FILTER='\"held too long\"'   # which endpoint keeps its session"
WAITS = "make logs ENV=staging SINCE=1h FILTER='\"held too long\"'   # which endpoint waits"
STATUS = "make status ENV=staging"


@pytest.mark.parametrize(
    ("found", "why", "following"),
    [
        (
            at_room(100, leaked(30) + leaked(1, 333) + leaked(2, 222) + sessions(60), serving=TEN),
            [
                "93 of 100 connections are taken; 33 are idle in a transaction for more than 30 s, the oldest for "
                "333 s",
                "opened by get_account /v1/accounts/{account_id}: 33",
            ],
            [END, LEAKS, ROLLBACK, PROXY],
        ),
        (
            at_room(
                50,
                slow(20) + sessions(3, state="active", blocked_by=[7, 8]) + sessions(1, state="active", blocked_by=[8]),
                logs=STARVED,
                serving=None,
            ),
            [
                "24 of 50 connections are taken; 24 are busy with one statement for more than 5 s, or wait for a lock",
                "for monthly_statements /v1/statements/{month}: 20",
                "for settlement-api@task/7: 4",
                "4 wait for a lock; most for pid 8",
            ],
            [WAITS, ROLLBACK, SIZE],
        ),
        (
            at_room(100, sessions(60) + sessions(31, user=None, application=""), serving=None),
            [
                "91 of 100 connections are taken",
                "taken by settlement_app (settlement-api@task/7): 60",
                "taken by ? (without a name): 31",
            ],
            [END, PROXY, SIZE],
        ),
        (
            at_room(100, sessions(91), serving=FIFTEEN, before=TEN, max_tasks=3, maximum_percent=150),
            [
                "91 of 100 connections are taken; a task of settlement-x:2 may hold 15, one of settlement-x:1 held 10 "
                "at most",
            ],
            [ROLLBACK, END, f"{POOLS}   # now 3 workers x (3 + 2)", PROXY],
        ),
        (
            at_room(39, sessions(39), serving=TEN, before=TEN, max_tasks=3, maximum_percent=150),
            ["39 of 39 connections are taken; 3 tasks x 150 % x 10 connections may open 40"],
            [END, f"{POOLS}   # now 2 workers x (3 + 2)", PROXY, SIZE],
        ),
        (
            at_room(39, sessions(9), serving=TEN, logs=STARVED, max_tasks=3, maximum_percent=150),
            [
                "9 of 39 connections are taken: the server has room",
                "40 requests of the last 5 min found no free connection in their worker's pool: ending sessions on the "
                "server does not free the pool",
                "held too long by GET /v1/accounts/{account_id}: 3 times",
                "in addition, the pools do not fit: 3 tasks x 150 % x 10 connections may open 40, the database has 39",
            ],
            [LEAKS, f"{POOLS}   # now 2 workers x (3 + 2)", ROLLBACK],
        ),
        (
            at_room(39, sessions(9), serving=None, logs=Logs(leaks={"GET /a": 2})),
            ["9 of 39 connections are taken: the server has room", "held too long by GET /a: 2 times"],
            [LEAKS, POOLS, ROLLBACK],
        ),
        (
            at_room(40, leaked(1) + slow(2), serving=TEN, max_tasks=3, maximum_percent=150),
            ["3 of 40 connections are taken; 1 are idle in a transaction, 2 are slow"],
            [STATUS],
        ),
        (
            evidence(
                None,
                series={"connections": [80.0, 97.0, None]},
                instance={"status": "rebooting"},
                logs=Logs(pool_timeouts=40, refused=41),
            ),
            [
                "the database could not be queried, so the cause is not known",
                "CloudWatch counted 97 of 100 connections last",
                "RDS says that the instance is rebooting",
                "40 requests found no free connection in their worker's pool",
                "41 requests could not use the database",
            ],
            [
                STATUS,
                "make logs ENV=staging SINCE=15m FILTER='\"cannot be used\"'   "
                "# the database's errors in the application's log",
                "make incident-db ENV=staging   # again, once the database answers",
            ],
        ),
        *(
            (
                evidence(None, logs=logs, instance={"class": "db.t4g.micro"}),
                [
                    "the database could not be queried, so the cause is not known",
                    "RDS says that the instance is ?",
                ],
                None,
            )
            for logs in (None, Logs())
        ),
    ],
)
def test_all_that_is_said(found: Evidence, why: list[str], following: list[str] | None) -> None:
    verdict = diagnose(found, LIMITS)
    assert verdict.why == why
    assert following is None or verdict.next == following


def test_the_numbers_to_change_are_named_where_they_stand() -> None:
    (pools,) = [
        command for command in diagnose(evidence(sessions(95), serving=TWICE), LIMITS).next if "pool_size" in command
    ]
    assert (
        "app_workers, app_pool_size, app_max_overflow, app_max_tasks in inventory/staging/group_vars/all/app.yml"
        in pools
    )
    assert "now 2 workers x (10 + 0)" in pools


def test_ending_is_offered_only_where_it_helps() -> None:
    assert frozenset(Case) - ENDING_HELPS == {
        Case.SLOW_QUERIES,
        Case.CLIENT_POOLS_FULL,
        Case.NOTHING,
        Case.UNKNOWN,
    }
    for case in Case:
        verdict = Verdict(case=case, why=[], next=[])
        assert verdict.ending_helps is (case in ENDING_HELPS)


def test_pools_that_cannot_fit_are_said_beside_another_cause() -> None:
    verdict = diagnose(evidence(leaked(80) + sessions(15), serving=MANY, before=MANY), LIMITS)
    assert verdict.case is Case.LEAKED_SESSIONS
    assert any("the pools do not fit" in reason for reason in verdict.why)


def test_a_restart_that_is_due_is_said() -> None:
    verdict = diagnose(evidence(sessions(20), max_connections=200), LIMITS)
    assert "max_connections is 100 on the server and 200 in Terraform: a restart is pending" in verdict.why


def test_five_thousand_sessions_are_no_more_work_to_read() -> None:
    many = [dataclasses.replace(item, tag=f"tag {item.pid}") for item in leaked(5000)]
    verdict = diagnose(evidence(many), LIMITS)
    assert verdict.case is Case.LEAKED_SESSIONS
    assert len(verdict.why) < 12
    assert "and 4995 of 4995 others" in verdict.why


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            Session,
            pid=st.integers(1, 9),
            state=st.sampled_from(["idle", "active", "idle in transaction", "unknown"]),
            state_seconds=st.none() | st.floats(0, 1e6),
        ),
        max_size=120,
    ),
    st.none() | st.just(STARVED) | st.just(Logs()),
)
def test_any_evidence_has_a_verdict(found: list[Session], logs: Logs | None) -> None:
    verdict = diagnose(evidence(found, logs=logs), LIMITS)
    if verdict.ending_helps:
        # Never if the server has room and no session is leaked.
        assert len(found) >= 0.9 * ROOM or any(item.is_leaked(30) for item in found)
