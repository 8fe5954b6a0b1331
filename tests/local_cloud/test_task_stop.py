"""The end of tasks: draining, SIGTERM and SIGKILL, exit codes and last log lines."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from local_cloud.ecs.tasks import DEFAULT_STOP_TIMEOUT_SECONDS
from tests.local_cloud.conftest import wait_for
from tests.local_cloud.services import StubService, address_of

pytestmark = pytest.mark.local_cloud


def stopped(service: StubService, arn: str) -> dict[str, Any] | None:
    task: dict[str, Any] = service.ecs.describe_tasks(cluster=service.cluster, tasks=[arn])["tasks"][0]
    return task if task["lastStatus"] == "STOPPED" else None


def status(service: StubService, arn: str) -> str:
    found: str = service.ecs.describe_tasks(cluster=service.cluster, tasks=[arn])["tasks"][0]["lastStatus"]
    return found


def run(service: StubService, **settings: Any) -> str:
    """Run one standalone task and wait until it runs or has ended."""
    answer = service.ecs.run_task(
        cluster=service.cluster,
        taskDefinition=service.register(**settings),
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    )
    arn: str = answer["tasks"][0]["taskArn"]
    wait_for(lambda: status(service, arn) in ("RUNNING", "STOPPED"))
    return arn


def wait_listening(service: StubService, arn: str) -> None:
    """Wait until the stub answers. Before that it has no handler for SIGTERM."""
    address = address_of(service.ecs.describe_tasks(cluster=service.cluster, tasks=[arn])["tasks"][0])

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((address, 8000)) == 0

    wait_for(listens)


def test_a_service_task_drains_first_and_finishes_what_it_has(make: Callable[..., StubService]) -> None:
    service = make(delay=6)
    service.create(service.register(), desired=1)
    service.wait_deployed()
    arn = service.tasks()[0]["taskArn"]
    address = next(iter(service.target_states()))
    answers: list[int] = []

    def ask() -> None:
        with urllib.request.urlopen(f"http://{address}:8000/slow/2", timeout=60) as answer:
            answers.append(answer.status)

    request = threading.Thread(target=ask)
    request.start()
    started = time.monotonic()
    answer = service.ecs.stop_task(cluster=service.cluster, task=arn, reason="a test")["task"]
    assert (answer["desiredStatus"], answer["lastStatus"]) == ("STOPPED", "DEACTIVATING")
    wait_for(lambda: service.target_states().get(address) == "draining")
    task = wait_for(lambda: stopped(service, arn))
    assert time.monotonic() - started >= 6
    request.join()
    assert answers == [200]
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "a test")
    assert task["containers"][0]["exitCode"] == 0
    service.wait(lambda now: now["runningCount"] == 1)  # and it is replaced


def test_a_task_that_ignores_sigterm_is_killed_after_its_stop_timeout(make: Callable[..., StubService]) -> None:
    service = make()
    arn = run(service, environment={"IGNORE_TERM": "1"}, definition={"stopTimeout": 2})
    started = time.monotonic()
    service.ecs.stop_task(cluster=service.cluster, task=arn)
    task = wait_for(lambda: stopped(service, arn))
    assert 2 <= time.monotonic() - started < DEFAULT_STOP_TIMEOUT_SECONDS
    assert task["containers"][0]["exitCode"] == 137


def test_the_exit_code_after_sigterm_is_the_container_s_own(make: Callable[..., StubService]) -> None:
    service = make()
    arn = run(service, environment={"EXIT_ON_TERM": "7"})
    wait_listening(service, arn)
    service.ecs.stop_task(cluster=service.cluster, task=arn)
    assert wait_for(lambda: stopped(service, arn))["containers"][0]["exitCode"] == 7
    wait_for(lambda: not service.cloud.containers(f"com.amazonaws.ecs.task-arn={arn}"))


def test_a_task_of_its_own_ends_with_its_exit_code_and_all_of_its_log(make: Callable[..., StubService]) -> None:
    service = make()
    logs = service.cloud.client("logs")
    logs.create_log_group(logGroupName=service.name)
    arn = run(
        service,
        definition={
            "command": ["sh", "-c", "for i in $(seq 500); do echo line $i; done; exit 4"],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": service.name,
                    "awslogs-region": service.cloud.config.region,
                    "awslogs-stream-prefix": "app",
                },
            },
        },
    )
    task = wait_for(lambda: stopped(service, arn))
    assert task["containers"][0]["exitCode"] == 4
    assert task["stoppedReason"] == "Essential container in task exited"

    def complete() -> bool:
        events = logs.get_log_events(logGroupName=service.name, logStreamName=f"app/app/{arn.rsplit('/')[-1]}")
        return [event["message"] for event in events["events"]] == [f"line {number}" for number in range(1, 501)]

    wait_for(complete)


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"command": ["/no/such/program"]}, "CannotStartContainerError"),
        (
            {
                "image": "localhost:1/none@sha256:" + "0" * 64,
                "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch"}],
            },
            "CannotPullContainerError",
        ),
    ],
)
def test_a_task_that_cannot_start_says_why(
    make: Callable[..., StubService], definition: dict[str, Any], reason: str
) -> None:
    service = make()
    arn = run(service, definition=definition, volumes=[{"name": "scratch"}])
    task = wait_for(lambda: stopped(service, arn))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(reason)


def test_a_task_out_of_memory_says_so(make: Callable[..., StubService]) -> None:
    service = make()
    arn = run(service, definition={"command": ["python3", "-c", "x = bytearray(10**9)"], "memory": 64})
    container = wait_for(lambda: stopped(service, arn))["containers"][0]
    assert container["exitCode"] == 137
    assert container["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def test_scaling_in_drains_and_zero_leaves_nothing(make: Callable[..., StubService]) -> None:
    service = make()
    service.create(service.register(), desired=2)
    service.wait_deployed()
    service.update(desiredCount=1)
    wait_for(lambda: list(service.target_states().values()) == ["healthy"])
    assert any("has begun draining" in event["message"] for event in service.describe()["events"])
    service.update(desiredCount=0)
    wait_for(lambda: not service.target_states())
    service.wait(lambda now: (now["runningCount"], now["pendingCount"], now["desiredCount"]) == (0, 0, 0))
    assert len(service.describe()["deployments"]) == 1
