"""The end-to-end deployment, in a user's order. Each test depends on those before it.

The first part runs the documents: every command of the README and of the pages that `tests/e2e/documents.py` names, as
a newcomer types them.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import API_PORT, PREFIX, Clone, Run, containers, follow_cpu, leftovers, limits, query, service
from tests.e2e.documents import Command, documented
from tests.e2e.load import ACCOUNT, load
from tests.local_cloud.conftest import wait_for
from tests.support.inventory import answers

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


STAGING, PRODUCTION = "222222222222", "333333333333"
"""The account numbers of the inventories. The emulator accepts each of them."""


def account_of(command: str) -> str:
    """Return the account of the shell's credentials; empty for the local environment, whose inventory has keys."""
    return "" if "ENV=" not in command else PRODUCTION if "ENV=production" in command else STAGING


_HTTPS = "needs HTTPS, which test_no_database.py switches on, with clients that check the certificate"
NOT_RUN = {
    "make test": "is the command that runs this test",
    "make rehearse": "runs the longest tests, with local clouds of their own",
    "make check": "tests/run.sh runs it at the same time",
    "make deploy ENV=staging": "would start a second set of containers; the command before it plans the same resources",
    "make test-page ENV=staging": "needs a deployed environment; test_incidents.py runs it in the local one",
    "docs/first-deployment.md: make deploy": _HTTPS,
    "curl --cacert .local/local/rds-ca.pem https://127.0.0.1:8443/version": _HTTPS,
    "curl --head http://127.0.0.1:8080/version": _HTTPS,
    "(cd roles/deploy_lock && molecule --base-config ../../tests/molecule/base.yml test)": (
        "tests/roles/test_molecule.py runs each role's scenario, perhaps at the same time and on the same ports"
    ),
    "uv tool run pre-commit install": "its hooks would run on the commits of the tests below; make check runs the same",
}
"""Commands of the documents that are not run here, with the reason."""


def edit(clone: Clone, path: str, **replaced: str | None) -> None:
    """Edit an inventory as a person does: replace the value of a one-line variable, or remove the line for None."""
    text = (clone.path / path).read_text()
    for name, value in replaced.items():
        line, new = (r"\s*{}:.*\n", "") if value is None else (r"(\s*{}:).*\n", rf"\g<1> {value}\n")
        text, count = re.subn("(?m)^" + line.format(name), new, text)
        assert count == 1, name
    (clone.path / path).write_text(text)


def name_the_application(clone: Clone) -> None:
    """Set the account's number (here the emulator's) and the name, as docs/first-deployment.md says."""
    edit(clone, "inventory/staging/group_vars/all/aws.yml", aws_account_id=f'"{STAGING}"')
    app = clone.path / "inventory/staging/group_vars/all/app.yml"
    # staging's value overrides the shared one, which the local environment still uses.
    app.write_text(f"{app.read_text()}app_name: billing\n")
    clone.git("commit", "--quiet", "--all", "--message", "chore: our account")


def configure_production(clone: Clone) -> None:
    """Set HTTPS and notifications: preflight requires both."""
    for setting in answers("production"):
        name, _, value = setting.partition(": ")
        (file,) = (
            path
            for path in (clone.path / "inventory/production/group_vars/all").glob("*.yml")
            if re.search(rf"(?m)^{name}:", path.read_text())
        )
        edit(clone, str(file.relative_to(clone.path)), **{name: value})
    clone.git("commit", "--quiet", "--all", "--message", "chore: our domain and our channel")


def choose_zones_and_ranges(clone: Clone) -> None:
    edit(
        clone,
        "inventory/qa/group_vars/all/network.yml",
        network_vpc_cidr="10.64.0.0/18",
        **{
            "ap-northeast-2a": "{public: 10.64.8.0/24, private: 10.64.1.0/24, database: 10.64.4.0/24}",
            "ap-northeast-2b": None,
            "ap-northeast-2c": "{public: 10.64.9.0/24, private: 10.64.2.0/24, database: 10.64.5.0/24}",
        },
    )


