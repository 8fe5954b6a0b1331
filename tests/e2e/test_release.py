"""Failing releases, and rollbacks: no request is lost, and no failure is reported as a success.

All tests share one environment. Each depends on those before it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from fargate_ops.drill.load import Request
from fargate_ops.state.ledger import Ledger, Outcome, Release
from tests.bench import flows
from tests.bench.measure import Row
from tests.e2e.conftest import (
    PREFIX,
    Clone,
    Run,
    alarm_states,
    causes,
    drain_for,
    follow_cpu,
    minutes_of,
    service,
    wait_until,
)
from tests.e2e.console import Watch, watched
from tests.e2e.load import VERSION, load
from tests.local_cloud.conftest import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

BUCKET = "settlement-terraform-000000000000-ap-northeast-2"
#: Settings that the application refuses: its process exits at start.
EXITS = {"APP_ENVIRONMENT": "local", "DATABASE_POOL_RECYCLE_SECONDS": "-1"}


#: Broken settings that status and rollback do not need.
BROKEN = dict.fromkeys(
    ("app_environment", "app_secrets", "app_min_tasks", "database_max_connections", "network_availability_zones"),
    "{{ nowhere }}",
)


def ledger(clone: Clone) -> list[Release]:
    return Ledger(clone.aws("s3"), BUCKET, "local").releases()


@contextmanager
def running(clone: Clone, target: str, **variables: Any) -> Iterator[subprocess.Popen[str]]:
    """Run ``make target`` in the background, in its own process group. It prints each line at once."""
    with subprocess.Popen(
        clone.command(target, "OUTPUT=ansible", **variables),
        cwd=clone.path,
        env=clone.environment() | {"ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return the output up to a line with these words."""
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return "".join(seen)
    pytest.fail(f"the output never contained {words!r}:\n" + "".join(seen[-50:]))


def finish(process: subprocess.Popen[str]) -> Run:
    """Wait for the process to end; return its exit code and the rest of its output."""
    output, _ = process.communicate()
    return Run(process.returncode, output)


