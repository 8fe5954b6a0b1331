"""The ledger: how events combine, and that each is recorded once."""

from __future__ import annotations

import json
import os
import pwd
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fargate_ops.state.ledger import (
    Event,
    Kind,
    Ledger,
    LedgerError,
    Outcome,
    Release,
    actor,
    as_row,
    earlier_successes,
    fold,
    last_word,
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
    ids = [release_id("z", START), release_id("a", START + timedelta(microseconds=1)), release_id("m/x", START)]
    assert ids[0] < ids[1]
    assert ids[2].endswith("-m-x")
    assert started_at(ids[1]) == START + timedelta(microseconds=1)


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
    assert (row["outcome"], row["started"]) == ("succeeded", "2026-01-31T09:10:00+00:00")


def test_events_are_recorded_once(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    assert ledger.append(event(1, Outcome.SUCCEEDED))
    assert not ledger.append(event(1, Outcome.SUCCEEDED, why="somebody else's word"))
    (release,) = ledger.releases()
    assert release.why == ""


def test_whether_somebody_recorded_an_end(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    release = event(1, Outcome.STOPPED).release
    for outcome, ended in [(Outcome.IN_PROGRESS, False), (Outcome.PREPARED, False), (Outcome.STOPPED, True)]:
        ledger.append(event(1, outcome))
        assert ledger.has_ended(release) is ended


def test_environments_do_not_see_each_other(s3: Any) -> None:
    Ledger(s3, BUCKET, "staging").append(event(1, Outcome.SUCCEEDED))
    assert Ledger(s3, BUCKET, "local").releases() == []


def test_as_many_old_successes_are_found_behind_many_failures(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    for number in range(1, 4):
        ledger.append(event(number, Outcome.SUCCEEDED))
    for number in range(4, 9):
        ledger.append(event(number, Outcome.FAILED))
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
def test_an_object_that_is_no_event_is_named_and_its_key_stands_for_it(s3: Any, body: bytes, why: str) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    for item in (*success(1), *success(2)):
        ledger.append(item)
    key = f"ledger/local/{WHOLE['release']}/succeeded.json"
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    found = ledger.history()
    (unreadable,) = found.unreadable
    assert unreadable.known
    assert str(unreadable).startswith(f"s3://state-bucket/{key} is not a ledger event ({why}")
    assert [(item.version, item.outcome) for item in found.releases] == [
        ("v1", Outcome.SUCCEEDED),
        ("v2", Outcome.SUCCEEDED),
    ]
    assert found.releases[-1].duration_seconds is None


def test_a_release_of_which_nothing_can_be_read_is_named_and_hides_no_other(s3: Any) -> None:
    ledger = Ledger(s3, BUCKET, "local")
    ledger.append(event(1, Outcome.SUCCEEDED))
    keys = [f"{event(2, Outcome.FAILED).release}/failed.json", "notes.txt", "x/succeeded.json"]
    for key in (*keys, ""):  # the last is a folder made in the console
        s3.put_object(Bucket=BUCKET, Key=f"ledger/local/{key}", Body=b"?")
    found = ledger.history()
    assert versions(found.releases) == ["v1"]
    assert [(item.address, item.known) for item in found.unreadable] == [
        (f"s3://state-bucket/ledger/local/{key}", False) for key in keys
    ]


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
    assert actor({"GITHUB_ACTIONS": "true"}) == actor({})
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