def change_nothing_that_is_deployed(clone: Clone) -> None:
    """Commit a change of the documentation and another order of the zones."""
    clone.commit("README.md", "\nA sentence.\n")
    network = clone.path / "inventory/local/group_vars/all/network.yml"
    zones = re.findall(r"(?m)^  ap-northeast-2.*\n", network.read_text())
    assert len(zones) == 3
    network.write_text(network.read_text().replace("".join(zones), "".join(reversed(zones))))
    clone.git("commit", "--quiet", "--all", "--message", "chore: sort the zones")


EDITS = {
    "README.md: make restore ENV=production": configure_production,
    "make bootstrap ENV=staging": name_the_application,
    "make plan ENV=qa": choose_zones_and_ranges,
    "CONTRIBUTING.md: make deploy": change_nothing_that_is_deployed,
}
"""Edits before a command: those that the documents describe, or that the command is made for."""


def plans_staging(run: Run) -> None:
    """Check that the plan has the name, the range and the three zones of the inventory."""
    plan = run.output
    assert re.search(r'name += "billing-staging"', plan)
    assert re.findall(r'cidr_block += "(10\.0\.0\.0/\d+)"', plan) == ["10.0.0.0/18"]
    assert len(re.findall(r"# module\.vpc\.aws_subnet\.", plan)) == 9
    assert "settlement-staging" not in plan


def plans_qa(run: Run) -> None:
    """Check that zones, range and names differ, although only the inventory was edited."""
    plan = run.output
    assert re.search(r'name += "billing-qa"', plan)
    assert re.findall(r'cidr_block += "(10\.64\.0\.0/\d+)"', plan) == ["10.64.0.0/18"]
    assert len(re.findall(r"# module\.vpc\.aws_subnet\.", plan)) == 6
    assert "ap-northeast-2b" not in plan


def changes_nothing(deploy: Run) -> None:
    """Check that a second deployment after commits outside the application changes nothing, in a few lines."""
    assert deploy.recap()["changed"] == deploy.recap()["failed"] == 0
    assert "changed=0" in deploy.ending()["took"]
    lines = [line for line in deploy.screen.splitlines() if not line.startswith("  ... ")]  # signs of life
    assert len(lines[next(number for number, line in enumerate(lines) if "Check this machine" in line) :]) <= 15, lines
    deploy.assert_looks_like("unchanged-deploy")


def deploys(deploy: Run) -> None:
    """Check what a first deployment prints."""
    assert "succeeded" in deploy.output
    deploy.assert_looks_like("cold-deploy")


EXPECTED: dict[str, tuple[int, Callable[[Run], None] | str]] = {
    "README.md: make deploy": (0, deploys),
    "CONTRIBUTING.md: make deploy": (0, changes_nothing),
    "make bootstrap ENV=staging": (0, "account: create"),
    "make plan ENV=staging": (0, plans_staging),
    "make plan ENV=qa": (0, plans_qa),
    # Nothing was ever released there. Each says so and names the first command.
    "make rollback ENV=production": (2, "Next: make bootstrap ENV=production"),
    "make restore ENV=production": (2, "Next: make bootstrap ENV=production"),
    "make status ENV=production": (0, "nothing was deployed here yet"),
    "make incident ENV=production": (0, "nothing was deployed here yet"),
    "make incident-db ENV=production": (2, "make infra ENV=production"),
}
"""Expected exit code and output, for commands whose success alone proves too little."""


@pytest.mark.parametrize("command", documented(), ids=str)
def test_every_command_of_the_documents(clone: Clone, command: Command) -> None:
    if reason := NOT_RUN.get(str(command)) or NOT_RUN.get(command.text):
        pytest.skip(reason)
    if edits := EDITS.get(str(command)) or EDITS.get(command.text):
        edits(clone)
    code, expected = EXPECTED.get(str(command)) or EXPECTED.get(command.text, (0, ""))
    run = clone.shell(
        command.script,
        expect=code,
        account=account_of(command.text),
        # This machine may lack access to AWS's registry and the exact versions of staging and production.
        image_registry=f"localhost:{API_PORT}",
        terraform_required_version=">= 1.11",
        aws_provider_version=">= 5.100, < 7.0",
    )
    if callable(expected):
        expected(run)
    else:
        assert expected in run.output


