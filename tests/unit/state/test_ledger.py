"""The ledger: how events combine, and that each is recorded once."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from fargate_ops.state.ledger import (
    Event,
    History,
    Kind,
    Ledger,
    LedgerError,
    Outcome,
    Release,
    Unreadable,
    actor,
    as_row,
    earlier_successes,
    fold,
    last_target,
    last_word,
    next_release_id,
    of_service,
    release_id,
    rolled_back,
    rolling_back,
    serving,
    started_at,
    unfinished,
    unfinished_rollback,
)

START = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
BUCKET = "state-bucket"


def event(number: int, outcome: Outcome, revision: str | None = None, **changes: Any) -> Event:
    at = START + timedelta(minutes=10 * number)
    values: dict[str, Any] = {
        "release": release_id(f"v{number}", at),
        "outcome": outcome,
        "service": "service@1",
        "version": f"v{number}",
        "digest": f"sha256:{number}",
        "revision": revision or f"arn:task-definition/family:{number}",
        "schema_head": "0001",
        "by": "me@here",
        "at": at + timedelta(seconds=0 if outcome is Outcome.IN_PROGRESS else 30),
        "duration_seconds": None if outcome is Outcome.IN_PROGRESS else 30.0,
    }
    return Event(**{**values, **changes})


def success(number: int, **changes: Any) -> list[Event]:
    return [event(number, Outcome.IN_PROGRESS, **changes), event(number, Outcome.SUCCEEDED, **changes)]


def history(*events: list[Event]) -> list[Release]:
    return fold(item for some in events for item in some)


def test_a_release_has_its_last_outcome_and_its_duration() -> None:
    (release,) = history(success(1))
    assert release.outcome is Outcome.SUCCEEDED
    assert release.started == START + timedelta(minutes=10)
    assert release.ended == release.started + timedelta(seconds=30)
    assert release.duration_seconds == 30.0
    assert release.revision_name == "family:1"


def test_a_release_has_the_facts_of_its_beginning() -> None:
    facts: dict[str, Any] = {
        "kind": Kind.ROLLBACK,
        "service": "service@1",
        "version": "v1",
        "digest": "sha256:1",
        "revision": "arn:task-definition/family:1",
        "schema_head": "0001",
        "schema_compatible": ["0001", "0002"],
        "restores": "20260131T080000.000000Z-v0",
        "definition_digest": "3f2a",
        "by": "me@here",
    }
    others: dict[str, Any] = dict.fromkeys(facts, "another") | {"kind": Kind.RELEASE, "schema_compatible": []}
    at = START + timedelta(minutes=10)
    begun, failed = event(1, Outcome.IN_PROGRESS, **facts, why="asked for"), event(1, Outcome.FAILED, **others)
    assert history([begun, failed]) == [
        Release(
            **facts,
            id=begun.release,
            outcome=Outcome.FAILED,
            prepared=False,
            succeeded=False,
            why="asked for",
            started=at,
            ended=at + timedelta(seconds=30),
            undone=None,
            duration_seconds=30.0,
        )
    ]


@given(st.permutations(range(6)))
def test_the_order_of_events_does_not_matter(order: list[int]) -> None:
    events = [*success(1), *success(2), event(3, Outcome.IN_PROGRESS), event(3, Outcome.FAILED)]
    assert fold([events[index] for index in order]) == fold(events)


def test_the_end_wins_over_the_beginning_whatever_the_clocks_say() -> None:
    late_start = event(1, Outcome.IN_PROGRESS, at=START + timedelta(hours=1))
    (release,) = fold([late_start, event(1, Outcome.FAILED, why="broken")])
    assert release.outcome is Outcome.FAILED
    assert release.why == "broken"


def test_identifiers_sort_by_time_and_know_it() -> None:
    ids = [release_id("z", START), release_id("a", START + timedelta(microseconds=1)), release_id("M/x", START)]
    assert ids[0] < ids[1]
    assert ids[2] == "20260131T090000.000000Z-M-x"
    assert [started_at(item) for item in ids] == [START, START + timedelta(microseconds=1), START]


@pytest.mark.parametrize(("seconds", "later"), [(5, 5), (0, 1e-6), (-5, 1e-6)])
def test_a_new_identifier_sorts_last_even_if_another_clock_was_ahead(seconds: float, later: float) -> None:
    releases = history(success(1), success(2))
    newest = releases[-1].started
    wanted = release_id("v", newest + timedelta(seconds=later))
    assert next_release_id("v", newest + timedelta(seconds=seconds), releases) == wanted
    assert next_release_id("v", START, []) == release_id("v", START)


@pytest.mark.usefixtures("in_seoul")
def test_times_are_kept_in_utc() -> None:
    local = event(1, Outcome.IN_PROGRESS, at=START.astimezone())
    assert local.at.utcoffset() == timedelta(hours=9)
    assert json.loads(local.to_json())["at"] == "2026-01-31T09:00:00+00:00"
    assert as_row(history([local])[0])["started"] == "2026-01-31T09:00:00+00:00"
    assert release_id("v", local.at) == "20260131T090000.000000Z-v"


def test_serving_is_the_newest_success() -> None:
    assert serving([]) is None
    releases = history(success(1), success(2), [event(3, Outcome.FAILED)])
    current = serving(releases)
    assert current is not None
    assert current.version == "v2"


def back(number: int, to: int, *undone: int) -> list[Event]:
    """Return the events of a rollback to ``to`` that takes the releases ``undone`` out of service."""
    put_back = event(to, Outcome.SUCCEEDED)
    landed = success(
        number, revision=put_back.revision, version=put_back.version, kind=Kind.ROLLBACK, restores=put_back.release
    )
    at = START + timedelta(minutes=10 * number, seconds=31)
    return [*landed, *(event(item, Outcome.ROLLED_BACK, at=at) for item in undone)]


def versions(releases: list[Release]) -> list[str]:
    return [release.version for release in releases]


def test_a_rollback_goes_one_further_back_each_time() -> None:
    """v1 v2 v3, rollback: v2, rollback: v1, rollback: nothing."""
    events = [*success(1), *success(2), *success(3)]
    assert versions(earlier_successes(fold(events))) == ["v2", "v1"]
    events += back(4, 2, 3)
    assert versions(earlier_successes(fold(events))) == ["v1"]
    events += back(5, 1, 2, 4)
    assert versions(earlier_successes(fold(events))) == []


def test_a_rollback_to_a_copy_of_a_deregistered_revision_goes_on_from_its_origin() -> None:
    events = [*success(1), *success(2), *success(3), *back(4, 2, 3)]
    events = [
        event(4, item.outcome, "arn:copy", kind=Kind.ROLLBACK, restores=item.restores) if item.restores else item
        for item in events
    ]
    assert versions(earlier_successes(fold(events))) == ["v1"]


def test_forward_again_after_rollbacks_skips_what_was_rolled_back() -> None:
    events = [*success(1), *success(2), *success(3), *back(4, 2, 3), *back(5, 1, 2, 4), *back(6, 3)]
    releases = fold(events)
    current = serving(releases)
    assert current is not None
    assert current.version == "v3"
    assert versions(rolled_back(releases)) == ["v2"]
    assert versions(earlier_successes(releases)) == ["v1"]


def test_failed_and_rolled_back_revisions_are_no_place_to_return_to() -> None:
    undone = event(3, Outcome.ROLLED_BACK, at=START + timedelta(hours=3))
    releases = history(success(1), [event(2, Outcome.FAILED)], [*success(3), undone], success(4))
    assert versions(earlier_successes(releases)) == ["v1"]


def test_what_served_before_a_release_that_the_ledger_no_longer_holds_is_not_known() -> None:
    assert earlier_successes(history(success(2), back(3, 1))) == []


def test_a_later_success_redeems_a_rolled_back_revision() -> None:
    undone = event(1, Outcome.ROLLED_BACK, at=START + timedelta(minutes=11))
    assert versions(rolled_back(history([*success(1), undone]))) == ["v1"]
    again = success(2, revision="arn:task-definition/family:1")
    assert rolled_back(history([*success(1), undone], again)) == []


# -- a rollback that has not ended ------------------------------------------------------------------------------------


def decided(number: int, to: int, *undone: int, outcome: Outcome = Outcome.IN_PROGRESS) -> list[Event]:
    """Return the events of an unfinished rollback to ``to``, which rolls back the releases ``undone``."""
    put_back = event(to, Outcome.SUCCEEDED)
    values: dict[str, Any] = {
        "revision": put_back.revision,
        "version": put_back.version,
        "kind": Kind.ROLLBACK,
        "restores": put_back.release,
    }
    at = START + timedelta(minutes=10 * number, seconds=1)
    return [
        *(event(number, item, **values) for item in {Outcome.IN_PROGRESS, outcome}),
        *(event(item, Outcome.ROLLING_BACK, at=at) for item in undone),
    ]


def version_of(release: Release | None) -> str:
    return release.version if release else ""


@pytest.mark.parametrize("outcome", [Outcome.IN_PROGRESS, Outcome.FAILED, Outcome.STOPPED])
def test_what_is_being_rolled_back_serves_until_another_succeeds_and_is_bound(outcome: Outcome) -> None:
    releases = history(success(1), success(2), success(3), decided(4, 2, 3, outcome=outcome))
    assert version_of(serving(releases)) == "v3"
    assert versions(rolled_back(releases)) == versions(rolling_back(releases)) == ["v3"]
    assert version_of(unfinished_rollback(releases)) == "v2"
    assert versions(earlier_successes(releases)) == ["v2", "v1"]


def test_a_rollback_is_over_when_a_release_succeeded_or_began_since() -> None:
    events = [*success(1), *success(2), *success(3), *decided(4, 2, 3, outcome=Outcome.FAILED)]
    assert unfinished_rollback(fold([*events, event(5, Outcome.IN_PROGRESS)])) is None
    assert unfinished_rollback(fold([*events, *success(5)])) is None
    assert version_of(unfinished_rollback(fold([*events, event(5, Outcome.FAILED)]))) == "v2", "it changed nothing"


def test_what_was_being_rolled_back_never_serves_again_by_itself() -> None:
    """The success that replaced it was rolled back too, before the first rollback was recorded as done."""
    events = [*success(1), *success(2), *success(3), *decided(4, 1, 3, outcome=Outcome.FAILED), *success(5)]
    releases = fold([*events, *back(6, 2, 5)])
    assert version_of(serving(releases)) == "v2"
    events.append(event(5, Outcome.ROLLED_BACK, at=START + timedelta(hours=2)))
    assert version_of(serving(fold(events))) == "v2"


def test_a_release_in_flight_that_is_rolled_back_never_served() -> None:
    in_flight = [event(3, Outcome.IN_PROGRESS), event(3, Outcome.PREPARED)]
    releases = history(success(1), success(2), in_flight, decided(4, 2, 3, outcome=Outcome.FAILED))
    assert version_of(serving(releases)) == "v2"
    assert version_of(unfinished_rollback(releases)) == "v2"
    assert unfinished(releases) == []
    assert releases[2].ended == releases[2].undone == START + timedelta(minutes=40, seconds=1)


@pytest.mark.parametrize(
    ("events", "target"),
    [
        pytest.param([*success(1), *success(2), *decided(3, 1, outcome=Outcome.FAILED)], "v1", id="another serves"),
        pytest.param([*success(1), *success(2), *decided(3, 2)], "v2", id="its target serves, and it has no end"),
        pytest.param([*success(1), event(1, Outcome.ROLLED_BACK), *decided(2, 1)], "v1", id="nothing serves"),
        pytest.param([*success(2), *decided(3, 1, 2)], "", id="its target is not known"),
    ],
)
def test_a_rollback_without_success_has_a_known_target_that_does_not_serve_yet(
    events: list[Event], target: str
) -> None:
    assert version_of(unfinished_rollback(fold(events))) == target


def test_a_release_that_begins_leaves_the_target_of_the_rollback_before_it() -> None:
    events = [*success(1), *success(2), *success(3), *decided(4, 2, 3, outcome=Outcome.FAILED)]
    assert version_of(last_target(fold([*events, event(5, Outcome.IN_PROGRESS)]))) == "v2"


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([], id="nothing serves"),
        pytest.param([*success(1), *success(2), *decided(3, 1)], id="what serves is not rolled back"),
        pytest.param(
            [*success(1), *success(2), *back(3, 1), *success(4), event(4, Outcome.ROLLING_BACK)],
            id="the rollback is of before what serves",
        ),
        pytest.param([*success(1), *success(2), *decided(3, 1, 2), *decided(4, 2)], id="the target serves"),
        pytest.param([*success(2), *decided(3, 1, 2)], id="the target is not known"),
    ],
)
def test_there_is_no_last_target(events: list[Event]) -> None:
    assert last_target(fold(events)) is None


def test_a_failed_rollback_whose_target_serves_all_the_same_is_over() -> None:
    events = [*success(1), *success(2), *decided(3, 1, 2, outcome=Outcome.FAILED)]
    assert version_of(unfinished_rollback(fold(events))) == "v1"
    events.append(event(2, Outcome.ROLLED_BACK, at=START + timedelta(hours=2)))
    assert unfinished_rollback(fold(events)) is None


def test_a_rollback_that_was_called_off_undoes_nothing() -> None:
    releases = history(success(1), success(2), decided(3, 1, 2, outcome=Outcome.FAILED), back(4, 2))
    assert rolling_back(releases) == rolled_back(releases) == []
    assert version_of(serving(releases)) == "v2"
    assert versions(earlier_successes(releases)) == ["v1"]


def test_a_release_ended_when_it_did_and_was_undone_later() -> None:
    releases = history(success(1), success(2), decided(3, 1, 2), back(3, 1, 2))
    assert releases[1].outcome is Outcome.ROLLED_BACK
    assert releases[1].ended == START + timedelta(minutes=20, seconds=30)
    assert releases[1].undone == START + timedelta(minutes=30, seconds=1)


def test_the_last_word_on_a_release_is_the_newest_success_or_rollback() -> None:
    releases = history(success(1, digest="d"), success(2, digest="d"), back(3, 1, 2), success(4, digest="e"))
    about = last_word(releases, lambda item: item.digest == "d")
    assert about is not None
    assert (about.version, about.undone is None) == ("v2", False)
    again = history(success(1, digest="d"), success(2, digest="d"), back(3, 1, 2), success(4, digest="d"))
    about = last_word(again, lambda item: item.digest == "d")
    assert about is not None
    assert (about.version, about.undone) == ("v4", None)
    assert last_word(releases, lambda item: item.digest == "f") is None


def test_of_two_releases_at_once_the_one_that_ended_last_has_the_last_word() -> None:
    late = [event(1, Outcome.IN_PROGRESS), event(1, Outcome.SUCCEEDED, at=START + timedelta(hours=1))]
    assert version_of(last_word(history(late, success(2)), lambda _: True)) == "v1"


def test_there_is_no_earlier_success_before_the_first_or_of_the_first() -> None:
    assert earlier_successes([]) == []
    assert earlier_successes(history(success(1))) == []


def test_a_prepared_release_is_not_ended() -> None:
    events = [event(1, Outcome.IN_PROGRESS), event(1, Outcome.PREPARED)]
    (release,) = fold(events)
    assert (release.prepared, release.ended) == (True, None)
    assert unfinished([release]) == [release]
    (release,) = fold([event(1, Outcome.FAILED), *events])
    assert (release.prepared, release.outcome) == (True, Outcome.FAILED)


def test_another_incarnation_of_the_service_starts_with_no_history() -> None:
    releases = history(success(1), success(2, service="service@2"))
    assert [release.version for release in of_service(releases, "service@2")] == ["v2"]


def test_unfinished_releases_are_those_without_an_end() -> None:
    assert [r.version for r in unfinished(history(success(1), [event(2, Outcome.IN_PROGRESS)]))] == ["v2"]


def test_an_event_survives_its_body() -> None:
    original = event(1, Outcome.FAILED, why="because")
    assert Event.from_json(original.to_json()) == original


def test_fields_of_a_later_version_are_ignored() -> None:
    body = json.loads(event(1, Outcome.FAILED).to_json()) | {"mood": "fine"}
    assert Event.from_json(json.dumps(body)) == event(1, Outcome.FAILED)


def test_an_event_of_before_definitions_had_names_is_read() -> None:
    body = json.loads(event(1, Outcome.FAILED).to_json())
    del body["definition_digest"]
    (release,) = fold([Event.from_json(json.dumps(body))])
    assert release.name == release.version == "v1"


def test_releases_of_one_commit_are_told_apart_by_their_definitions() -> None:
    releases = history(success(1, version="v", definition_digest="3f2a" + "0" * 60), success(2, version="v"))
    assert [release.name for release in releases] == ["v+3f2a", "v"]


def test_a_row_is_plain_json() -> None:
    row = as_row(history(success(1))[0])
    assert json.loads(json.dumps(row)) == row
    assert (row["name"], row["outcome"], row["started"]) == ("v1", "succeeded", "2026-01-31T09:10:00+00:00")


def test_events_are_recorded_once(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    assert ledger.append(event(1, Outcome.SUCCEEDED))
    assert not ledger.append(event(1, Outcome.SUCCEEDED, why="somebody else's word"))
    (release,) = ledger.releases()
    assert release.why == ""
    key = f"ledger/local/{release.id}/succeeded.json"
    assert s3.head_object(Bucket=BUCKET, Key=key)["ContentType"] == "application/json"


Refuse = Callable[[str, Exception], None]


@pytest.fixture
def refuse(s3: Any) -> Iterator[Refuse]:
    """Let an operation of S3 end with this error from now on."""
    handlers = []

    def refuse(operation: str, error: Exception) -> None:
        def handler(**_: Any) -> None:
            raise error

        handlers.append((f"before-call.s3.{operation}", handler))
        s3.meta.events.register(*handlers[-1])

    yield refuse
    for name, handler in handlers:
        s3.meta.events.unregister(name, handler)


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Any")


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_an_event_that_another_run_records_is_not_recorded_twice(s3: Any, refuse: Refuse, code: str) -> None:
    refuse("PutObject", refusal(code))
    assert Ledger(s3, BUCKET, "local").append(event(1, Outcome.SUCCEEDED)) is False


KEY = f"ledger/local/{event(2, Outcome.FAILED).release}/failed.json"


@pytest.mark.parametrize("error", [refusal("AccessDenied"), EndpointConnectionError(endpoint_url="https://s3")])
@pytest.mark.parametrize(
    ("operation", "call", "failed"),
    [
        ("PutObject", lambda ledger: ledger.append(event(2, Outcome.FAILED)), f"write s3://{BUCKET}/{KEY}"),
        ("GetObject", Ledger.releases, f"read s3://{BUCKET}/{KEY}"),
        ("ListObjectsV2", Ledger.releases, f"list s3://{BUCKET}/ledger/local/"),
    ],
)
def test_a_bucket_that_does_not_answer_is_not_an_empty_ledger(
    s3: Any, refuse: Refuse, operation: str, call: Callable[[Ledger], Any], failed: str, error: Exception
) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    ledger.append(event(2, Outcome.FAILED))
    refuse(operation, error)
    with pytest.raises(LedgerError, match=f"^{re.escape(f'cannot {failed}: {error}')}$"):
        call(ledger)


def test_whether_somebody_recorded_an_end(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    release = event(1, Outcome.STOPPED).release
    for outcome, ended in [(Outcome.IN_PROGRESS, False), (Outcome.PREPARED, False), (Outcome.STOPPED, True)]:
        ledger.append(event(1, outcome))
        assert ledger.has_ended(release) is ended


def test_environments_do_not_see_each_other(s3: Any) -> None:
    Ledger(s3, BUCKET, "staging").append(event(1, Outcome.SUCCEEDED))
    assert Ledger(s3, BUCKET, "local").history() == History(releases=[], unreadable=[])


def test_as_many_old_successes_are_found_behind_many_failures(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    for number in range(1, 4):
        ledger.append(event(number, Outcome.SUCCEEDED))
    for number in range(4, 9):
        ledger.append(event(number, Outcome.FAILED))
    stray = f"ledger/local/{event(8, Outcome.FAILED).release}/notes/today.txt"
    s3.put_object(Bucket=BUCKET, Key=stray, Body=b"of release 8, and no release of its own")
    assert versions(ledger.releases(newest=2)) == ["v2", "v3", "v7", "v8"]
    assert versions(earlier_successes(ledger.releases(newest=2))) == ["v2"]


def test_a_bucket_that_does_not_exist_holds_no_history(s3: Any) -> None:
    ledger = Ledger(s3, "another-bucket", "local")
    assert ledger.releases() == []
    with pytest.raises(LedgerError, match="cannot write s3://another-bucket/ledger/local/"):
        ledger.append(event(1, Outcome.SUCCEEDED))


WHOLE = json.loads(event(2, Outcome.SUCCEEDED).to_json())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is not JSON"),
        (b"?", "it is not JSON"),
        (b"\xff", "it is not UTF-8 text"),
        (b"[]", "it is not a JSON object"),
        (b"{}", "it has no release"),
        (json.dumps(WHOLE | {"outcome": "excellent"}).encode(), "its outcome is 'excellent'"),
        (json.dumps(WHOLE | {"revision": None}).encode(), "its revision is 'None'"),
        (json.dumps(WHOLE | {"at": "noon"}).encode(), "its at is 'noon'"),
        (json.dumps(WHOLE | {"release": "another"}).encode(), "it says succeeded of another"),
        (json.dumps(WHOLE | {"outcome": "failed"}).encode(), f"it says failed of {WHOLE['release']}"),
    ],
)
def test_an_object_that_is_no_event_is_named_and_its_key_stands_for_it(
    s3: Any, s3_clock: Callable[[datetime, datetime], None], body: bytes, why: str
) -> None:
    s3_clock(START, START)
    ledger = Ledger(s3, BUCKET, "local")
    for item in (*success(1), *success(2)):
        ledger.append(item)
    key = f"ledger/local/{WHOLE['release']}/succeeded.json"
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    found = ledger.history()
    (unreadable,) = found.unreadable
    assert unreadable.known
    assert str(unreadable).startswith(f"s3://state-bucket/{key} is not a ledger event ({why}")
    assert str(unreadable).endswith("): its name and the release's other events are used instead")
    assert [(item.version, item.outcome) for item in found.releases] == [
        ("v1", Outcome.SUCCEEDED),
        ("v2", Outcome.SUCCEEDED),
    ]
    assert found.releases[-1].ended == START, "when S3 stored it"
    assert found.releases[-1].duration_seconds is None


def test_an_event_is_rebuilt_from_its_key_and_another_event_of_its_release() -> None:
    at = START + timedelta(hours=1)
    unreadable = Unreadable(address="s3://…", why="it is not JSON", release="r", outcome=Outcome.FAILED, at=at)
    other = event(1, Outcome.STOPPED, why="no", definition_digest="3f2a")
    why = "(its record cannot be read: it is not JSON)"
    rebuilt = event(1, Outcome.FAILED, at=at, why=why, definition_digest="3f2a", duration_seconds=None)
    assert unreadable.recovered(other) == rebuilt


def test_a_release_of_which_nothing_can_be_read_is_named_and_hides_no_other(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    ledger.append(event(1, Outcome.SUCCEEDED))
    below_another = f"{event(1, Outcome.SUCCEEDED).release}/old/failed.json"
    keys = [below_another, f"{event(2, Outcome.FAILED).release}/failed.json", "notes.txt", "x/succeeded.json"]
    for key in (*keys, ""):  # the last is a folder made in the console
        s3.put_object(Bucket=BUCKET, Key=f"ledger/local/{key}", Body=b"?")
    found = ledger.history()
    assert [(item.version, item.outcome) for item in found.releases] == [("v1", Outcome.SUCCEEDED)]
    assert [(item.address, item.known) for item in found.unreadable] == [
        (f"s3://state-bucket/ledger/local/{key}", key == below_another) for key in keys
    ]
    assert {str(item).rpartition(": ")[2] for item in found.unreadable} == {"left out"}


def test_an_outcome_of_a_later_version_of_this_code_is_left_out(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    ledger.append(event(1, Outcome.SUCCEEDED))
    body = event(1, Outcome.SUCCEEDED).to_json().replace('"succeeded"', '"celebrated"')
    s3.put_object(Bucket=BUCKET, Key=f"ledger/local/{event(1, Outcome.FAILED).release}/celebrated.json", Body=body)
    found = ledger.history()
    assert [item.outcome for item in found.releases] == [Outcome.SUCCEEDED]
    assert str(found.unreadable[0]).endswith("(its outcome is 'celebrated'): left out")


def test_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the process's user, not the one in the shell's variables."""
    monkeypatch.setenv("LOGNAME", "somebody")
    host = socket.gethostname()
    assert actor({}) == f"{pwd.getpwuid(os.geteuid()).pw_name}@{host}"
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert actor({}) == f"uid 54321@{host}"
    run = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": "ann",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "7",
    }
    assert actor(run) == "ann (https://github.com/o/r/actions/runs/7)"
    assert actor(run | {"GITHUB_ACTIONS": "false"}) == actor({})
    del run["GITHUB_RUN_ID"]
    assert actor(run) == actor({}), "a run that cannot be named"


