"""The connection drill, against a simulated application with its own clock."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from fargate_ops.drill.connection_exhaustion import (
    Exhaustion,
    SlowStatement,
    clear,
    exhaust,
    hold,
    records,
    recover,
    source,
    starve,
)
from fargate_ops.drill.steady_state import DrillError

URL = "http://service/ready"
EXHAUSTION = Exhaustion(task_arn="task", leaked=200, refusal="FATAL", answers={"HTTP 503": 5})
SLOW = SlowStatement(task_arn="task", table="public.items")


@dataclass
class World:
    """Each request takes a moment and gets the next answer; the last answer repeats."""

    answers: list[tuple[int, str]]
    end: dict[str, Any] = field(
        default_factory=lambda: {"leaked": 200, "ended": 200, "kept": True, "over": "public.items"}
    )
    now: float = 100.0
    stopped: bool = False
    started: list[tuple[str, dict[str, float]]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def http_call(self, method: str, url: str, body: None) -> tuple[int, str]:
        assert url == URL
        self.now += 0.01
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def start(self, file: str, **environment: float) -> str:
        self.started.append((file, environment))
        return "task"

    def start_as_master(self, file: str, **environment: float) -> str:
        return self.start(f"{file} as master", **environment)

    def until(self, task_arn: str, key: str, limit_seconds: float) -> dict[str, Any]:
        said = {"full": 200, "refused": "FATAL: too many clients", "held": "public.items"} | self.end
        return {name: said[name] for name in said if key in said}

    def stop(self, task_arn: str) -> None:
        self.stopped = True


def world(*answers: tuple[int, str], **values: Any) -> tuple[Any, dict[str, Any]]:
    found = World(list(answers), **values)
    return found, {"call": found.http_call, "clock": found.clock, "sleep": found.sleep}


def test_the_application_has_to_refuse() -> None:
    program, ways = world(*[(200, "")] * 3, *[(503, "")] * 5)
    exhaustion = exhaust(program, URL, 60, lambda _: None, **ways)
    assert (exhaustion.leaked, exhaustion.answers) == (200, {"HTTP 200": 3, "HTTP 503": 5})
    assert program.started == [("leak.py", {"LIMIT_SECONDS": 60})]


def test_an_application_that_answers_all_the_same_is_no_incident() -> None:
    program, ways = world((200, ""))
    with pytest.raises(DrillError, match="still answers"):
        exhaust(program, URL, 5, lambda _: None, **ways)
    assert program.stopped


def test_recovery_is_counted_to_the_first_of_the_good_answers() -> None:
    program, ways = world(*[(503, "")] * 10, (200, ""), (503, ""), (200, ""))
    found = recover(program, EXHAUSTION, URL, 60, lambda _: None, **ways)
    assert found.seconds == pytest.approx(12 * 0.06, abs=0.06)
    assert (found.ended, found.kept) == (200, True)


def test_no_recovery_is_said_and_ends_the_leak() -> None:
    program, ways = world((503, ""))
    with pytest.raises(DrillError, match="does not answer again after 5 s"):
        recover(program, EXHAUSTION, URL, 5, lambda _: None, **ways)
    assert program.stopped


def test_a_transaction_that_did_not_commit_is_told() -> None:
    program, ways = world((200, ""), end={"leaked": 2, "ended": 2, "kept": False, "failed": "terminating connection"})
    found = recover(program, EXHAUSTION, URL, 5, lambda _: None, **ways)
    assert (found.kept, found.said) == (False, "terminating connection")


def test_pools_are_full_when_the_application_is_not_ready() -> None:
    _, ways = world((200, "{}"), (500, "{}"), (503, "{}"), (503, "{}"))
    assert starve(URL, 60, lambda _: None, **ways) == {"HTTP 200": 1, "HTTP 500": 1, "HTTP 503": 1}
    _, ways = world((200, "{}"))
    with pytest.raises(DrillError, match="the application was ready for 5 s"):
        starve(URL, 5, lambda _: None, **ways)


def test_a_slow_statement_is_started_and_waited_for() -> None:
    program, ways = world((503, ""), (200, ""))
    assert hold(program, 30, 60, lambda _: None) == SLOW
    assert program.started == [("slow.py as master", {"HOLD_SECONDS": 30})]
    assert clear(program, SLOW, URL, 60, lambda _: None, **ways)
    program, ways = world((503, ""))
    with pytest.raises(DrillError):
        clear(program, SLOW, URL, 5, lambda _: None, **ways)


def test_other_lines_of_a_log_are_no_records() -> None:
    assert records(["", "x", "1", "[]", '{"full": 3}']) == [{"full": 3}]


@pytest.mark.parametrize("name", ["leak.py", "login.py", "rows.py", "slow.py"])
def test_a_program_is_one_argument_that_imports_nothing_of_this_repository(name: str) -> None:
    program = source(name)
    compile(program, name, "exec")
    assert "def connect(" in program
    assert "import roles" not in program
    assert "from roles" not in program
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html: 8192 characters in all.
    assert len(json.dumps(program)) < 7000
