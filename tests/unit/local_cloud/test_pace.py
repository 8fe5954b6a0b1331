"""The length of a minute, and what repeats in it."""

from __future__ import annotations

import threading
import time

import pytest

from local_cloud.core.pace import Pace


def test_aws_times_become_shorter_with_the_minute() -> None:
    pace = Pace()
    assert pace.seconds(300) == 300
    pace.minute_seconds = 5
    assert pace.seconds(300) == 25


@pytest.mark.parametrize("seconds", [0, 0.5, -1, 61, float("nan"), float("inf")])
def test_a_minute_takes_one_to_sixty_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="1 to 60 seconds"):
        Pace(seconds)


def test_calls_come_at_the_same_moments_of_each_minute() -> None:
    pace, stopped, moments, enough = Pace(1), threading.Event(), list[float](), threading.Event()

    def call() -> None:
        moments.append(time.time())
        if len(moments) == 3:
            enough.set()

    pace.repeat("test", call, stopped, times=4, after=0.125)
    assert enough.wait(60)
    stopped.set()
    # Each was due an eighth of a second after a quarter; a busy machine calls later, never earlier.
    due = [(moment - 0.125) // 0.25 for moment in moments]
    assert due == sorted(set(due))


def test_another_pace_is_noticed_during_a_pause() -> None:
    pace, stopped, called = Pace(60), threading.Event(), threading.Event()
    pace.repeat("test", called.set, stopped)
    pace.minute_seconds = 1
    assert called.wait(30)
    stopped.set()


def test_a_failure_is_logged_and_the_next_call_is_made(caplog: pytest.LogCaptureFixture) -> None:
    pace, stopped, calls = Pace(1), threading.Event(), threading.Semaphore(0)

    def call() -> None:
        calls.release()
        raise OSError("no metrics now")

    pace.repeat("publisher", call, stopped, times=20)
    assert all(calls.acquire(timeout=60) for _ in range(2))
    stopped.set()
    assert "publisher failed" in caplog.text
    assert "no metrics now" in caplog.text