def test_an_object_is_read_again_only_after_it_changed(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    get_object, read = s3.get_object, []

    def counted(**request: Any) -> Any:
        read.append(request["Key"])
        return get_object(**request)

    monkeypatch.setattr(s3, "get_object", counted)
    ledger.append(event(1, Outcome.IN_PROGRESS))
    assert [item.outcome for item in ledger.releases()] == [Outcome.IN_PROGRESS]
    ledger.append(event(1, Outcome.SUCCEEDED))
    assert [item.outcome for item in ledger.releases()] == [Outcome.SUCCEEDED]
    key = f"ledger/local/{event(1, Outcome.SUCCEEDED).release}/succeeded.json"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"?")
    assert len(ledger.history().unreadable) == len(ledger.history().unreadable) == 1
    assert [item.rpartition("/")[2] for item in read] == ["in_progress.json", "succeeded.json", "succeeded.json"]


def test_a_limit_of_reads_takes_whole_releases_the_newest_first(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    for item in (*success(1), *success(2), *success(3)):
        ledger.append(item)
    size = len(list(success(1)))
    seen = [ledger.history(reads=reads) for reads in (0, 0, 2 * size - 1, 1)]
    assert [[item.version for item in found.releases] for found in seen] == [
        ["v3"],
        ["v3"],
        ["v2", "v3"],
        ["v1", "v2", "v3"],
    ]
    assert [found.more for found in seen] == [True, True, True, False]
    assert all(item.outcome is Outcome.SUCCEEDED for found in seen for item in found.releases)
