"""What a failed task's message tells."""

from __future__ import annotations

import pytest

from fargate_ops.core.outcome import REFUSED, Kind, Outcome
from fargate_ops.screen.ending import Failure, complete, derive


def derived(message: str, kind: Kind = Kind.FAILED, *, reached: bool = False) -> Outcome:
    failure = Failure(step="Take the lock", task="deploy_lock : Hold it", message=message, kind=kind)
    return derive(failure, "demo", reached=reached, log="a.log")


def test_a_problem_has_its_place_and_its_next_step() -> None:
    found = derived("No address answers\n  where: http://127.0.0.1:4566\n  next:  make up")
    assert (found.where, found.cause, found.next) == ("http://127.0.0.1:4566", "No address answers", "make up")


@pytest.mark.parametrize(
    ("message", "cause", "following"),
    [
        ("demo: there is no stack. Next: make deploy ENV=demo", "there is no stack.", "make deploy ENV=demo"),
        ("There is none.\nNext, if that is meant: make destroy", "There is none.", "make destroy"),
        ("It failed.\nIt did.\nNext:\n  make status", "It failed.\nIt did.", "make status"),
        ("It failed", "It failed", "less a.log"),
        (
            "terraform apply:\n╷\n│ Error: no such bucket\n│ on main.tf",
            "Error: no such bucket\non main.tf",
            "less a.log",
        ),
    ],
)
def test_cause_and_next_step(message: str, cause: str, following: str) -> None:
    found = derived(message)
    assert (found.cause, found.next) == (cause, following)
    assert (found.what, found.where) == ("stopped in “Take the lock”", "deploy_lock : Hold it")


def test_a_refusal_says_once_that_nothing_was_touched() -> None:
    found = derived("demo: held by ann. Nothing was touched.\nNext: wait", Kind.REFUSED)
    assert (found.what, found.cause, found.next) == (REFUSED, "held by ann", "wait")


def test_what_serves() -> None:
    assert derived("no").serves == "what served before"
    assert derived("no", reached=True).serves == "not known: make status shows it"


def test_a_tasks_outcome_counts_before_its_message() -> None:
    own = Outcome(kind=Kind.UNVERIFIED, what="it serves or not", next="make status")
    found = complete(own, derived("demo: no answer. Next: make logs"))
    assert (found.kind, found.what, found.cause, found.next) == (own.kind, own.what, "no answer.", "make status")
