"""Programs that take long: they show that they live, and their last words are kept."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from local_cloud.host import commands
from local_cloud.host.errors import CommandError, LocalCloudError


def run(program: str, said: list[str] | None = None) -> None:
    progress = (said if said is not None else []).append
    commands.run([sys.executable, "-c", program], what="the work", progress=progress)


def test_success_says_nothing() -> None:
    said: list[str] = []
    run("", said)
    assert said == []


def test_a_failure_keeps_the_last_lines() -> None:
    with pytest.raises(CommandError, match=r"the work failed: .* ended with 3:") as failure:
        run("for number in range(30): print('line', number)\nraise SystemExit(3)")
    assert str(failure.value).splitlines()[1:] == [f"  line {number}" for number in range(18, 30)]


def test_a_failure_without_a_word() -> None:
    with pytest.raises(CommandError, match="no output"):
        run("raise SystemExit(1)")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="the work: cannot run /nonexistent/program"):
        commands.run(["/nonexistent/program"], what="the work", progress=print)


def test_long_work_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The work ends when that was shown."""
    monkeypatch.setattr(commands, "HEARTBEAT_SECONDS", 0.05)
    shown = tmp_path / "shown"
    said: list[str] = []

    def show(line: str) -> None:
        said.append(line)
        shown.touch()

    work = f"import os, time\nwhile not os.path.exists({str(shown)!r}): time.sleep(0.01)"
    commands.run([sys.executable, "-c", work], what="the work", progress=show)
    assert all(line.startswith("the work: still running") for line in said)


def test_an_interrupt_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "HEARTBEAT_SECONDS", 0.05)
    started = []
    popen = subprocess.Popen

    def remember(*arguments: object, **options: object) -> object:
        started.append(popen(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", remember)
    with pytest.raises(KeyboardInterrupt):
        commands.run([sys.executable, "-c", "import time; time.sleep(60)"], what="the work", progress=interrupt)
    assert started[0].returncode is not None
    started[0].stdout.close()


Lock = Callable[[commands.Progress], AbstractContextManager[None]]


@pytest.fixture(params=["file", "machine"])
def lock(request: pytest.FixtureRequest, tmp_path: Path) -> Lock:
    """Either of the two locks, of this test's own."""
    if request.param == "file":
        return functools.partial(commands.file_lock, tmp_path / "new" / "images.lock")
    return functools.partial(commands.machine_lock, f"settlement-test-{os.getpid()}")


def test_of_two_at_the_same_time_the_second_waits(lock: Lock) -> None:
    told, order = threading.Event(), []

    def second() -> None:
        with lock(lambda line: told.set()):
            order.append("second")

    with lock(print):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert told.wait(60), "it says that it waits"
        order.append("first")
    waiting.join(60)
    assert order == ["first", "second"]


def test_one_that_never_ends_is_said(lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_LOCK_WAIT_SECONDS", 0)
    with lock(print), pytest.raises(LocalCloudError, match=r"Next: `(fuser -v|ss -xap)"), lock(print):
        pass
