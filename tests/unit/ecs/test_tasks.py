"""One-off tasks: started once, followed to their end, with the reason of the end."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.ecs.shell import ShellError, newest_running, require_execute_command, script
from fargate_ops.ecs.tasks import (
    LogReader,
    LogStream,
    OneOff,
    Runner,
    TaskError,
    TaskTimeoutError,
    describe_tasks,
    how_stopped,
    log_stream,
    tail,
)
from fargate_ops.plugin.worker import Orphaned, sleep_with_parent
from local_cloud.ecs.task_lists import refusal

ARN = "arn:aws:ecs:ap-northeast-2:000000000000:task/c/0123"
STREAM = LogStream("/ecs/app", "api/api/0123")
DEFINITION = {
    "containerDefinitions": [
        {"name": "sidecar"},
        {
            "name": "api",
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/ecs/app", "awslogs-stream-prefix": "api"},
            },
        },
    ]
}
WHAT = OneOff(
    cluster="c",
    task_definition="arn:task-definition/app:7",
    container="api",
    command=["python", "--version"],
    environment={"A": "1"},
    subnets=["subnet-1"],
    security_groups=["sg-1"],
    started_by="me",
)


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Operation")


def task(status: str, exit_code: int | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "taskArn": ARN,
        "taskDefinitionArn": WHAT.task_definition,
        "lastStatus": status,
        "containers": [{"name": "api", "exitCode": exit_code}],
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container exited",
        **changes,
    }


class Ecs:
    """ECS that returns one state of the task after the other, and repeats the last."""

    def __init__(self, *states: dict[str, Any] | Exception | None) -> None:
        self.states = list(states)
        self.stopped: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.answer: Any = {"tasks": [{"taskArn": ARN}], "failures": []}

    def describe_tasks(self, **_: Any) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return {"tasks": [state] if state else []}

    def describe_task_definition(self, **_: Any) -> dict[str, Any]:
        return {"taskDefinition": DEFINITION}

    def stop_task(self, *, reason: str, **_: Any) -> None:
        self.stopped.append(reason)

    def run_task(self, **request: Any) -> Any:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Logs:
    """A growing stream: one batch for each token; an exception is raised."""

    def __init__(self, *batches: list[str] | Exception) -> None:
        self.batches = list(batches)
        self.seen = 0

    def get_log_events(self, *, nextToken: str = "0", **_: Any) -> dict[str, Any]:
        position = int(nextToken)
        if position >= len(self.batches):
            return {"events": [], "nextForwardToken": nextToken}
        batch = self.batches[position]
        if isinstance(batch, Exception):
            self.batches.pop(position)
            raise batch
        return {"events": [{"message": line} for line in batch], "nextForwardToken": str(position + 1)}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def runner(ecs: Any, logs: Any, said: list[str] | None = None) -> Runner:
    clock = Clock()
    say = (said if said is not None else []).append
    return Runner(ecs, logs, say, poll_seconds=1, log_grace_seconds=3, jitter=0, clock=clock, sleep=clock.sleep)


def test_the_request_replaces_the_command_and_says_who() -> None:
    request = WHAT.request()
    assert request["startedBy"] == "me"
    assert request["overrides"]["containerOverrides"] == [
        {"name": "api", "command": ["python", "--version"], "environment": [{"name": "A", "value": "1"}]}
    ]
    assert request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"
    bare = OneOff(**{**WHAT.__dict__, "command": [], "environment": {}}).request()
    assert bare["overrides"]["containerOverrides"] == [{"name": "api"}]


def test_a_task_is_followed_to_its_exit_code_with_its_output() -> None:
    said: list[str] = []
    ecs = Ecs(task("PROVISIONING"), task("RUNNING"), task("RUNNING"), task("STOPPED", 0))
    logs = Logs(error("ResourceNotFoundException"), ["one"], ["two", "three"])
    finished = runner(ecs, logs, said).follow("c", "api", ARN, 60)
    assert finished.stop.exit_code == 0
    assert finished.output == ["one", "two", "three"]
    assert [line for line in said if "|" in line] == ["  | one", "  | two", "  | three"]
    assert "  task 0123 stopped (3 s)" in said


def test_the_last_words_of_a_failure_are_waited_for() -> None:
    class Late(Logs):
        def get_log_events(self, **request: Any) -> dict[str, Any]:
            self.seen += 1
            return super().get_log_events(**request) if self.seen > 3 else {"events": [], "nextForwardToken": "0"}

    finished = runner(Ecs(task("STOPPED", 1)), Late(["fatal"])).follow("c", "api", ARN, 60)
    assert finished.output == ["fatal"]
    assert finished.stop.exit_code == 1


def test_a_silent_task_shows_that_it_lives() -> None:
    said: list[str] = []
    ecs = Ecs(*[task("RUNNING")] * 12, task("STOPPED", 0))
    runner(ecs, Logs(), said).follow("c", "api", ARN, 60)
    assert "  task 0123 still running (10 s)" in said


def test_rests_differ_and_a_slow_pace_keeps_the_signs_of_life() -> None:
    clock, rests, signs = Clock(), list[float](), list[float]()

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        clock.sleep(seconds)

    ecs = Ecs(*[task("RUNNING")] * 50, task("STOPPED", 0))
    slow = Runner(ecs, Logs(), lambda _: signs.append(clock.now), poll_seconds=4, clock=clock, sleep=sleep)
    slow.follow("c", "api", ARN, 900)
    assert all(3 <= rest <= 5 for rest in rests[:50])
    assert len(set(rests[:50])) == 50
    assert max(later - earlier for earlier, later in pairwise(signs)) <= 10
    assert sum(rests[50:]) == pytest.approx(3)  # the last lines' grace


def test_a_task_over_its_time_is_stopped() -> None:
    class Obedient(Ecs):
        def stop_task(self, **request: Any) -> None:
            super().stop_task(**request)
            self.states = [task("DEACTIVATING"), task("STOPPED", 1)]

    class Late(Logs):
        """A log whose last lines arrive after the task has ended."""

        def get_log_events(self, **request: Any) -> dict[str, Any]:
            if ecs.stopped and len(ecs.states) == 1 and len(self.batches) == 1:
                self.batches.append(["rolled back"])
            return super().get_log_events(**request)

    ecs = Obedient(task("RUNNING"))
    with pytest.raises(TaskTimeoutError, match="not done within 5 s and was stopped") as failure:
        runner(ecs, Late(["working"])).follow("c", "api", ARN, 5)
    assert ecs.stopped == ["not done within 5 s"]
    assert failure.value.output == ["working", "rolled back"]


def test_a_task_that_does_not_stop_is_not_waited_for_without_end() -> None:
    ecs = Ecs(task("RUNNING"))
    with pytest.raises(TaskTimeoutError, match="not done within 5 s, and did not stop when asked"):
        runner(ecs, Logs(["working"])).follow("c", "api", ARN, 5)
    assert ecs.stopped == ["not done within 5 s"]


def test_an_output_that_matters_is_waited_for() -> None:
    class Slow(Logs):
        def get_log_events(self, **request: Any) -> dict[str, Any]:
            self.seen += 1
            if self.seen == 8:
                self.batches += [error("ThrottlingException"), ["result"]]
            return super().get_log_events(**request)

    def follow(logs: Logs) -> list[str]:
        ended = Ecs(task("STOPPED", 0))
        return runner(ended, logs).follow("c", "api", ARN, 60, complete=lambda lines: "result" in lines).output

    assert follow(Slow(["first"])) == ["first", "result"]
    assert follow(Logs(["first"])) == ["first"]


def test_a_task_that_ecs_never_knows_is_an_error_after_a_minute() -> None:
    said: list[str] = []
    with pytest.raises(TaskError, match=r"does not know the task .* 60 s after it was started"):
        runner(Ecs(None), Logs(), said).follow("c", "api", ARN, 5)
    assert said == ["  ECS does not know the task 0123 yet: looking again"]


def test_a_task_is_missing_at_first_and_between_two_looks() -> None:
    ecs = Ecs(*[None] * 40, task("RUNNING"), None, task("RUNNING"), task("STOPPED", 3))
    finished = runner(ecs, Logs(["one"])).follow("c", "api", ARN, 100)
    assert (finished.stop.exit_code, finished.output) == (3, ["one"])


def test_start_gives_the_arn() -> None:
    assert runner(Ecs(), Logs()).start(WHAT) == ARN


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (error("AccessDenied"), "ECS would not run app:7: .*AccessDenied"),
        ({"tasks": [], "failures": [{"reason": "RESOURCE:ENI", "detail": "none"}]}, "RESOURCE:ENI none"),
        ({"tasks": [], "failures": []}, "no reason given"),
    ],
)
def test_what_ecs_would_not_run_is_said(answer: Any, said: str) -> None:
    ecs = Ecs()
    ecs.answer = answer
    with pytest.raises(TaskError, match=said):
        runner(ecs, Logs()).start(WHAT)


UNAVAILABLE = "Capacity is unavailable at this time. Please try again later or in a different availability zone"


@pytest.mark.parametrize(
    "refused",
    [
        {"tasks": [], "failures": [{"reason": "RESOURCE:FARGATE"}]},
        {"tasks": [], "failures": [{"reason": UNAVAILABLE}]},
        ClientError({"Error": {"Code": "ClientException", "Message": UNAVAILABLE}}, "RunTask"),
    ],
)
@pytest.mark.parametrize(("times", "starts"), [(3, True), (4, False)])
def test_without_capacity_ecs_is_asked_again_within_a_bound(refused: Any, times: int, starts: bool) -> None:
    ecs, said = Ecs(), list[str]()
    started, answers = ecs.answer, iter([refused] * times)

    def run_task(**request: Any) -> Any:
        ecs.answer = next(answers, started)
        return Ecs.run_task(ecs, **request)

    ecs.run_task = run_task  # type: ignore[method-assign]
    if starts:
        assert runner(ecs, Logs(), said).start(WHAT) == ARN
    else:
        with pytest.raises(TaskError, match=r"ECS would not run app:7: .*(RESOURCE:FARGATE|Capacity is unavailable)"):
            runner(ecs, Logs(), said).start(WHAT)
    assert len(ecs.requests) == 4
    assert len(said) == 3


def test_another_refusal_is_not_asked_again() -> None:
    ecs = Ecs()
    ecs.answer = error("AccessDenied")
    with pytest.raises(TaskError):
        runner(ecs, Logs()).start(WHAT)
    assert len(ecs.requests) == 1


def test_what_was_started_by_a_flow_is_listed_by_that_alone() -> None:
    """ECS accepts no other filter beside `startedBy`; the local cloud has this rule."""
    asked: list[dict[str, Any]] = []

    class Listing(Ecs):
        def get_paginator(self, _: str) -> Any:
            return self

        def paginate(self, **request: Any) -> Any:
            asked.append(request)
            yield {"taskArns": [ARN]}

    assert runner(Listing(), Logs()).left_running(WHAT) == [ARN]
    assert [refusal(request) for request in asked] == [""]
    assert refusal({"startedBy": "me", "desiredStatus": "RUNNING"})


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_log_that_cannot_be_read_fails_no_task_that_is_over(code: str) -> None:
    class Failing(Logs):
        def get_log_events(self, **request: Any) -> dict[str, Any]:
            self.seen += 1
            if self.seen > 2:
                raise error(code)
            return super().get_log_events(**request)

    said: list[str] = []
    finished = runner(Ecs(task("STOPPED", 0)), Failing(["one"]), said).follow("c", "api", ARN, 60)
    assert (finished.stop.exit_code, finished.output) == (0, ["one"])
    assert any(code in line for line in said)


def test_a_throttled_read_of_a_finished_task_is_not_the_end_of_its_log() -> None:
    reads = iter(["one", error("ThrottlingException"), "two"])

    class Late(Logs):
        def get_log_events(self, **_: Any) -> dict[str, Any]:
            self.seen += 1
            if self.seen % 2 == 0:  # the same token again means the end for now
                return {"events": [], "nextForwardToken": str(self.seen - 1)}
            read = next(reads, None)
            if isinstance(read, Exception):
                self.seen -= 1
                raise read
            events = [{"message": read}] if read else []
            return {"events": events, "nextForwardToken": str(self.seen)}

    assert runner(Ecs(task("STOPPED", 0)), Late()).follow("c", "api", ARN, 60).output == ["one", "two"]


def test_lines_read_before_a_throttled_page_are_not_lost() -> None:
    reader = LogReader(Logs(["one"], error("ThrottlingException"), ["two"]), STREAM)
    with pytest.raises(ClientError):
        reader.new_lines()
    assert reader.new_lines() == ["one", "two"]


def test_a_container_that_never_started_has_no_exit_code() -> None:
    stopped = task("STOPPED", 0, stopCode="TaskFailedToStart", stoppedReason="CannotPullContainerError")
    stopped["containers"][0]["reason"] = "no such image"
    stopped["availabilityZone"] = "ap-northeast-2a"
    assert str(how_stopped(stopped, "api")) == "never started; CannotPullContainerError; no such image"
    assert how_stopped(stopped, "other").exit_code is None
    assert how_stopped(stopped, "api").zone == "ap-northeast-2a"


def test_the_stream_of_a_container() -> None:
    assert log_stream(DEFINITION, "api", ARN) == STREAM
    assert log_stream(DEFINITION, "sidecar", ARN) is None


def test_without_a_stream_there_are_no_lines() -> None:
    assert LogReader(Logs(["one"]), None).new_lines() == []
    assert tail(Logs(["one"]), None, 5) == []


def test_the_tail_of_a_stream() -> None:
    assert tail(Logs(["one", "two"]), STREAM, 1) == ["two"]
    assert tail(Logs(error("ResourceNotFoundException")), STREAM, 1) == []
    with pytest.raises(ClientError):
        tail(Logs(error("AccessDenied")), STREAM, 1)
    with pytest.raises(ClientError):
        LogReader(Logs(error("AccessDenied")), STREAM).new_lines()


def test_many_tasks_are_described_in_few_calls() -> None:
    calls: list[int] = []

    class Many:
        def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
            calls.append(len(tasks))
            return {"tasks": [{"taskArn": arn} for arn in tasks]}

    assert len(describe_tasks(Many(), "c", [str(number) for number in range(250)])) == 250
    assert calls == [100, 100, 50]


def running(name: str, started: int, revision: str = "r") -> dict[str, Any]:
    return {"taskArn": name, "lastStatus": "RUNNING", "startedAt": started, "taskDefinitionArn": revision}


def test_a_shell_opens_in_the_newest_task_that_serves() -> None:
    tasks = [running("a", 1), running("b", 2), running("old", 3, "other"), {"taskArn": "c", "lastStatus": "PENDING"}]
    assert newest_running(tasks, "r")["taskArn"] == "b"
    assert newest_running(tasks, "unknown")["taskArn"] == "old"
    with pytest.raises(ShellError, match="no task is running"):
        newest_running([], "r")


EXEC = "aws ecs execute-command --task {task_arn}"


def with_agent(*agents: dict[str, Any], enabled: bool = True) -> dict[str, Any]:
    containers = [{"name": "sidecar", "managedAgents": []}, {"name": "api", "managedAgents": list(agents)}]
    return running("arn:task/c/77", 1) | {"enableExecuteCommand": enabled, "containers": containers}


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (with_agent(enabled=False), "task 77 was started without ECS Exec.*app_execute_command: true"),
        (with_agent(), "has not started yet .PENDING.. Next: repeat"),
        (
            with_agent({"name": "ExecuteCommandAgent", "lastStatus": "STOPPED", "reason": "no folder"}),
            "does not run .STOPPED: no folder.*Next: make release",
        ),
    ],
)
def test_a_task_in_which_ecs_exec_cannot_work_is_refused(task: dict[str, Any], words: str) -> None:
    with pytest.raises(ShellError, match=words):
        require_execute_command(EXEC, task, "api")
    require_execute_command("docker exec {task_arn} sh", task, "api")


def test_a_running_agent_is_enough() -> None:
    require_execute_command(EXEC, with_agent({"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}), "api")


def test_the_script_replaces_itself_by_the_command(tmp_path: Path) -> None:
    path = tmp_path / "shell.sh"
    path.write_text(script("  echo {task_arn} in {region} \n", {"task_arn": "arn", "region": "here"}))
    done = subprocess.run(["sh", str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "arn in here\n"


def test_the_script_says_which_program_is_not_installed(tmp_path: Path) -> None:
    path = tmp_path / "shell.sh"
    path.write_text(script("no-such-program exec {task_arn}", {"task_arn": "arn"}))
    done = subprocess.run(["sh", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert "no-such-program is not installed" in done.stderr
    assert "Next: install no-such-program" in done.stderr


@pytest.mark.parametrize("template", ["{mood}", "{", "{0}"])
def test_an_unknown_placeholder_is_named(template: str) -> None:
    with pytest.raises(ShellError, match="may name region, task_arn in braces"):
        script(template, {"task_arn": "arn", "region": "here"})


def test_waiting_ends_with_the_playbook() -> None:
    sleep_with_parent()(0)
    with pytest.raises(Orphaned):
        sleep_with_parent(parent=-1)(0)


def test_an_orphan_runs_no_error_path() -> None:
    """After ``kill -9`` of ansible-playbook, the child must end, and not by its ``except Exception``."""
    repository = Path(__file__).parents[3]
    child = (
        "import os, sys\nfrom fargate_ops.plugin.worker import sleep_with_parent\n"
        "sleep = sleep_with_parent()\nprint('waiting', flush=True)\n"
        "try:\n    [sleep(0.05) for _ in range(400)]\nexcept Exception:\n    print('error path', flush=True)\n"
    )
    parent = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(60)\n"
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.kill()
        # The pipe closes when the child, its last writer, is gone.
        assert process.stdout.read() == ""


def test_a_look_that_fails_for_a_moment_fails_no_task() -> None:
    ecs = Ecs(task("RUNNING"), error("ThrottlingException"), task("RUNNING"), task("STOPPED", 0))
    said: list[str] = []
    logs = Logs(["first"], error("ThrottlingException"), ["second"])
    finished = runner(ecs, logs, said).follow("c", "api", ARN, 60)
    assert finished.stop.exit_code == 0
    assert finished.output[-1] == "second"
    assert any("ThrottlingException" in line for line in said)


def test_a_definition_that_is_not_answered_for_a_moment_fails_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    ecs = Ecs(task("RUNNING"), task("RUNNING"), task("STOPPED", 0))
    describe = ecs.describe_task_definition

    def throttled(**_: Any) -> Any:
        monkeypatch.setattr(ecs, "describe_task_definition", describe)
        raise error("ThrottlingException")

    monkeypatch.setattr(ecs, "describe_task_definition", throttled)
    assert runner(ecs, Logs(["first"])).follow("c", "api", ARN, 60).output == ["first"]


def test_looks_that_are_refused_end_the_wait() -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        runner(Ecs(error("AccessDenied")), Logs()).follow("c", "api", ARN, 60)
