"""Parsing of the admin task's output, and the reports on it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_ops.database.incident.diagnosis import Limits, diagnose
from fargate_ops.database.incident.evidence import Ended, Evidence, NoListing, Session, read_ended, read_listing
from fargate_ops.database.incident.report import ages, ended_lines, markdown, screen, sparkline, would_end

LIMITS = Limits(idle_in_transaction_seconds=30, idle_seconds=600, slow_seconds=5)
NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
SERVER = {"kind": "server", "max_connections": 5000, "reserved": 5, "version": "17.2"}
USERS = ["settlement_app", "settlement_app_clone"]
END = {"kind": "end", "app_users": USERS}


def session(pid: int, **values: Any) -> dict[str, Any]:
    return {
        "kind": "session",
        "pid": pid,
        "user": "settlement_app",
        "application": "settlement-api@task/7",
        "address": "10.0.1.7",
        "state": "idle in transaction",
        "age_seconds": 300.0,
        "state_seconds": 120.0,
        "transaction_seconds": 121.0,
        "blocked_by": [],
        "tag": "get_account /v1/accounts/{account_id}",
        "statement": "SELECT a | b",
        "a field of a later version": 1,
    } | values


def lines(*records: dict[str, Any]) -> list[str]:
    return [json.dumps(record) for record in records]


def evidence(*records: dict[str, Any], **values: Any) -> Evidence:
    database = read_listing(lines(SERVER, *records, END))
    return Evidence(environment="local", max_connections=5000, max_tasks=4, minutes=5, database=database, **values)


def test_a_listing_is_read_beside_whatever_else_was_logged() -> None:
    statement = {
        "kind": "statement",
        "calls": 3,
        "total_seconds": 1.5,
        "mean_ms": 500,
        "tag": "",
        "statement": "SELECT",
    }
    log = ["", "null", "[1]", '{"level": "INFO", "message": "x"}', "Traceback"]
    database = read_listing([*log, *lines(SERVER, session(1), statement, END), *log])
    assert (database.max_connections, database.reserved, database.app_users) == (5000, 5, USERS)
    assert [item.pid for item in database.sessions] == [1]
    assert [item.calls for item in database.statements] == [3]


def test_an_older_images_listing_names_one_user() -> None:
    assert read_listing(lines(SERVER, {"kind": "end", "app_user": USERS[0]})).app_users == USERS[:1]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ([], "incomplete"),
        (lines(SERVER, session(1)), "incomplete"),
        (lines({"error": "OperationalError: FATAL: sorry, too many clients already"}), "too many clients"),
    ],
)
def test_half_a_listing_is_none(output: list[str], said: str) -> None:
    with pytest.raises(NoListing, match=said):
        read_listing(output)


def test_what_was_ended_is_read_and_counted() -> None:
    end = {"kind": "end", "before": 200, "after": 199, "ended": 1}
    found = read_ended(lines(session(7, kind="ended"), end))
    assert ([item.pid for item in found.sessions], found.before, found.after) == ([7], 200, 199)
    with pytest.raises(NoListing):
        read_ended(lines(end))


def test_a_listing_of_five_thousand_is_short_on_the_screen_and_whole_beside_the_report() -> None:
    many = [session(pid, tag=f"endpoint {pid % 40}") for pid in range(4900)]
    seen = evidence(*many, session(9001, user="rdsadmin", state="active", transaction_seconds=None))
    verdict = diagnose(seen, LIMITS)
    printed = screen(seen, verdict)
    assert len(printed) < 45
    assert "LEAKED SESSIONS" in printed[0]
    assert any("others, of" in line for line in printed)
    report = markdown(seen, verdict, None, NOW)
    assert "4701 more rows are in the JSON file" in report
    assert len(report) < 200_000


def test_what_would_be_ended_is_counted_of_the_applications_sessions_alone() -> None:
    idle = [session(pid, state="idle") for pid in range(10, 13)]
    seen = evidence(session(1), session(2, user="postgres"), session(3, state_seconds=1.0), *idle)
    assert seen.database
    said = would_end(seen.database, LIMITS)
    assert "would end 1 sessions that are idle in a transaction" in said
    assert "the longest idle of 3 others" in said


def test_the_report_holds_the_evidence() -> None:
    seen = evidence(
        session(1),
        session(2, state="active", blocked_by=[1], statement="INSERT INTO t"),
        series={"connections": [1.0, None, 4990.0], "requests": [], "latency_p99": [0.1]},
        releases=[
            {
                "started": "2026-01-31T08:59:00+00:00",
                "version": "5f0c2b7d9e31",
                "revision": "x:4",
                "outcome": "succeeded",
                "by": "ann@laptop",
                "why": "",
            }
        ],
        instance={"identifier": "settlement-local", "class": "db.t4g.micro", "status": "available"},
        missing=["the service's log: denied"],
    )
    ended = Ended(sessions=[Session(pid=1, state="idle in transaction")], before=2, after=1)
    report = markdown(seen, diagnose(seen, LIMITS), ended, NOW)
    for part in (
        "# Database connections, local, 2026-01-31 09:00:00 UTC",
        "the service's log: denied",
        "SELECT a \\| b",
        "5f0c2b7d9e31",
        "db.t4g.micro",
        "1 sessions; 2 connections before, 1 after.",
        "pg_stat_statements is not installed",
        "## Blocked, and blocking",
        "make ",
    ):
        assert part in report, part


def test_each_ended_session_is_shown_up_to_a_number() -> None:
    ended = Ended(sessions=[Session(pid=pid) for pid in range(20)], before=30, after=10)
    shown = ended_lines(ended, rows=3)
    assert len(shown) == 5
    assert shown[-1].endswith("ENDED 20 sessions: 30 connections before, 10 after")
    assert "17 more" in shown[-2]


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([None, None], "··"), ([0.0, 0.0], "▁▁"), ([0.0, None, 4.0, 8.0], "▁·▄█")],
)
def test_a_sparkline(values: list[float | None], bars: str) -> None:
    assert sparkline(values) == bars


def test_ages_are_counted() -> None:
    found = [Session(pid=1, age_seconds=seconds) for seconds in (1.0, 59.0, 60.0, 4000.0)] + [Session(pid=2)]
    assert ages(found) == "3 under 1 min, 1 under 10 min, 1 older"
