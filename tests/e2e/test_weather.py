"""Commands that are interrupted; then releases and rollbacks with AWS's delays and errors.

One environment is deployed without these errors, and commands on it are killed or stopped with Ctrl-C. Then the local
cloud restarts with a seed of stale reads, throttling, missing new tasks and late health (`local_cloud_weather`). Under
load come a release, a rollback, a failing release, and a release that is killed while it watches its rollout.
``WEATHER_SEEDS="1 2 3"`` runs these seeds one after the other.
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
from tests.e2e.conftest import API_PORT, PREFIX, Clone, drain_for, follow_cpu, query, service
from tests.e2e.load import load
from tests.e2e.test_release import EXITS, ledger, read_until, running
from tests.local_cloud.conftest import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

SEEDS = [int(seed) for seed in os.environ.get("WEATHER_SEEDS", "3").split()]
#: Ways to fail during the rollout, at its end, and after it. The seed chooses one.
FAILING: list[dict[str, Any]] = [
    {"app_environment": EXITS},
    {"ecs_release_environment": {"DATABASE_NAME": "nowhere"}},
    {"ecs_release_environment": {"GIT_HASH": "another"}},
]


def actual_service() -> dict[str, Any]:
    """Return the service's true state. Calls with the local cloud's own key, the account number, are undisturbed."""
    ecs = boto3.client(
        "ecs",
        endpoint_url=f"http://127.0.0.1:{API_PORT}",
        region_name="ap-northeast-2",
        aws_access_key_id="000000000000",
        aws_secret_access_key="test",
    )
    found: dict[str, Any] = ecs.describe_services(cluster=PREFIX, services=[PREFIX])["services"][0]
    return found


def only_revision(clone: Clone) -> str:
    """Return the only running revision. ECS, the application and ``make status`` must agree on it."""
    service = actual_service()
    (deployment,) = service["deployments"]
    assert deployment["rolloutState"] == "COMPLETED"
    assert service["runningCount"] == service["desiredCount"]
    revision = str(service["taskDefinition"])
    revisions = {clone.request("/version")[1]["task_definition_revision"] for _ in range(6)}
    assert revisions == {int(revision.rpartition(":")[2])}
    clone.make("status", "FORMAT=json")
    status = json.loads((clone.path / ".local/local/status.json").read_text())
    assert status["revision"] == revision.rpartition("/")[2]
    assert status["lock"] is None
    assert {task["revision"] for task in status["tasks"] if task["status"] == "RUNNING"} == {status["revision"]}
    return revision


def has_recovered(clone: Clone) -> bool:
    """Return whether the service works again after the local cloud's restart."""
    service = actual_service()
    try:
        statuses = [clone.request("/readyz")[0] for _ in range(10)]
    except OSError:
        return False
    return service["runningCount"] == service["desiredCount"] == 2 and set(statuses) == {200}


@pytest.fixture(scope="module")
def deployed(clone: Clone) -> Clone:
    clone.variables["app_health_check_grace_period_seconds"] = 20
    clone.make("deploy")
    account = clone.request("/v1/accounts", {"name": "Till 1", "currency": "KRW"})[1]
    body = {"account_id": account["id"], "amount": 1250, "currency": "KRW", "occurred_at": "2026-01-31T14:00:00Z"}
    assert clone.request("/v1/transactions", body, **{"Idempotency-Key": "e2e-1"})[0] == 201
    follow_cpu(False)
    return clone


@pytest.fixture(scope="module", params=SEEDS)
def seed(request: pytest.FixtureRequest, deployed: Clone) -> int:
    drain_for(deployed, 1)
    deployed.variables["local_cloud_weather"] = request.param
    assert "restart, its settings changed" in deployed.make("up").output
    wait_for(lambda: has_recovered(deployed), what="the service works again")
    return int(request.param)


#: For each task, the output that shows that the task is about to start.
BEFORE = {
    "plan | Plan environment": "Prepare the working folder of environment",
    "Build and push the image": "image_build : Validating",
    "Update the service and watch": "watching ",
}


