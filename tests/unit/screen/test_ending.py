"""What a failed task's message tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.screen.ending import Failure, complete, derive

FAILURE = Failure(step="Take the lock", task="deploy_lock : Hold it", module="deploy_lock", message="")


def derived(message: str, *, touched: bool = False, reached: bool = False, **fields: str) -> Outcome:
    failure = replace(FAILURE, message=message, **fields)
    return derive(failure, "demo", touched=touched, reached=reached, log="a.log")


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


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Kind.REFUSED, {"message": "no", "module": "ansible.builtin.assert"}),
        (Kind.REFUSED, {"message": "no", "module": "preflight"}),
        (Kind.REFUSED, {"message": "Held by ann. Nothing was touched."}),
        (Kind.FAILED, {"message": "no"}),
        (Kind.FAILED, {"message": "Nothing was touched.", "touched": True}),
        (Kind.FAILED, {"message": "no", "module": "ansible.builtin.fail", "touched": True}),
    ],
)
def test_a_run_is_refused_only_if_nothing_was_touched(kind: Kind, given: dict[str, str]) -> None:
    assert derived(**given).kind is kind


def test_what_serves() -> None:
    assert derived("no").serves == "what served before"
    assert derived("no", reached=True).serves == "not known: make status shows it"


def test_the_failure_that_was_rescued_is_the_cause() -> None:
    found = derived(
        "demo: the release failed.\nNext: make logs", reason="demo: a task stopped. Next: nothing", module="fail"
    )
    assert (found.what, found.cause, found.next) == ("the release failed.", "a task stopped.", "make logs")


def test_a_tasks_outcome_counts_before_its_message() -> None:
    own = Outcome(kind=Kind.UNVERIFIED, what="it serves or not", next="make status")
    found = complete(own, derived("demo: no answer. Next: make logs"))
    assert (found.kind, found.what, found.cause, found.next) == (own.kind, own.what, "no answer.", "make status")
