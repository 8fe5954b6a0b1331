"""The end of a command."""

import json

import pytest

from fargate_ops.core.outcome import REFUSED, STOPPED, Kind, Outcome, one_line


def test_an_outcome_survives_a_tasks_result() -> None:
    outcome = Outcome(kind=Kind.FAILED_AND_UNDONE, what="the release failed", facts={"version": "5f0c2b7d9e31"})
    result = outcome.to_result()
    assert type(result["kind"]) is str  # Ansible warns of any other type in a variable
    assert Outcome.from_result(json.loads(json.dumps(result))) == outcome


def test_a_message_has_what_happened_and_why_and_the_next_command() -> None:
    read = Outcome.of_message("qa: ECS would not run admin:3: no capacity. Next: make status ENV=qa", Kind.FAILED, "qa")
    assert read == Outcome(
        kind=Kind.FAILED, what="ECS would not run admin:3", cause="no capacity", next="make status ENV=qa"
    )


@pytest.mark.parametrize("message", ["qa: rollback: plan: AWS: slow", "qa: AWS: slow", "AWS: slow"])
def test_the_environment_is_not_repeated(message: str) -> None:
    read = Outcome.of_message(message, Kind.FAILED, "qa: rollback: plan")
    assert (read.what, read.cause) == ("AWS", "slow")


@pytest.mark.parametrize(
    ("message", "cause", "following"),
    [
        ("It is full.", "It is full", ""),
        ("Nothing was applied: the plan destroys x.\nNext: look", "the plan destroys x", "look"),
        ("the image is for ARM64. Nothing was changed.\nNext: build\n  again", "the image is for ARM64", "build again"),
        ("qa is another account; nothing was touched. Next: correct it", "qa is another account", "correct it"),
        ("Nothing was touched. It removes all. Next, if that is meant: make x", "It removes all", "make x"),
        ("Nothing was changed: it differs:\n  image: a\n  task: b", "it differs: image: a; task: b", ""),
    ],
)
def test_the_text_of_a_refusal_is_its_cause(message: str, cause: str, following: str) -> None:
    assert Outcome.of_message(message, Kind.REFUSED) == Outcome(
        kind=Kind.REFUSED, what=REFUSED, cause=cause, next=following
    )
    assert (Outcome.of_message(message).kind is Kind.REFUSED) is ("othing was" in message)


def test_a_failed_task_without_an_outcome_is_read() -> None:
    read = Outcome.of_failed_task({"msg": "qa: it broke: no disk\n  where: /srv\n  next:  df -h"}, "qa")
    assert read == Outcome(kind=Kind.FAILED, what="it broke", cause="no disk", where="/srv", next="df -h")
    assert Outcome.of_failed_task({"msg": "x is 3. Nothing was touched."}).kind is Kind.REFUSED
    assert Outcome.of_failed_task({"msg": "Validation failed", "argument_errors": ["no x"]}).kind is Kind.REFUSED
    assert Outcome.of_failed_task({"msg": "other", "outcome": read.to_result()}) == read


def test_what_is_refused_after_a_change_is_a_failure() -> None:
    refused = Outcome(kind=Kind.REFUSED, what=REFUSED, cause="the image is for ARM64")
    after = refused.after_changes()
    assert (after.kind, after.what, after.cause) == (Kind.FAILED, STOPPED, refused.cause)
    locked = Outcome(kind=Kind.LOCKED, what="another command holds the lock").after_changes()
    assert (locked.kind, locked.what) == (Kind.FAILED, "another command holds the lock")
    unverified = Outcome(kind=Kind.UNVERIFIED, what="it serves")
    assert unverified.after_changes() == unverified


def test_the_text_is_the_whole_outcome() -> None:
    outcome = Outcome(kind=Kind.FAILED, what="it failed", where="here", cause="no disk", serves="app:1", next="df -h")
    assert outcome.text("qa") == ("qa: it failed\n  where: here\n  cause: no disk\nWhat serves now: app:1\nNext: df -h")


def test_lines_and_sentences_become_one_line() -> None:
    assert one_line("it failed", "It was stopped.", "still\n  so:\n a") == "it failed. It was stopped; still; so: a"