@pytest.mark.parametrize(
    ("flow", "phase", "sent"),
    [
        ("deploy", "plan | Plan environment", signal.SIGKILL),
        ("release", "Build and push the image", signal.SIGKILL),
        ("release", "Update the service and watch", signal.SIGKILL),
        # Ctrl-C: Terraform finishes its current operations and releases its lock; the wait for a rollout just ends.
        ("infra", "plan | Plan environment", signal.SIGINT),
        ("release", "Update the service and watch", signal.SIGINT),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else value,
)
def test_interrupted_anywhere_the_next_run_converges(
    deployed: Clone, flow: str, phase: str, sent: signal.Signals
) -> None:
    """The next run also deploys the commit and keeps the database's rows."""
    served = deployed.request("/version")[1]["git_hash"]
    deployed.commit("app/api/settlement/__init__.py", f"\n# {sent.name} in {phase}.\n")
    with subprocess.Popen(
        deployed.command(flow, "OUTPUT=ansible"),
        cwd=deployed.path,
        env=deployed.environment() | {"ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A process group of its own, like a terminal's foreground job. The shell may have started the tests with SIGINT
        # ignored.
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:
        read_until(run, BEFORE[phase])
        # A person presses Ctrl-C again. Ansible can wait forever for a worker that it ended while that held a lock.
        for _ in range(6):
            os.killpg(run.pid, sent)
            try:
                # Do not read to the end of the output: processes that it left behind may hold the pipe longer.
                assert run.wait(timeout=60) != 0
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            os.killpg(run.pid, signal.SIGKILL)
            pytest.fail(f"{flow} did not end after {sent.name}")
    assert deployed.version() != served
    deployed.make(flow)
    assert deployed.request("/version")[1]["git_hash"] == (served if flow == "infra" else deployed.version())
    assert service(deployed)["runningCount"] == service(deployed)["desiredCount"]
    assert query(deployed, "SELECT count(*) FROM transactions") == [(1,)]


def test_a_good_release_serves(clone: Clone, seed: int) -> None:
    before = actual_service()["taskDefinition"]
    with load():
        clone.make("release", app_environment={"WEATHER": f"good {seed}"})
    newest = ledger(clone)[-1]
    assert (newest.revision, newest.outcome) == (only_revision(clone), Outcome.SUCCEEDED)
    assert newest.revision != before


def test_a_rollback_lands_where_status_said(clone: Clone, seed: int) -> None:
    undone = actual_service()["taskDefinition"]
    (said,) = re.findall(r"rollback to +\S+ \((\S+)\)", clone.make("status").output)
    with load():
        assert clone.make("rollback").recap()["changed"] == 1
    assert only_revision(clone).endswith(f"/{said}")
    release, rollback = ledger(clone)[-2:]
    assert (release.revision, release.outcome) == (undone, Outcome.ROLLED_BACK)
    assert (rollback.kind, rollback.outcome) == (Kind.ROLLBACK, Outcome.SUCCEEDED)


def test_a_release_that_fails_is_undone(clone: Clone, seed: int) -> None:
    before = actual_service()["taskDefinition"]
    with load():
        run = clone.make("release", expect=2, **FAILING[seed % len(FAILING)])
    assert clone.outcome()["kind"] == "failed_and_undone", run.screen
    assert only_revision(clone) == before
    newest = ledger(clone)[-1]
    assert newest.outcome is Outcome.FAILED
    assert newest.revision != before


def kill_flow(process: subprocess.Popen[str], clone: Clone) -> None:
    """Kill the command and the process that renews its lock, as if the machine lost power."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            renews = b"fargate_ops.state.heartbeat" in (entry / "cmdline").read_bytes()
            if renews and (entry / "cwd").resolve() == (clone.path / "src").resolve():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # the process has ended meanwhile
            continue
    os.killpg(process.pid, signal.SIGKILL)


def resumes(clone: Clone, before: str, killed: dict[str, Any]) -> None:
    """Check that the same command finishes the killed release."""
    run = clone.make("release", **killed)
    assert "Took over the lock of a flow that died" in run.output
    newest = ledger(clone)[-1]
    assert only_revision(clone) == newest.revision != before
    assert newest.outcome is Outcome.SUCCEEDED


def rolls_back(clone: Clone, before: str, killed: dict[str, Any]) -> None:
    """Check that a rollback undoes only the killed release."""
    run = clone.make("rollback")
    assert "Took over the lock of a flow that died" in run.output
    assert only_revision(clone) == before
    release, rollback = ledger(clone)[-2:]
    assert (release.kind, release.outcome) == (Kind.RELEASE, Outcome.ROLLED_BACK)
    assert (rollback.kind, rollback.outcome) == (Kind.ROLLBACK, Outcome.SUCCEEDED)


TAKEOVERS: list[Callable[[Clone, str, dict[str, Any]], None]] = [resumes, rolls_back]


def test_a_release_that_died_in_the_watch_is_taken_over(clone: Clone, seed: int) -> None:
    before = actual_service()["taskDefinition"]
    killed = {"app_environment": {"WEATHER": f"killed {seed}"}}
    with load():
        with running(clone, "release", **killed) as run:
            read_until(run, "watching ")
            kill_flow(run, clone)
        TAKEOVERS[seed % len(TAKEOVERS)](clone, before, killed)
