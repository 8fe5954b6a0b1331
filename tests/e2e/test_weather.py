"""Releases and rollbacks in bad weather: reads lag writes, calls are throttled, new tasks are missing, health is late.

One environment, deployed in calm weather. Then the local cloud is started again with a seed of bad weather, and under
load come a release, a rollback, a release that fails, and the death of one that is watched. ``WEATHER_SEEDS`` names
other seeds, in a row: ``WEATHER_SEEDS="1 2 3"``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from fargate_ops.state.ledger import Kind, Outcome
from tests.e2e.conftest import API_PORT, PREFIX, Clone, drain_for
from tests.e2e.load import load
from tests.e2e.test_release import EXITS, ledger, running, until
from tests.local_cloud.conftest import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

SEEDS = [int(seed) for seed in os.environ.get("WEATHER_SEEDS", "3").split()]
#: The ways to fail, which take turns from seed to seed: during the rollout, by its end, and after it.
FAILING: list[dict[str, Any]] = [
    {"app_environment": EXITS},
    {"ecs_release_environment": {"DATABASE_NAME": "nowhere"}},
    {"ecs_release_environment": {"GIT_HASH": "another"}},
]


def truth() -> dict[str, Any]:
    """The service as it is: the cloud's own parts have no weather, and its account's number is their key."""
    ecs = boto3.client(
        "ecs",
        endpoint_url=f"http://127.0.0.1:{API_PORT}",
        region_name="ap-northeast-2",
        aws_access_key_id="000000000000",
        aws_secret_access_key="test",
    )
    found: dict[str, Any] = ecs.describe_services(cluster=PREFIX, services=[PREFIX])["services"][0]
    return found


def serves(clone: Clone) -> str:
    """The revision that serves alone, with all its tasks: by ECS, by what answers and by ``make status``."""
    service = truth()
    (deployment,) = service["deployments"]
    assert deployment["rolloutState"] == "COMPLETED"
    assert service["runningCount"] == service["desiredCount"]
    revision = str(service["taskDefinition"])
    answers = {clone.request("/version")[1]["task_definition_revision"] for _ in range(6)}
    assert answers == {int(revision.rpartition(":")[2])}
    clone.make("status", "FORMAT=json")
    status = json.loads((clone.path / ".local/local/status.json").read_text())
    assert status["revision"] == revision.rpartition("/")[2]
    assert status["lock"] is None
    assert {task["revision"] for task in status["tasks"] if task["status"] == "RUNNING"} == {status["revision"]}
    return revision


def has_recovered(clone: Clone) -> bool:
    """Whether the cloud that was started again serves."""
    service = truth()
    try:
        answers = [clone.request("/readyz")[0] for _ in range(10)]
    except OSError:
        return False
    return service["runningCount"] == service["desiredCount"] == 2 and set(answers) == {200}


@pytest.fixture(scope="module")
def calm(clone: Clone) -> Clone:
    clone.variables["app_health_check_grace_period_seconds"] = 20
    clone.make("deploy")
    drain_for(clone, 1)
    return clone


@pytest.fixture(scope="module", params=SEEDS)
def seed(request: pytest.FixtureRequest, calm: Clone) -> int:
    calm.variables["local_cloud_weather"] = request.param
    assert "restart, its settings changed" in calm.make("up").output
    wait_for(lambda: has_recovered(calm), seconds=120, what="the service to serve again")
    return int(request.param)


def test_a_good_release_serves(clone: Clone, seed: int) -> None:
    before = truth()["taskDefinition"]
    with load():
        clone.make("release", app_environment={"WEATHER": f"good {seed}"})
    newest = ledger(clone)[-1]
    assert (newest.revision, newest.outcome) == (serves(clone), Outcome.SUCCEEDED)
    assert newest.revision != before


def test_a_rollback_lands_where_status_said(clone: Clone, seed: int) -> None:
    undone = truth()["taskDefinition"]
    (said,) = re.findall(r"rollback to +\S+ \((\S+)\)", clone.make("status").output)
    with load():
        assert clone.make("rollback").recap()["changed"] == 1
    assert serves(clone).endswith(f"/{said}")
    release, rollback = ledger(clone)[-2:]
    assert (release.revision, release.outcome) == (undone, Outcome.ROLLED_BACK)
    assert (rollback.kind, rollback.outcome) == (Kind.ROLLBACK, Outcome.SUCCEEDED)


def test_a_release_that_fails_is_undone(clone: Clone, seed: int) -> None:
    before = truth()["taskDefinition"]
    with load():
        run = clone.make("release", expect=2, **FAILING[seed % len(FAILING)])
    assert "the release failed, for the reason above" in run.output
    assert serves(clone) == before
    newest = ledger(clone)[-1]
    assert newest.outcome is Outcome.FAILED
    assert newest.revision != before


def die(process: subprocess.Popen[str], clone: Clone) -> None:
    """As with a machine that loses its power: the flow is gone, and so is the process that renews its lock."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            renews = b"fargate_ops.state.heartbeat" in (entry / "cmdline").read_bytes()
            if renews and (entry / "cwd").resolve() == (clone.path / "src").resolve():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # gone meanwhile
            continue
    os.killpg(process.pid, signal.SIGKILL)


def taken_up(clone: Clone, before: str, killed: dict[str, Any]) -> None:
    """The same command goes on where the dead one was."""
    run = clone.make("release", **killed)
    assert "Took over the lock of a flow that died" in run.output
    newest = ledger(clone)[-1]
    assert serves(clone) == newest.revision != before
    assert newest.outcome is Outcome.SUCCEEDED


def undone(clone: Clone, before: str, killed: dict[str, Any]) -> None:
    """A rollback undoes what the dead one began, and nothing before it."""
    run = clone.make("rollback")
    assert "Took over the lock of a flow that died" in run.output
    assert serves(clone) == before
    release, rollback = ledger(clone)[-2:]
    assert (release.kind, release.outcome) == (Kind.RELEASE, Outcome.ROLLED_BACK)
    assert (rollback.kind, rollback.outcome) == (Kind.ROLLBACK, Outcome.SUCCEEDED)


TAKEOVERS: list[Callable[[Clone, str, dict[str, Any]], None]] = [taken_up, undone]


def test_a_release_that_died_in_the_watch_is_taken_over(clone: Clone, seed: int) -> None:
    before = truth()["taskDefinition"]
    killed = {"app_environment": {"WEATHER": f"killed {seed}"}}
    with load():
        with running(clone, "release", **killed) as run:
            until(run, "watching ")
            die(run, clone)
        TAKEOVERS[seed % len(TAKEOVERS)](clone, before, killed)
