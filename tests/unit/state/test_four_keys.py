"""DORA's four keys, from releases and commits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fargate_ops.state.four_keys import FourKeys, four_keys
from fargate_ops.state.ledger import NEWEST, Event, Kind, Outcome, Release, fold, release_id

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def release(days_ago: float, version: str, *ends: tuple[Outcome, timedelta], **changes: Any) -> list[Event]:
    """Return a release's events: its start, and each further outcome this long after it."""
    start = NOW - timedelta(days=days_ago)
    values: dict[str, Any] = {
        "release": release_id(version, start),
        "service": "service@1",
        "version": version,
        "digest": "sha256:1",
        "revision": f"arn:task-definition/family:{version}",
        "by": "ann@laptop",
        **changes,
    }
    begun = Event(outcome=Outcome.IN_PROGRESS, at=start, **values)
    return [begun, *(Event(outcome=outcome, at=start + after, **values) for outcome, after in ends)]


def succeeded(days_ago: float, version: str, *later: tuple[Outcome, timedelta], **changes: Any) -> list[Event]:
    return release(days_ago, version, (Outcome.SUCCEEDED, MINUTE), *later, **changes)


def keys(*histories: list[Event], commits: dict[str, float] | None = None) -> FourKeys:
    """Return the keys of these releases; ``commits`` has the days since each commit."""
    times = {version: NOW - timedelta(days=days) for version, days in (commits or {}).items()}
    return four_keys(fold(event for history in histories for event in history), times, NOW)


def test_an_empty_ledger_says_so() -> None:
    assert keys().as_text() == {
        "deployment frequency": "0.0 a week, 0 in 30 days",
        "lead time for changes": "no new version",
        "change failure rate": "no release ended",
        "time to restore": "no failure",
    }


def test_successes_within_the_period_are_deployments() -> None:
    found = keys(
        succeeded(31, "a"),
        succeeded(20, "b"),
        succeeded(10, "b", digest="sha256:2"),  # another configuration
        release(5, "c", (Outcome.FAILED, MINUTE)),
        succeeded(4, "b", kind=Kind.ROLLBACK),
        release(0.001, "d"),  # in progress
    )
    assert (found.deployments, found.ended, found.failed) == (2, 3, 1)
    assert found.as_text()["deployment frequency"] == "0.5 a week, 2 in 30 days"
    assert found.as_text()["change failure rate"] == "33%, 1 of 3"


def test_the_lead_time_is_the_median_from_commit_to_first_success() -> None:
    found = keys(
        succeeded(40, "old"),
        succeeded(9, "old"),  # released again
        succeeded(8, "a"),
        succeeded(7, "b"),
        succeeded(6, "c"),
        release(5, "d", (Outcome.FAILED, MINUTE)),
        succeeded(4, "a", kind=Kind.ROLLBACK),
        succeeded(3, "unknown"),
        commits={"old": 50, "a": 9, "b": 9, "c": 9, "d": 9},
    )
    assert found.lead_time == timedelta(days=2, minutes=1).total_seconds()
    assert (found.lead_times, found.unknown_commits) == (3, 1)
    said = found.as_text()["lead time for changes"]
    assert said == "2 d 0 h, median of 3; 1 not known: this clone lacks the commit"


def test_a_commit_after_the_release_is_no_negative_time() -> None:
    assert keys(succeeded(2, "a"), commits={"a": 1}).lead_time == 0


def test_a_failed_release_restores_the_previous_version_at_its_end() -> None:
    found = keys(succeeded(9, "a"), release(5, "b", (Outcome.FAILED, 4 * MINUTE)))
    assert (found.time_to_restore, found.failed, found.unrestored) == (240, 1, 0)
    assert found.as_text()["time to restore"] == "4 min 0 s, median of 1"


@pytest.mark.parametrize("service", ["service@1", "service@2"])
def test_without_an_earlier_success_of_the_service_the_next_one_restores(service: str) -> None:
    first = release(5, "a", (Outcome.FAILED, 4 * MINUTE), service="service@2")
    assert keys(first).as_text()["time to restore"] == "1 not restored yet"
    before = succeeded(9, "x", service=service)
    expected = 240 if service == "service@2" else (timedelta(days=1) + MINUTE).total_seconds()
    assert keys(before, first, succeeded(4, "b", service="service@2")).time_to_restore == expected


def test_a_rollback_restores_from_the_success_of_what_it_undoes() -> None:
    bad = succeeded(5, "b", (Outcome.ROLLING_BACK, 2 * HOUR), (Outcome.ROLLED_BACK, 2 * HOUR + MINUTE))
    back = succeeded(5 - 2 / 24, "a", kind=Kind.ROLLBACK)
    found = keys(succeeded(9, "a"), bad, back)
    assert (found.deployments, found.ended, found.failed) == (2, 2, 1)
    assert found.time_to_restore == pytest.approx((2 * HOUR).total_seconds())


def test_a_stopped_release_failed_and_the_rollback_restored() -> None:
    stopped = release(5, "b", (Outcome.STOPPED, 3 * MINUTE))
    assert keys(succeeded(9, "a"), stopped).unrestored == 1
    back = succeeded(5 - 5 / 1440, "a", kind=Kind.ROLLBACK)
    found = keys(succeeded(9, "a"), stopped, back)
    assert found.failed == 1
    assert found.time_to_restore == pytest.approx(360)


def test_the_period_is_shorter_if_older_releases_were_not_read() -> None:
    (one,) = fold(succeeded(10, "a"))
    releases: list[Release] = [replace(one, id=str(number)) for number in range(NEWEST)]
    found = four_keys(releases, {}, NOW)
    assert (found.days, found.deployments) == (10, NEWEST)
    assert found.as_text()["deployment frequency"] == "35.0 a week, 50 in 10 days"


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=59.6), "1 min 0 s"),
        (timedelta(hours=1, seconds=5), "1 h 0 min"),
        (timedelta(days=2, hours=3, minutes=9), "2 d 3 h"),
    ],
)
def test_durations_have_two_units(after: timedelta, shown: str) -> None:
    found = keys(succeeded(9, "a"), release(5, "b", (Outcome.FAILED, after)))
    assert found.as_text()["time to restore"] == f"{shown}, median of 1"
