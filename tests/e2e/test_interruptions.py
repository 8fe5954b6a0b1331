"""Commands that are interrupted, and a release and a rollback under load, in one environment."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.conftest import PREFIX, Clone, limits, query, service
from tests.e2e.load import ACCOUNT, load
from tests.local_cloud.conftest import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def deployed(clone: Clone) -> None:
    """Deploy the application and add one row."""
    clone.make("deploy")
    account = clone.request("/v1/accounts", {"name": "Till 1", "currency": "KRW"})[1]
    body = {"account_id": account["id"], "amount": 1250, "currency": "KRW", "occurred_at": "2026-01-31T14:00:00Z"}
    assert clone.request("/v1/transactions", body, **{"Idempotency-Key": "e2e-1"})[0] == 201


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
def test_interrupted_anywhere_the_next_run_converges(clone: Clone, flow: str, phase: str, sent: signal.Signals) -> None:
    """The next run also deploys the commit and keeps the database's rows."""
    served = clone.request("/version")[1]["git_hash"]
    clone.commit("app/api/settlement/__init__.py", f"\n# {sent.name} in {phase}.\n")
    before = BEFORE[phase]
    with subprocess.Popen(
        clone.command(flow, "OUTPUT=ansible"),
        cwd=clone.path,
        env=clone.environment() | {"ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A process group of its own, like a terminal's foreground job. The shell may have started the tests with SIGINT
        # ignored.
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:
        assert run.stdout
        seen = []
        for line in run.stdout:
            seen.append(line)
            if before in line:
                break
        else:
            pytest.fail(f"the output never contained {before!r}:\n" + "".join(seen[-50:]))
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
    assert clone.version() != served
    clone.make(flow)
    assert clone.request("/version")[1]["git_hash"] == (served if flow == "infra" else clone.version())
    assert service(clone)["runningCount"] == service(clone)["desiredCount"]
    assert query(clone, "SELECT count(*) FROM transactions") == [(1,)]


def test_a_release_a_rollback_and_the_end_of_a_task_lose_no_request(
    clone: Clone, record_property: Callable[[str, object], None]
) -> None:
    ecs = clone.aws("ecs")
    ecs.update_service(cluster=PREFIX, service=PREFIX, desiredCount=3)
    wait_for(lambda: service(clone)["runningCount"] == 3)
    offered = 240
    with load(per_second=offered, slow=8) as report:
        clone.make("release", app_memory=1024)
        assert service(clone)["desiredCount"] == 3, "the number of tasks is auto scaling's"
        rollback = clone.make("rollback")
        assert service(clone)["desiredCount"] == 3
        (first, *_) = ecs.list_tasks(cluster=PREFIX, serviceName=PREFIX)["taskArns"]
        ecs.stop_task(cluster=PREFIX, task=first, reason="the test")
        stopped = lambda: ecs.describe_tasks(cluster=PREFIX, tasks=[first])["tasks"][0]["lastStatus"] == "STOPPED"  # noqa: E731
        wait_for(lambda: stopped() and service(clone)["runningCount"] == 3)
    record_property("load", f"{report.total} requests in {report.seconds:.0f} s, {report.lost} lost")
    # A busy machine reaches less than the offered load. Below a tenth of it, the test would prove nothing.
    assert report.total / report.seconds >= offered / 10
    assert report.tallies[ACCOUNT.name].answered > 0
    assert rollback.recap()["changed"] == 1
    assert limits(clone) == (2, 4)
    ecs.update_service(cluster=PREFIX, service=PREFIX, desiredCount=2)