def test_what_is_not_run_is_still_in_the_documents() -> None:
    found = documented()
    assert {*NOT_RUN, *EDITS, *EXPECTED} <= {command.text for command in found} | {str(command) for command in found}


def test_this_commit_is_behind_the_load_balancer(clone: Clone) -> None:
    status, version = clone.request("/version")
    assert status == 200
    assert version["git_hash"] == clone.version()
    images = clone.aws("ecr").describe_images(repositoryName="settlement")["imageDetails"]
    assert version["image_digest"] in {
        image["imageDigest"] for image in images if clone.version() in image["imageTags"]
    }
    assert clone.request("/readyz")[0] == 200


def test_the_shell_has_made_no_state_of_its_own(clone: Clone) -> None:
    """The shell of each command set a Terraform workspace, variables and arguments."""
    s3 = clone.aws("s3")
    objects = [
        item["Key"]
        for bucket in s3.list_buckets()["Buckets"]
        for item in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
    ]
    assert [key for key in objects if key.endswith("tfstate")] == [
        "account/account.tfstate",
        "local/environment.tfstate",
    ]


def test_what_is_posted_are_rows_in_the_database(clone: Clone) -> None:
    status, account = clone.request("/v1/accounts", {"name": "Till 1", "currency": "KRW"})
    assert status == 201
    body = {"account_id": account["id"], "amount": 1250, "currency": "KRW", "occurred_at": "2026-01-31T14:00:00Z"}
    assert clone.request("/v1/transactions", body, **{"Idempotency-Key": "e2e-1"})[0] == 201
    rows = query(clone, "SELECT account_id::text, amount FROM transactions")
    assert rows == [(str(account["id"]), 1250)]


def test_check_mode_afterwards_touches_nothing(clone: Clone) -> None:
    # Terraform must not undo a scheduled action. A release would, if other limits are scheduled for now.
    set_limits(clone, 2, 3)
    before = containers(), service(clone)["deployments"], query(clone, "SELECT count(*) FROM transactions")
    revisions = clone.aws("ecs").list_task_definitions()["taskDefinitionArns"]
    run = clone.make("deploy", "CHECK=1")
    assert "  account: as it was applied" in run.output
    assert "  terraform: no change\n" in run.output
    assert run.recap()["changed"] == 1
    assert limits() == (2, 3)
    assert (containers(), service(clone)["deployments"], query(clone, "SELECT count(*) FROM transactions")) == before
    assert clone.aws("ecs").list_task_definitions()["taskDefinitionArns"] == revisions
    run.assert_looks_like("check-mode")
    set_limits(clone, 2, 4)


def test_the_doctor_finds_this_machine_ready(clone: Clone) -> None:
    run = clone.make("doctor")
    assert run.ending()[""] == "local: this machine is ready"
    assert run.recap()["changed"] == 0


def test_status_tells_what_runs(clone: Clone) -> None:
    output = clone.make("status").output
    assert clone.version() in output
    assert "succeeded" in output


def test_a_one_off_task_shows_output_and_exit_code(clone: Clone) -> None:
    assert "answer 42" in clone.make("run", "CMD=python -c 'print(\"answer\", 6 * 7)'").output
    assert "exit code 3" in clone.make("run", "CMD=python -c 'raise SystemExit(3)'", expect=2).output
    shown = clone.make("run", """CMD=sh -c 'echo "<$HOSTNAME>"'""").output
    assert re.search(r"\| <\w[\w.-]+>$", shown, re.MULTILINE), "the container's host name"


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [('"no such phrase"', False), ('{ $.level = "INFO" }', True), ('{ $.level = "info" }', False), ('"INFO"', True)],
)
def test_the_log_is_filtered_as_cloudwatch_filters(clone: Clone, pattern: str, shown: bool) -> None:
    output = clone.make("logs", "SINCE=1h", f"FILTER={pattern}").output
    assert bool(re.search(r"^\d\d:\d\d:\d\d\.\d{3} INFO ", output, re.MULTILINE)) is shown
    assert "PoolInUse" not in output