@contextmanager
def paused(process: subprocess.Popen[str]) -> Iterator[None]:
    """Pause the process group. What it has already triggered in the cloud continues."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def assert_ended(clone: Clone, run: Run, kind: str) -> None:
    """Check how the command ended, on the screen and for programs."""
    run.assert_fails_in_words()
    outcome = clone.outcome()
    assert outcome["kind"] == kind, outcome
    assert all(outcome[name] for name in ("what", "where", "cause", "serves", "next")), outcome


def assert_prints(run: Run, words: str) -> None:
    assert words in run.output, run.output[-8000:]


@pytest.fixture(scope="module")
def page(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """The console of the deployed environment in a browser."""
    with watched(clone, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_a_first_release_that_fails_leaves_zero_tasks_and_says_so(clone: Clone) -> None:
    clone.variables["app_health_check_grace_period_seconds"] = 20
    run = clone.make("deploy", expect=2, app_environment=EXITS)
    assert_prints(run, "This was the first release: there is nothing to return to. The service has zero tasks again.")
    assert_prints(run, "database_pool_recycle_seconds")
    assert_ended(clone, run, "failed")
    assert service(clone)["desiredCount"] == 0
    refused = clone.make("rollback", expect=2)
    assert_prints(refused, "No release has ever succeeded here")
    assert_ended(clone, refused, "refused")


def test_the_next_good_release_serves(clone: Clone) -> None:
    run = clone.make("release")
    assert len(run.screen.splitlines()) <= 40, run.screen
    assert clone.request("/version")[1]["git_hash"] == clone.version()
    outcome = clone.outcome()
    assert (outcome["kind"], outcome["facts"]["version"]) == ("done", clone.version())
    end = "\n".join(run.screen.splitlines()[-10:])
    for said in (outcome["what"], outcome["serves"], *outcome["facts"].values(), outcome["next"]):
        assert said in end, run.screen
    assert [release.outcome for release in ledger(clone)] == [Outcome.FAILED, Outcome.SUCCEEDED]
    run.assert_looks_like("release")
    assert causes(clone) == [], "the release before has failed, and this one has succeeded since"


def test_nothing_is_claimed_of_a_healthy_environment(clone: Clone) -> None:
    seconds = []
    with load(per_second=20):
        for _ in range(3):
            run = clone.make("incident")
            ended = clone.outcome()
            assert ended["what"].startswith("nothing found; looked at: the service, tasks, "), run.output
            assert "not read" not in ended["facts"]
            assert run.recap()["changed"] == 0
            seconds.append(run.seconds())
    print(f"incident: {seconds} s")
    assert min(seconds) <= 15, "something else may slow down one of them"


def test_a_task_reaches_its_database_and_no_other_task(clone: Clone) -> None:
    """The security groups that Terraform made are enforced."""
    ecs = clone.aws("ecs")
    arns = ecs.list_tasks(cluster=PREFIX, serviceName=PREFIX)["taskArns"]
    task, other = ecs.describe_tasks(cluster=PREFIX, tasks=arns)["tasks"][:2]
    details = {item["name"]: item["value"] for item in other["attachments"][0]["details"]}
    (instance,) = clone.aws("rds").describe_db_instances()["DBInstances"]
    program = (
        "import socket, sys\n"
        "for port, host in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    try:\n"
        "        socket.create_connection((host, int(port)), timeout=3).close()\n"
        "    except TimeoutError:\n"
        "        print('dropped')\n"
        "    else:\n"
        "        print('open')\n"
    )
    targets = ("5432", instance["Endpoint"]["Address"], "8000", details["privateIPv4Address"])
    within = ("docker", "exec", task["containers"][0]["runtimeId"], "python3", "-c", program, *targets)
    assert subprocess.run(within, capture_output=True, text=True, check=True).stdout.split() == ["open", "dropped"]


def test_what_was_rolled_back_comes_back_by_insistence_only(clone: Clone, page: Watch) -> None:
    drain_for(clone, 30)  # the page reads the service every ten seconds
    with page.sees("release", "#rollout", "in progress", "New: ", "Old: ", "healthy"):
        clone.make("release", app_memory=1024)
    drain_for(clone, 10)
    page.wait("#serving .version", ledger(clone)[-1].name)
    page.wait("#ledger tbody tr", "succeeded", ledger(clone)[-1].name)
    rollback = clone.make("rollback")
    assert rollback.recap()["changed"] == 1
    rollback.assert_looks_like("rollback")
    refused = clone.make("release", expect=2, app_memory=1024)
    assert_prints(refused, "is not released again")
    assert_prints(refused, "-e ecs_release_allow_rolled_back=true")
    assert_ended(clone, refused, "refused")
    clone.make("release", app_memory=1024, ecs_release_allow_rolled_back=True)
    clone.variables["app_memory"] = 1024
    assert ledger(clone)[-1].outcome is Outcome.SUCCEEDED


SECRETS = {"DATABASE_USER": "username", "DATABASE_PASSWORD": "password"}


def test_a_failing_release_is_watched_on_the_page(clone: Clone, page: Watch) -> None:
    with page.sees("failing-release", "#rollout .lead", "failed and rolled back"):
        run = fails_and_is_undone(clone, "exit code", app_environment=EXITS)
    run.assert_looks_like("failing-release")
    page.wait("#serving", f"{ledger(clone)[-2].name}serves since")
    page.wait("#ledger tbody tr", "failed", ledger(clone)[-1].name)
    if page.tab is None:
        pytest.skip("no Chromium on this machine, so nobody looked at the page")


@pytest.mark.parametrize(
    ("variables", "cause", "incident"),
    [
        pytest.param(
            {"ecs_release_environment": {"DATABASE_NAME": "nowhere"}},
            "health checks",
            ["bad release"],
            id="never healthy",
        ),
        pytest.param(
            {"app_secrets": SECRETS | {"DATABASE_PASSWORD": "username"}},
            "password authentication failed",
            ["wrong secret", "bad release"],
            id="password",
        ),
        pytest.param(
            {"ecs_release_environment": {"GIT_HASH": "another"}}, "exposed for at most", [], id="wrong version"
        ),
        pytest.param(
            {"app_secrets": SECRETS | {"EXTRA": "nothing"}, "ecs_release_checks_enabled": False},
            "nothing",
            ["wrong secret", "bad release"],
            id="JSON key missing",
        ),
    ],
)
def test_a_bad_configuration_is_a_failure_with_its_cause(
    clone: Clone, variables: dict[str, Any], cause: str, incident: list[str]
) -> None:
    fails_and_is_undone(clone, cause, **variables)
    assert not incident or causes(clone)[: len(incident)] == incident


#: Each task becomes healthy; then its master process takes more memory than the task has, and is killed.
FLAPS = """

def when_ready(server: object) -> None:
    import threading

    threading.Timer(6, lambda: [b"x" * 2**20 for _ in range(2**16)]).start()
