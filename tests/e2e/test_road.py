"""The whole road, in the order in which a user walks it. Each step stands on the one before."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import PREFIX, Clone, containers, leftovers, query, service

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def set_limits(clone: Clone, least: int, most: int) -> None:
    clone.aws("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=f"service/{PREFIX}/{PREFIX}",
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=least,
        MaxCapacity=most,
    )


def test_check_mode_before_anything_exists(clone: Clone) -> None:
    run = clone.make("deploy", "CHECK=1")
    for phrase in (
        "local cloud",
        "would be made",
        "plan cannot be known yet",
        "would build",
        "what to update cannot be known yet",
        "would ask",
    ):
        assert phrase in run.output, phrase
    assert run.recap()["failed"] == 0
    assert not leftovers()


def test_deploy_puts_this_commit_behind_the_load_balancer(clone: Clone) -> None:
    run = clone.make("deploy")
    print(f"cold deploy: {run.seconds():.0f} s")
    status, version = clone.request("/version")
    assert status == 200
    assert version["git_hash"] == clone.version()
    images = clone.aws("ecr").describe_images(repositoryName="settlement")["imageDetails"]
    assert version["image_digest"] in {
        image["imageDigest"] for image in images if clone.version() in image["imageTags"]
    }
    assert clone.request("/readyz")[0] == 200


def test_what_is_posted_are_rows_in_the_database(clone: Clone) -> None:
    status, account = clone.request("/v1/accounts", {"name": "Till 1", "currency": "KRW"})
    assert status == 201
    body = {"account_id": account["id"], "amount": 1250, "currency": "KRW", "occurred_at": "2026-01-31T14:00:00Z"}
    assert clone.request("/v1/transactions", body, **{"Idempotency-Key": "e2e-1"})[0] == 201
    rows = query(clone, "SELECT account_id::text, amount FROM transactions")
    assert rows == [(str(account["id"]), 1250)]


def test_again_changes_nothing(clone: Clone) -> None:
    run = clone.make("deploy")
    print(f"deploy without a change: {run.seconds():.0f} s")
    assert run.recap()["changed"] == 0
    assert run.recap()["failed"] == 0
    # As a scheduled action moves them: the limits are not Terraform's.
    set_limits(clone, 1, 4)
    assert "no change" in clone.make("plan").output
    set_limits(clone, 2, 4)


def test_check_mode_afterwards_touches_nothing(clone: Clone) -> None:
    before = containers(), service(clone)["deployments"], query(clone, "SELECT count(*) FROM transactions")
    revisions = clone.aws("ecs").list_task_definitions()["taskDefinitionArns"]
    run = clone.make("deploy", "CHECK=1")
    assert run.recap()["changed"] == 0
    assert (containers(), service(clone)["deployments"], query(clone, "SELECT count(*) FROM transactions")) == before
    assert clone.aws("ecs").list_task_definitions()["taskDefinitionArns"] == revisions


def test_a_commit_of_documentation_releases_nothing(clone: Clone) -> None:
    clone.commit("README.md", "\nA sentence.\n")
    assert clone.make("deploy").recap()["changed"] == 0


def test_a_commit_of_the_app_rolls_to_it_and_keeps_the_rows(clone: Clone) -> None:
    old = clone.version()
    clone.commit("app/api/settlement/__init__.py", "\n# A change.\n")
    assert clone.version() != old
    clone.make("deploy")
    assert clone.request("/version")[1]["git_hash"] == clone.version()
    assert query(clone, "SELECT count(*) FROM transactions") == [(1,)]


def test_status_tells_what_runs(clone: Clone) -> None:
    output = clone.make("status").output
    assert clone.version() in output
    assert "succeeded" in output


def test_a_one_off_task_shows_output_and_exit_code(clone: Clone) -> None:
    assert "answer 42" in clone.make("run", "CMD=python -c 'print(\"answer\", 6 * 7)'").output
    assert "exit code 3" in clone.make("run", "CMD=python -c 'raise SystemExit(3)'", expect=2).output


def test_the_cost_report_answers_a_month_whose_answer_is_known(clone: Clone) -> None:
    drill = clone.make("drill", "DRILL=cost_surge")
    assert "VERDICT cost_surge: every promise was kept" in drill.output
    assert drill.recap()["changed"] == 0
    for settings in ([], ["CHECK=1"]):
        report = clone.make("cost-report", *settings)
        assert "cost report of" in report.output
        assert report.recap()["changed"] == 0
        assert report.seconds() < 60
    page = (clone.path / ".local/local/cost/report.html").read_text()
    assert "Compute Optimizer" in page


def test_exhausted_connections_are_resolved_by_the_playbook(clone: Clone) -> None:
    output = clone.make("drill", "DRILL=pool_exhaustion").output
    assert "VERDICT pool_exhaustion: every promise was kept" in output
    # Its promises: the server is full and the application refuses, the playbook names the case and ends the leaked
    # sessions alone, requests succeed within 10 s, a transaction that worked through it all commits.
    assert "kept    the leaked sessions are ended, and no other" in output


def test_deleted_rows_are_restored_beside_the_database_and_the_loss_is_said(clone: Clone) -> None:
    output = clone.make("drill", "DRILL=restore").output
    assert "VERDICT restore: every promise was kept" in output
    assert "kept    what is lost is said to the second, and true: 3 accounts" in output
    # It leaves all as it was, and says what could be restored next.
    run = clone.make("restore")
    assert run.recap()["changed"] == 0
    assert "the original serves" in run.output
    check = clone.make("restore", "CHECK=1", restore_time=re.findall(r"restore_time=(\S+Z)", run.output)[0])
    assert "would write database_restores.yml" in check.output
    assert "is before the first second" in clone.make("restore", restore_time="2020-01-01T00:00:00Z", expect=2).output
    assert not clone.git("status", "--porcelain")
    assert clone.make("deploy").recap()["changed"] == 0


def test_the_incident_playbook_looks_and_changes_nothing(clone: Clone) -> None:
    run = clone.make("incident-db")
    print(f"incident-db: {run.seconds():.0f} s")
    assert run.seconds() <= 60
    assert run.recap()["changed"] == 0
    assert "changed nothing" in run.output
    assert "! missing" not in run.output
    sessions = query(clone, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'settlement_app'")
    assert clone.make("incident-db", end_idle=True).recap()["changed"] == 0
    assert query(clone, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'settlement_app'") == sessions
    report = max((clone.path / ".local/local/incidents").glob("*.md")).read_text()
    assert "## Every session" in report
    assert "no task is started in check mode" in clone.make("incident-db", "CHECK=1").output


def test_passwords_are_nowhere(clone: Clone) -> None:
    secrets = clone.aws("secretsmanager")
    # The webhook, if somebody has put one, is an address: test_bots.py looks for it.
    names = [
        item["ARN"] for item in secrets.list_secrets()["SecretList"] if not item["Name"].endswith("/slack-webhook")
    ]
    passwords = {json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])["password"] for name in names}
    assert len(passwords) == 2, "the master's and the application's"

    s3 = clone.aws("s3")
    bucket = next(item["Name"] for item in s3.list_buckets()["Buckets"] if "terraform" in item["Name"])
    places = {f"output of run {number}": text for number, text in enumerate(clone.outputs)}
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        places[item["Key"]] = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode(errors="replace")
    for path in (clone.path / ".local").rglob("*"):
        # The emulator's own memory is AWS's side of the fence: Secrets Manager lives there.
        if path.is_file() and "cloud/state" not in str(path):
            places[str(path)] = path.read_text(errors="replace")
    ecs = clone.aws("ecs")
    for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
        places[arn] = json.dumps(ecs.describe_task_definition(taskDefinition=arn), default=str)
    logs = clone.aws("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        places[group["logGroupName"]] = "\n".join(event["message"] for event in events)
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            places[str(process)] = process.read_text(errors="replace")
        except OSError:
            continue
    found = [place for place, text in places.items() if any(password in text for password in passwords)]
    assert not found


#: The line before a task, by which one sees that the task begins; and the shortest flow that comes to it.
BEFORE = {
    "plan | Plan environment": ("Prepare the working folder of environment", "deploy"),
    "Build and push the image": ("image_build : Validating", "release"),
    "Update the service and watch": ("watching ", "release"),
}


@pytest.mark.parametrize(
    ("phase", "sent"),
    [
        *((phase, signal.SIGKILL) for phase in BEFORE),
        # Ctrl-C: Terraform ends what it does and gives its lock back; the wait for a rollout just ends.
        ("plan | Plan environment", signal.SIGINT),
        ("Update the service and watch", signal.SIGINT),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else value,
)
def test_interrupted_anywhere_the_next_run_converges(clone: Clone, phase: str, sent: signal.Signals) -> None:
    clone.commit("app/api/settlement/__init__.py", f"\n# {sent.name} in {phase}.\n")
    before, flow = BEFORE[phase]
    with subprocess.Popen(
        clone.command(flow),
        cwd=clone.path,
        env=clone.environment() | {"ANSIBLE_FORCE_COLOR": "0", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A process group of its own, as a terminal's foreground has; a shell may have started the tests deaf to SIGINT.
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
            pytest.fail("never came to it:\n" + "".join(seen[-50:]))
        os.killpg(run.pid, sent)
        try:
            # Not to the end of its output: what it started and left may hold the pipe for longer.
            assert run.wait(timeout=60) != 0
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            raise
    clone.make(flow)
    assert clone.request("/version")[1]["git_hash"] == clone.version()
    assert service(clone)["runningCount"] == service(clone)["desiredCount"]


def test_down_leaves_nothing(clone: Clone) -> None:
    clone.make("down")
    assert not leftovers()
    deadline = time.monotonic() + 10
    while processes := [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if _ours(entry, clone)]:
        assert time.monotonic() < deadline, processes
        time.sleep(0.1)


def _ours(entry: Path, clone: Clone) -> bool:
    try:
        return str(clone.path) in entry.read_text(errors="replace")
    except OSError:
        return False