def requests_in_the_log(clone: Clone) -> list[dict[str, Any]]:
    """Return the lines of the requests to /v1, as a program reads them."""
    raw = subprocess.run(
        # The make that runs the tests would let this one print its directory.
        clone.command("logs", "--no-print-directory", "SINCE=1h", "RAW=1", 'FILTER="/v1/"'),
        cwd=clone.path,
        env=clone.environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    entries = [json.loads(line) for line in raw.splitlines()]
    return [entry for entry in entries if entry["logger"] == "fargate_app.access"]


def test_the_log_of_one_request_is_found_by_its_id(clone: Clone) -> None:
    assert clone.request("/v1/accounts", {"name": "in the log", "currency": "KRW"})[0] == 201
    deadline = time.monotonic() + 240
    while not (found := requests_in_the_log(clone)):
        assert time.monotonic() < deadline, "the request is not in the log"
    one, *others = found
    output = clone.make("logs", f"REQUEST={one['request_id']}").output
    assert f"{one['method']} {one['path']} {one['status']} {one['duration_ms']} ms  {one['request_id']}" in output
    assert {other["request_id"] for other in others if other["request_id"] in output} <= {one["request_id"]}


def test_the_cost_report_answers_a_month_whose_answer_is_known(clone: Clone) -> None:
    drill = clone.make("drill", "DRILL=cost_surge")
    assert "VERDICT cost_surge: every check passed" in drill.output
    assert drill.recap()["changed"] == 0
    for settings in ([], ["CHECK=1"]):
        report = clone.make("cost-report", *settings)
        assert "cost report of" in report.output
        assert report.recap()["changed"] == 0
        assert report.seconds() < 60
    page = (clone.path / ".local/local/cost/report.html").read_text()
    assert "Compute Optimizer" in page


def test_passwords_are_nowhere(clone: Clone) -> None:
    secrets = clone.aws("secretsmanager")
    # A webhook's secret holds an address, not a password: test_incidents.py searches for that.
    names = [
        item["ARN"] for item in secrets.list_secrets()["SecretList"] if not item["Name"].endswith("/slack-webhook")
    ]
    passwords = {json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])["password"] for name in names}
    assert len(passwords) == 3, "the master's and those of the application's two users"

    s3 = clone.aws("s3")
    bucket = next(item["Name"] for item in s3.list_buckets()["Buckets"] if "terraform" in item["Name"])
    places = {f"output of run {number}": text for number, text in enumerate(clone.outputs)}
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        places[item["Key"]] = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode(errors="replace")
    for path in (clone.path / ".local").rglob("*"):
        # The emulator's state is AWS's side: it contains Secrets Manager.
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


OFFERED = 60
"""Requests per second."""


def test_a_release_a_rollback_and_the_end_of_a_task_lose_no_request(
    clone: Clone, record_property: Callable[[str, object], None]
) -> None:
    ecs = clone.aws("ecs")
    follow_cpu(False)
    ecs.update_service(cluster=PREFIX, service=PREFIX, desiredCount=3)
    wait_for(lambda: service(clone)["runningCount"] == 3)
    with load(per_second=OFFERED, slow=8) as report:
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
    assert report.total / report.seconds >= OFFERED / 10
    assert report.tallies[ACCOUNT.name].answered > 0
    assert rollback.recap()["changed"] == 1
    assert limits() == (2, 4)
    follow_cpu(True)


def test_down_leaves_nothing(clone: Clone) -> None:
    clone.make("down")
    assert not leftovers()
    deadline = time.monotonic() + 120
    while processes := [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if _ours(entry, clone)]:
        assert time.monotonic() < deadline, processes
        time.sleep(0.1)


def _ours(entry: Path, clone: Clone) -> bool:
    try:
        return str(clone.path) in entry.read_text(errors="replace")
    except OSError:
        return False