"""
MIGRATION = '''"""A migration that cannot work."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("SELECT 1 / 0")
'''


@pytest.mark.parametrize(
    ("path", "text", "cause"),
    [
        # Healthy tasks receive requests, and lose them when they die: no load balancer can prevent that.
        ("src/fargate_app/gunicorn_conf.py", FLAPS, "exit code 137"),
        ("app/api/settlement/migrations/versions/0002_bad.py", MIGRATION, "division by zero"),
        ("app/api/Dockerfile", '\nCMD ["/nonexistent"]\n', "exec /nonexistent failed"),
    ],
    ids=["flapping", "migration fails", "cannot start"],
)
def test_a_bad_commit_is_a_failure_with_its_cause(clone: Clone, path: str, text: str, cause: str) -> None:
    clone.commit(path, text)
    try:
        fails_and_is_undone(clone, cause, may_lose=text is FLAPS)
        assert text is not FLAPS or causes(clone)[:2] == ["out of memory", "bad release"]
    finally:
        clone.git("reset", "--quiet", "--hard", "HEAD~1")


def test_an_image_that_is_gone_is_named_by_the_first_answer(clone: Clone) -> None:
    ecs, before = clone.aws("ecs"), service(clone)
    asked = ("family", "containerDefinitions", "networkMode", "cpu", "memory", "requiresCompatibilities")
    roles = ("executionRoleArn", "taskRoleArn", "volumes", "runtimePlatform")
    served = ecs.describe_task_definition(taskDefinition=before["taskDefinition"])["taskDefinition"]
    definition = {name: served[name] for name in (*asked, *roles) if served.get(name)}
    (container,) = definition["containerDefinitions"]
    container["image"] = f"{container['image'].partition('@')[0]}@sha256:{'0' * 64}"
    gone = ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
    configuration = before["deploymentConfiguration"]
    patient = configuration | {"deploymentCircuitBreaker": {"enable": False, "rollback": False}}
    here = {"cluster": PREFIX, "service": PREFIX}
    ecs.update_service(**here, taskDefinition=gone, deploymentConfiguration=patient)
    try:
        wait_until(lambda: stopped(clone, gone), "a task could not start")
        assert causes(clone)[0] == "missing image"
    finally:
        ecs.update_service(**here, taskDefinition=before["taskDefinition"], deploymentConfiguration=configuration)
    wait_until(lambda: len(service(clone)["deployments"]) == 1, "the release before is the only one")
    ecs.deregister_task_definition(taskDefinition=gone)


def stopped(clone: Clone, revision: str) -> bool:
    """Return whether a task of this revision has stopped."""
    ecs = clone.aws("ecs")
    arns = ecs.list_tasks(cluster=PREFIX, serviceName=PREFIX, desiredStatus="STOPPED")["taskArns"]
    tasks = ecs.describe_tasks(cluster=PREFIX, tasks=arns)["tasks"] if arns else []
    return any(task["taskDefinitionArn"] == revision and task.get("stoppedAt") for task in tasks)


def test_two_migrations_of_one_number_are_refused_at_the_build(clone: Clone) -> None:
    before = service(clone)["deployments"], len(ledger(clone))
    path = "app/api/settlement/migrations/versions/0001_again.py"
    clone.commit(path, MIGRATION.replace('"0002"', '"0001"').replace('down_revision = "0001"', "down_revision = None"))
    try:
        refused = clone.make("release", expect=2)
    finally:
        clone.git("reset", "--quiet", "--hard", "HEAD~1")
    assert_ended(clone, refused, "refused")
    assert re.search(r"0001_accounts\S+ and \S+0001_again\.py are both the revision 0001", refused.output)
    assert (service(clone)["deployments"], len(ledger(clone))) == before


def fails_and_is_undone(clone: Clone, cause: str, may_lose: bool = False, **variables: Any) -> Run:
    before = service(clone)["taskDefinition"]
    with load(may_lose=may_lose):
        run = clone.make("release", expect=2, **variables)
    assert_prints(run, cause)
    assert_ended(clone, run, "failed_and_undone")
    assert service(clone)["taskDefinition"] == before
    assert service(clone)["runningCount"] == service(clone)["desiredCount"]
    assert ledger(clone)[-1].outcome is Outcome.FAILED
    assert ledger(clone)[-1].revision != before
    return run


@pytest.mark.parametrize(
    ("variables", "cause"),
    [
        pytest.param({"app_secrets": SECRETS | {"EXTRA": "nothing"}}, "has no JSON key nothing", id="JSON key missing"),
        pytest.param({"image_build_version": "0123456789ab"}, "There is no image", id="image missing"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_touched(
    clone: Clone, variables: dict[str, Any], cause: str
) -> None:
    before = service(clone)["deployments"], len(ledger(clone))
    refused = clone.make("release", expect=2, **variables)
    assert cause in clone.outcome()["cause"]
    assert_ended(clone, refused, "refused")
    assert (service(clone)["deployments"], len(ledger(clone))) == before


def test_a_second_flow_stops_at_once_and_a_change_of_the_number_of_tasks_is_kept(clone: Clone) -> None:
    drain_for(clone, 1)
    follow_cpu(False)
    with running(clone, "release", app_memory=2048) as first:
        read_until(first, "watching ")
        clone.aws("ecs").update_service(cluster=PREFIX, service=PREFIX, desiredCount=3)
        with paused(first):
            second = clone.make("release", expect=2)
        assert re.search(r"local is locked by \S+, for Release, since .* UTC", second.output)
        assert_prints(second, "make unlock ENV=local")
        assert_ended(clone, second, "locked")
        second.assert_looks_like("lock-held")
        assert finish(first).code == 0
    clone.variables["app_memory"] = 2048
    assert service(clone)["desiredCount"] == 3
    assert service(clone)["runningCount"] == 3
    clone.aws("ecs").update_service(cluster=PREFIX, service=PREFIX, desiredCount=2)
    follow_cpu(True)


@pytest.mark.parametrize("phase", ["building settlement:", "watching "])
def test_a_rollback_stops_a_release_in_flight(clone: Clone, phase: str) -> None:
    before = service(clone)["taskDefinition"]
    clone.commit("app/api/settlement/__init__.py", f"\n# Stopped in {phase}.\n")
    try:
        with load(), running(clone, "release", ecs_release_environment={"DATABASE_NAME": "nowhere"}) as release:
            read_until(release, phase)
            rollback = clone.make("rollback")
            stopped = finish(release)
    finally:
        clone.git("reset", "--quiet", "--hard", "HEAD~1")
    assert_prints(rollback, "stopped the release of ")
    assert stopped.code != 0
    assert re.search(r"it was taken by \S+, for Rollback", stopped.output), stopped.output[-8000:]
    assert service(clone)["taskDefinition"] == before
    assert len(service(clone)["deployments"]) == 1


def test_five_rollbacks_in_a_row_and_forward_again_land_where_status_said(clone: Clone) -> None:
    # Add three to the successful releases above.
    for number in range(3):
        clone.make("release", app_environment={"NUMBER": str(number)})
    newest = service(clone)["taskDefinition"]
    for _ in range(5):
        (said,) = re.findall(r"rollback to +\S+ \((\S+)\)", clone.make("status", **BROKEN).output)
        clone.make("rollback", **BROKEN)
        assert service(clone)["taskDefinition"].endswith(f"/{said}")
    revision = newest.rpartition("/")[2]
    assert clone.make("rollback", rollback_to=revision).recap()["changed"] == 1
    assert service(clone)["taskDefinition"] == newest
    again = clone.make("rollback", rollback_to=revision)
    assert again.recap()["changed"] == 0
    assert_prints(again, "nothing to roll back")
    assert clone.outcome()["what"].endswith(" serves; there was nothing to roll back")


def test_a_refusal_says_what_is_possible(clone: Clone) -> None:
    refused = clone.make("rollback", expect=2, rollback_to="0123456789ab")
    assert_prints(refused, "The ledger knows no release 0123456789ab. Nothing was changed.")
    assert_prints(refused, "Next: make rollback ENV=local")
    assert_ended(clone, refused, "refused")
    refused.assert_looks_like("refused-rollback")
    assert clone.make("rollback", "CHECK=1").recap()["changed"] == 1


def test_a_zone_that_goes_is_refused_with_its_cause_and_the_command_that_permits_it(clone: Clone) -> None:
    network = yaml.safe_load((clone.path / "inventory/local/group_vars/all/network.yml").read_text())
    zones = network["network_availability_zones"]
    left = {"network_availability_zones": {name: zones[name] for name in sorted(zones)[:2]}}
    refused = clone.make("plan", expect=2, **left)
    assert_ended(clone, refused, "refused")
    refusal = refused.output
    assert re.search(rf"network_availability_zones\.{max(zones)}: was {{.*}}, is no longer set", refusal)
    (permission,) = re.findall(r"make deploy ENV=local ARGS='(.*)'$", clone.outcome()["next"])
    permitted = f"ARGS=-e '{json.dumps(clone.variables | left)}' {permission}"
    plan = clone.make("plan", permitted).output
    assert f'# module.vpc.aws_subnet.private["{max(zones)}"] will be destroyed' in plan


def test_a_broken_state_stops_neither_status_nor_a_rollback(clone: Clone) -> None:
    s3, state = clone.aws("s3"), {"Bucket": BUCKET, "Key": "local/environment.tfstate"}
    whole = s3.get_object(**state)["Body"].read()
    s3.put_object(**state, Body=b"no state")
    try:
        status = clone.make("status").output
        assert "environment.tfstate is not a Terraform state; its version of " in status
        assert re.search(rf"version +{clone.version()}", status)
        assert clone.make("rollback", "CHECK=1").recap()["changed"] == 1
        causes(clone, **BROKEN)
    finally:
        s3.put_object(**state, Body=whole)


@pytest.mark.parametrize(
    "benchmark", [flows.releases, flows.deploys, flows.load_balancer], ids=["release", "deploy", "balancer"]
)
def test_no_flow_is_far_slower_than_its_floor(
    clone: Clone, benchmark: Callable[[int, Callable[[], Clone]], list[Row]], record_property: Any
) -> None:
    drain_for(clone, 10)  # as Terraform sets it: most of the floor's time
    rows = benchmark(1, lambda: clone)
    assert rows
    for row in rows:
        record_property(f"{row.benchmark}: {row.variant}", row.median)
    # Other tests use the processors meanwhile. The floors mostly wait, so only the flows take longer.
    assert [row.miss() for row in rows if not row.within(leeway=2)] == []


#: Health checks and the version are answered as before.
FAILS_EVERY_FIFTH = """

class _FailsEveryFifth:
    def __init__(self, app):
        self._app, self._count = app, 0

    async def __call__(self, scope, receive, send):
        from starlette.responses import PlainTextResponse

        app = self._app
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            self._count += 1
            app = app if self._count % 5 else PlainTextResponse("broken", 500)
        await app(scope, receive, send)


_create_good_app = create_app


def create_app(settings: Settings) -> FastAPI:
    app = _create_good_app(settings)
    app.add_middleware(_FailsEveryFifth)
    return app
"""


def test_a_healthy_release_that_fails_every_fifth_request_is_undone_by_its_alarm(clone: Clone) -> None:
    clone.make("infra", deployment_alarms=["errors-5xx"])
    drain_for(clone, 1)
    before = service(clone)["taskDefinition"]
    account = clone.request("/v1/accounts", {"name": "alarm", "currency": "KRW"})[1]["id"]
    read = Request(name="account", path=f"/v1/accounts/{account}")
    clone.commit("app/api/settlement/app.py", FAILS_EVERY_FIFTH)
    try:
        with minutes_of(5):
            # An alarm that is on at the start of a deployment is ignored; the tests above may have set it off.
            wait_for(lambda: alarm_states(clone)["errors-5xx"] == "OK", what="errors-5xx is OK")
            with load(may_lose=True, requests=(VERSION, read)) as report:
                run = clone.make("release", expect=2)
            wait_for(lambda: alarm_states(clone)["errors-5xx"] == "OK", what="errors-5xx is OK")
    finally:
        clone.git("reset", "--quiet", "--hard", "HEAD~1")
    assert_prints(run, "alarm detected")
    assert_ended(clone, run, "failed_and_undone")
    assert service(clone)["taskDefinition"] == before
    deployments = clone.aws("ecs").list_service_deployments(cluster=PREFIX, service=PREFIX)["serviceDeployments"]
    (alarmed,) = clone.aws("ecs").describe_service_deployments(
        serviceDeploymentArns=[deployments[0]["serviceDeploymentArn"]]
    )["serviceDeployments"]
    assert (alarmed["status"], alarmed["alarms"]["status"]) == ("ROLLBACK_SUCCESSFUL", "TRIGGERED")
    assert alarmed["alarms"]["triggeredAlarmNames"] == [f"{PREFIX}-errors-5xx"]
    told = {
        json.loads(event["message"])["detail"]["deploymentId"]: json.loads(event["message"])["detail"]["reason"]
        for event in clone.aws("logs").filter_log_events(
            logGroupName=f"/aws/events/{PREFIX}/deployments", filterPattern="SERVICE_DEPLOYMENT_FAILED"
        )["events"]
    }
    assert "ECS deployment failed: alarm detected." in told.values(), told
    # Only the faulty path loses requests, a fifth of them at most, and all to the fault itself.
    version, accounts = report.tallies[VERSION.name], report.tallies[read.name]
    assert version.lost == 0, version.examples
    assert 0 < accounts.lost <= accounts.answered / 4, accounts
    assert all("500" in example for example in accounts.examples), accounts.examples
    print(f"{accounts.lost} of {accounts.lost + accounts.answered} requests lost, all answered 500")
