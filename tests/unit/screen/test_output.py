"""Signs of life, and lines that are drawn."""

from __future__ import annotations

import io
from contextlib import nullcontext

import pytest

from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.screen import render
from fargate_ops.screen.look import Look
from fargate_ops.screen.output import Output
from fargate_ops.screen.run import Run


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Pipe(io.StringIO):
    encoding = "utf-8"


class Terminal(Pipe):
    def isatty(self) -> bool:
        return True


def test_a_step_that_lasts_says_so_where_no_line_is_redrawn() -> None:
    stream, clock = io.StringIO(), Clock()
    output = Output(stream, Look(), nullcontext(), clock)
    run = Run(output, clock)
    run.enter(1, "Release")
    run.say("1 of 3 tasks")
    for clock.now in (5.0, 9.0, 11.0, 20.0, 42.0):
        output.tick()
    run.leave()
    assert stream.getvalue().splitlines() == [
        "  … Release: 11 s, 1 of 3 tasks",
        "  … Release: 42 s, 1 of 3 tasks",
        "✓ Release  42 s  1 of 3 tasks",
    ]


def test_a_terminal_redraws_one_line_and_leaves_it_clean() -> None:
    stream, clock = io.StringIO(), Clock()
    output = Output(stream, Look(width=20, live=True), nullcontext(), clock)
    run = Run(output, clock)
    run.enter(1, "Release")
    clock.now = 3.0
    run.say("a line longer than the terminal")
    output.tick()
    run.leave()
    first, second = "⠙ Release  0.0 s", "⠹ Release  3.0 s  …"
    assert stream.getvalue() == f"\r\x1b[K{first}\r\x1b[K{second}\r\x1b[K✓ Release  3.0 s\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")]
)
def test_duration(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


@pytest.mark.parametrize(
    ("stream", "environment", "look"),
    [
        (Pipe(), {}, Look()),
        (Terminal(), {"TERM": "xterm", "COLUMNS": "40"}, Look(width=40, live=True)),
        (Terminal(), {"TERM": "dumb"}, Look()),
        (Terminal(), {"GITHUB_ACTIONS": "true"}, Look(github=True)),
        (Terminal(), {"TERM": "dumb", "SHELL_LOCALE": "C"}, Look(ascii=True)),
        (Terminal(), {"TERM": "dumb", "SHELL_LOCALE": "en_US.ISO-8859-1"}, Look(ascii=True)),
        (Terminal(), {"TERM": "dumb", "SHELL_LOCALE": "ko_KR.UTF-8"}, Look()),
    ],
)
def test_the_look(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, environment: dict[str, str], look: Look
) -> None:
    monkeypatch.setenv("COLUMNS", environment.get("COLUMNS", ""))
    assert Look.of(stream, environment, colour=False) == look


def test_a_long_cause_is_cut_and_a_command_is_not() -> None:
    ended = Outcome(kind=Kind.FAILED, what="no", cause="\n".join("abcdef"), next="make status ENV=" + "x" * 60)
    lines = render.outcome(Look(width=40), "demo", ended, took="1 s", log="a.log")
    assert lines == [
        "✗ demo: failed: no",
        "  cause: a",
        "         b",
        "         c",
        "         … the rest is in the log",
        "  took:  1 s",
        "  next:  make status ENV=" + "x" * 60,
        "  log:   a.log",
    ]
