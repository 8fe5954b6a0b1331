"""GitHub's workflows on this machine: each `run:` line of ci, build, deploy, rollback, drift and cost, in order.

    bootstrap → pull request → merge → build → dispatch → deploy → once more → rollback → drift → cost → destroy → again

The account is a local cloud: one more file in `inventory/staging` says so, and nothing else in the repository changes.
The cloud's STS exchanges a run's token for the role that bootstrap made for its workflow, and the run's lines have only
that role's credentials. Production is a second environment of the same account. A person creates its infrastructure
while staging is deployed the first time. Only checked, not run: `make rehearse`, which would run itself; `make test`
and `make coverage`, which run separately. The workflow lock needs two registries: `tests/unit/workflows/test_lock.py`
runs it, and `test_deploy.py` there runs deployments that are refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from tests.e2e.conftest import API_PORT, ENVIRONMENT, REPOSITORY, Clone, Run, excerpt
from tests.support import images
from tests.support.github import URL, Issuer, Repository
from tests.terraform.calls import read
from tests.terraform.rights import assert_rights, identity_of, role_of
from tests.workflows.hub import PERSON, Hub
from tests.workflows.runner import Event, Finished, Runner, run_lines

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

PREFIX = "settlement-staging"
MAIN = "refs/heads/main"
#: Lines that are not executed here, because they would run this test or other tests.
EXCLUDED = ["make test", "make rehearse", "make coverage"]
ROLES = "arn:aws:iam::000000000000:role/settlement-github"
#: Runs the job for production alone, with what an earlier run handed over.
PRODUCTION = """
name: deploy
on: {workflow_dispatch: {inputs: {digest: {required: true}, plan: {required: true}}}}
jobs:
  production:
    uses: ./.github/workflows/deploy-environment.yml
    permissions: {actions: read, contents: read, id-token: write}
    with:
      environment: production
      sha: "${{ github.sha }}"
      digest: "${{ inputs.digest }}"
      plan: "${{ inputs.plan }}"
"""
#: Variables of a developer's shell that jobs must not have: an account, GitHub, another make.
FOREIGN = ("AWS_", "GH_", "GITHUB_", "RUNNER_", "ACTIONS_", "MAKE", "MFLAGS")


def inventory(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / f"inventory/local/group_vars/all/{name}.yml").read_text())
    return found


def account(clone: Clone, hub: Hub) -> dict[str, Any]:
    """Return further settings of staging: its account is the local cloud, where this repository's workflows may act."""
    local = inventory("aws")
    endpoints = {
        key: value for key, value in local["aws_environment"].items() if "KEY" not in key and "FILE" not in key
    }
    return {
        **inventory("terraform"),
        "aws_account_id": local["aws_account_id"],
        "aws_environment": endpoints,
        **{key: value for key, value in clone.variables.items() if key.startswith("local_cloud_") and "port" in key},
        "image_registry": inventory("image")["image_registry"],
        "image_build_database_ca": [str(clone.path / ".local/local/rds-ca.pem")],
        "base_image": images.prepare(clone.path / ".local")["base"],
        "public_url": inventory("network")["public_url"],
        "app_cpu_architecture": inventory("app")["app_cpu_architecture"],
        "app_peak_min_tasks": clone.variables["app_peak_min_tasks"],
        "github_repository": hub.identity.name,
        "github_owner_id": hub.identity.owner_id,
        "github_repository_id": hub.identity.id,
        "github_environments": ["staging", "production"],
    }


def production(clone: Clone, hub: Hub) -> dict[str, Any]:
    """Return further settings of production: staging's, but the only public load balancer is staging's."""
    files = sorted((REPOSITORY / "inventory/staging/group_vars/all").glob("[a-z]*.yml"))
    staging = {key: value for file in files for key, value in yaml.safe_load(file.read_text()).items()}
    internal = {"alb_internal": True, "service_verify_from": "targets"}
    return {**staging, **account(clone, hub), **internal, "env_name": "production"}


@pytest.fixture(scope="module")
def hub(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A fake GitHub with the clone as its repository, and a local cloud that accepts GitHub's keys."""
    issuer = Issuer()
    hub = Hub(clone.path, tmp_path_factory.mktemp("github"), issuer, f"http://127.0.0.1:{API_PORT}")
    clone.variables["local_cloud_oidc_keys"] = {URL: issuer.keys()}
    clone.variables["local_cloud_call_log"] = str(hub.programs.with_name("calls.jsonl"))
    # Use the Python environment of the tests, as in every clone here.
    hub.program("make", "/usr/bin/make", "-o", f"{ENVIRONMENT}/.ready", f"VENV={ENVIRONMENT}")
    clone.make("up")
    clone.git("switch", "--quiet", "--force-create", "main")
    (clone.path / "inventory/staging/host_vars").mkdir()
    clone.commit("inventory/staging/host_vars/this-machine.yml", yaml.safe_dump(account(clone, hub)))
    (clone.path / "inventory/production/host_vars").mkdir()
    clone.commit("inventory/production/host_vars/this-machine.yml", yaml.safe_dump(production(clone, hub)))
    with pytest.MonkeyPatch.context() as person:
        person.setenv("AWS_ACCESS_KEY_ID", "test")
        person.setenv("AWS_SECRET_ACCESS_KEY", "test")
        person.setenv("GH_TOKEN", hub.token(PERSON))
        person.setenv("PATH", str(hub.programs), prepend=os.pathsep)
        yield hub


@pytest.fixture(scope="module")
def runner(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    base = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    base["PATH"] = f"{hub.programs}{os.pathsep}{os.environ['PATH']}"
    return Runner(hub, tmp_path_factory.mktemp("runs"), base)


@pytest.fixture(scope="module")
def runs() -> list[Finished]:
    """All finished runs, for checks across them."""
    return []


def push(clone: Clone) -> Event:
    return Event("push", MAIN, clone.git("rev-parse", "main"))


def pull_request(clone: Clone, hub: Hub, number: int, head: str, branch: str) -> Event:
    """Open a pull request of `branch`, whose repository is `head`. The event's commit is the merge commit."""
    clone.git("switch", "--quiet", "--detach", "main")
    clone.git("merge", "--quiet", "--no-ff", "--message", f"Merge {branch} into main", branch)
    merged, ref = clone.git("rev-parse", "HEAD"), f"refs/pull/{number}/merge"
    clone.git("update-ref", ref, merged)
    clone.git("switch", "--quiet", "main")
    payload = {"action": "opened", "pull_request": {"number": number, "head": {"repo": {"full_name": head}}}}
    return Event("pull_request", ref, merged, payload)


def dispatched(clone: Clone, hub: Hub) -> Event:
    """Return the event of the newest dispatch, which starts the default branch's workflow."""
    sent = hub.state.dispatches[-1]
    payload = {"action": sent["event_type"], "client_payload": sent["client_payload"]}
    return Event("repository_dispatch", MAIN, clone.git("rev-parse", "main"), payload)


def release(clone: Clone, hub: Hub, runner: Runner, runs: list[Finished], *failing: str) -> Finished:
    """Run the workflows of a push to main: build, dispatch, deploy to staging and production."""
    sent = len(hub.state.dispatches)
    event = push(clone)
    built = runner.run("build.yml", event)
    assert acts_as(built, "Build and push the image", "build")
    assert [item["client_payload"] for item in hub.state.dispatches[sent:]] == [{"sha": event.sha}]
    # A push in the meantime must not change what is deployed.
    clone.commit("docs/architecture.md", "\nA sentence.\n")
    finished = runner.run("deploy.yml", dispatched(clone, hub), failing=failing)
    runs.extend([built, finished])
    assert acts_as(finished, "Deploy", "deploy-staging", "staging/deploy")
    return finished


def acts_as(finished: Finished, step: str, role: str, job: str | None = None) -> bool:
    """Return whether the step printed that its credentials belong to the role."""
    return f":assumed-role/settlement-github-{role}/" in finished.step(step, job).output


def serving(clone: Clone) -> str:
    return str(clone.request("/version")[1]["git_hash"])


@pytest.fixture(scope="module")
def infrastructure(clone: Clone, hub: Hub) -> Iterator[Future[Run]]:
    """Create production's infrastructure meanwhile: RDS takes longest, and staging's takes as long."""
    with ThreadPoolExecutor(1) as person:
        yield person.submit(clone.make, "infra", "ENV=production", expect=None)


def test_bootstrap_makes_the_roles_and_tells_github(clone: Clone, hub: Hub) -> None:
    clone.make("bootstrap", "ENV=staging")
    assert hub.variables(None) == {"AWS_BUILD_ROLE": f"{ROLES}-build", "AWS_PLAN_ROLE": f"{ROLES}-plan-staging"}
    assert hub.variables("staging")["AWS_DEPLOY_ROLE"] == f"{ROLES}-deploy-staging"
    assert hub.variables("rollback-staging")["AWS_ROLLBACK_ROLE"] == f"{ROLES}-rollback-staging"
    assert hub.admits("staging", MAIN)
    assert not hub.admits("staging", "refs/heads/other")


@pytest.mark.parametrize(
    ("role", "context", "repository"),
    [
        ("plan-staging", "pull_request", Repository("mallory/settlement", 666, 667)),
        ("build", f"ref:{MAIN}", Repository("example/other", 123456, 777)),
        ("build", "ref:refs/heads/other", Repository()),
        ("build", "pull_request", Repository()),
        ("deploy-staging", f"ref:{MAIN}", Repository()),
        ("deploy-production", "environment:staging", Repository()),
        ("rollback-staging", "environment:staging", Repository()),
        ("deploy-staging", "environment:staging", Repository("example/settlement", 999, 998)),
    ],
    ids=[
        "a fork's pull request",
        "another repository",
        "another branch",
        "a pull request that builds",
        "no environment",
        "a wrong environment",
        "another workflow's environment",
        "a later owner of the name",
    ],
)
def test_no_other_run_is_given_a_role(hub: Hub, role: str, context: str, repository: Repository) -> None:
    with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
        hub.assume_role(f"{ROLES}-{role}", hub.issuer.token(repository, context), "refused")


def test_a_pull_request_of_a_fork_is_tested_and_not_planned(clone: Clone, hub: Hub, runner: Runner) -> None:
    clone.git("switch", "--quiet", "--create", "theirs")
    clone.commit("README.md", "\nTheir sentence.\n")
    clone.git("switch", "--quiet", "main")
    event = pull_request(clone, hub, 1, "mallory/settlement", "theirs")
    finished = runner.run("ci.yml", event, excluded=EXCLUDED)
    assert finished.skipped == ["plan"]
    assert {step.job for step in finished.steps} == {"test", "rehearse", "coverage"}


@pytest.mark.parametrize("failing", ["test", "rehearse", "neither"])
def test_the_tests_are_what_everybody_runs(failing: str, tmp_path: Path) -> None:
    """CI runs `make test` and `make rehearse`, as a person does, and fails if either fails."""
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "make $*"\n[ "$*" != {failing} ]\n')
    make.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run([REPOSITORY / ".ci/run"], env={"PATH": path}, stdout=subprocess.PIPE, text=True, check=False)
    assert done.stdout.splitlines() == ["make test", "make rehearse"]
    assert (done.returncode == 0) is (failing == "neither")
    readme = (REPOSITORY / "README.md").read_text()
    assert all(f"`{command}`" in readme for command in done.stdout.splitlines())


def test_a_pull_request_shows_its_plan(clone: Clone, hub: Hub, runner: Runner, runs: list[Finished]) -> None:
    clone.git("switch", "--quiet", "--create", "ours")
    clone.commit("app/api/settlement/__init__.py", "\n# A change.\n")
    clone.git("switch", "--quiet", "main")
    event = pull_request(clone, hub, 2, hub.repository, "ours")
    finished = runner.run("ci.yml", event, excluded=EXCLUDED)
    runs.append(finished)
    assert [step.run for step in finished.steps if step.outcome == "excluded"] == EXCLUDED
    (comment,) = hub.state.comments["2"]
    assert comment.startswith(f"Plan of staging for {event.sha}\n")
    assert "to add" in comment
    assert acts_as(finished, "Plan", "plan-staging")
    assert finished.step("Show the plan on the pull request").summary == comment


@pytest.mark.usefixtures("infrastructure")
def test_a_merge_is_built_dispatched_and_deployed(
    clone: Clone, hub: Hub, runner: Runner, runs: list[Finished], record_property: Any
) -> None:
    clone.git("merge", "--quiet", "--no-ff", "--message", "Merge ours", "ours")
    finished = release(clone, hub, runner, runs, "production/deploy")
    record_property("cold deploy", f"{finished.step('Deploy', 'staging/deploy').seconds:.0f} s")
    assert serving(clone) == clone.version()
    assert clone.version() in finished.step("Show the serving version").summary
    # Nobody is a reviewer yet.
    assert "has no required reviewers" in finished.step("Require reviewers of production", "production/deploy").output
    assert finished.step("Deploy", "production/deploy").outcome == "skipped"


def test_a_second_merge_rolls_to_it(
    clone: Clone, hub: Hub, runner: Runner, runs: list[Finished], infrastructure: Future[Run]
) -> None:
    created = infrastructure.result()
    assert created.code == 0, excerpt(created.output)
    first = serving(clone)
    clone.commit("app/api/settlement/__init__.py", "\n# Another change.\n")
    hub.require_reviewers("production", "octocat")
    finished = release(clone, hub, runner, runs)
    assert serving(clone) == clone.version() != first
    image = {"repositoryName": "settlement", "imageIds": [{"imageTag": clone.version()}]}
    (digest,) = (found["imageDigest"] for found in clone.aws("ecr").describe_images(**image)["imageDetails"])
    assert finished.step("Hand over the digest", "staging/deploy").outputs == {"digest": digest}
    assert acts_as(finished, "Deploy", "deploy-production", "production/deploy")
    assert f"is in the registry: {digest}" in finished.step("Deploy", "production/deploy").output
    tasks = clone.aws("ecs").list_tasks(cluster="settlement-production", desiredStatus="RUNNING")["taskArns"]
    assert tasks
    assert acts_as(finished, "Plan production", "plan-production")
    shown = finished.step("Show the plan to the reviewers").summary
    assert "a first task definition" in shown
    assert "migrations: schema (none) -> " in shown
    assert "cost of a month of 30 days: +" in shown
    assert "plan.json approves this release" in finished.step("Deploy", "production/deploy").output
    # GitHub drops an output with a masked value, and the account's number is masked.
    assert "000000000000" not in finished.step("Plan production").outputs["plan"]


def test_production_refuses_another_plan_than_the_approved_one(
    clone: Clone, runner: Runner, runs: list[Finished]
) -> None:
    """What was approved has been deployed since then."""
    approved = {
        "digest": runs[-1].step("Hand over the digest", "staging/deploy").outputs["digest"],
        "plan": runs[-1].step("Plan production").outputs["plan"],
    }
    clone.git("switch", "--quiet", "--create", "later")
    clone.commit(".github/workflows/test.yml", PRODUCTION)
    event = Event("workflow_dispatch", MAIN, clone.git("rev-parse", "HEAD"), {"inputs": approved}, approved)
    clone.git("switch", "--quiet", "main")

    def in_service() -> str:
        service = {"cluster": "settlement-production", "services": ["settlement-production"]}
        return str(clone.aws("ecs").describe_services(**service)["services"][0]["taskDefinition"])

    before = in_service()
    refusal = runner.run("test.yml", event, failing={"production/deploy"}).step("Deploy").output
    assert "Nothing was changed: this deployment is not the approved one:" in refusal
    assert "migrations: was approved, and would not happen" in refusal
    assert "let the new plan be approved; at GitHub: run the workflow deploy again" in refusal
    assert in_service() == before


def test_a_critical_finding_stops_a_deployment_before_anything_changes(
    clone: Clone, hub: Hub, runner: Runner, record_property: Any
) -> None:
    setting, log = "inventory/staging/group_vars/all/zz_findings.yml", hub.programs.with_name("calls.jsonl")
    scans, first = clone.path / ".local/local/cloud/image_scans.json", serving(clone)
    clone.commit(setting, "image_findings_gate: true\n")
    finding = {
        "name": "CVE-2026-1",
        "severity": "CRITICAL",
        "attributes": [{"key": "package_name", "value": "libssl3"}],
    }
    scan = {"imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": {"findings": [finding]}}
    scans.write_text(json.dumps({"*": scan}))
    sha = clone.git("rev-parse", "main")
    event = Event("repository_dispatch", MAIN, sha, {"action": "deploy", "client_payload": {"sha": sha}})
    known, started = len(read(log)), time.monotonic()
    try:
        with pytest.raises(AssertionError, match="1 critical finding: CVE-2026-1 in libssl3") as stopped:
            runner.run("deploy.yml", event, held={"production"})
    finally:
        scans.unlink()
        clone.git("rm", "--quiet", setting)
        clone.git("commit", "--quiet", "--message", "test: no gate")
    record_property("stopped deploy", f"{time.monotonic() - started:.0f} s")
    assert "make rollback ENV=staging" in str(stopped.value)
    calls = [line["action"] for line in read(log)[known:] if role_of(line) == "settlement-github-deploy-staging"]
    assert "ecr:DescribeImageScanFindings" in calls
    assert [
        call for call in calls if not call.partition(":")[2].startswith(("BatchGet", "Describe", "Get", "List"))
    ] == []
    assert serving(clone) == first


def test_a_rollback_by_hand_puts_the_first_back(clone: Clone, runner: Runner, runs: list[Finished]) -> None:
    second = serving(clone)
    inputs = {"environment": "staging", "why": 'checkout "fails"; $(id)'}
    event = Event("workflow_dispatch", MAIN, clone.git("rev-parse", "main"), {"inputs": inputs}, inputs)
    finished = runner.run("rollback.yml", event)
    runs.append(finished)
    first = serving(clone)
    assert first != second
    assert f"version `{first}`" in finished.step("Show the serving version").summary
    assert "octocat" in finished.step("Show the serving version").summary
    clone.make("status", "ENV=staging", "FORMAT=json")
    status = json.loads((clone.path / ".local/staging/status.json").read_text())
    assert status["releases"][0]["why"] == inputs["why"]


def test_drift_opens_an_issue_for_a_difference_only(
    clone: Clone, hub: Hub, runner: Runner, runs: list[Finished]
) -> None:
    """In one run, staging differs, and production cannot be compared. The unit tests close the issue again."""
    clone.aws("logs").put_retention_policy(logGroupName=f"/ecs/{PREFIX}", retentionInDays=1)
    clone.commit("inventory/production/group_vars/all/wrong.yml", "vpc_endpoints_enabled: maybe\n")
    event = Event("schedule", MAIN, clone.git("rev-parse", "main"))
    finished = runner.run("drift.yml", event, failing={"drift (production)"})
    runs.append(finished)
    clone.git("revert", "--no-edit", "HEAD")
    (issue,) = hub.state.issues.values()
    assert issue["title"] == "staging is not what the repository says"
    assert "retention_in_days" in issue["body"]
    assert acts_as(finished, "Plan", "plan-staging", "drift (staging)")
    assert "vpc_endpoints_enabled is 'maybe'" in finished.step("Say what failed", "drift (production)").summary


def test_the_costs_are_reported_weekly(clone: Clone, hub: Hub, runner: Runner, runs: list[Finished]) -> None:
    runs.append(runner.run("cost.yml", Event("schedule", MAIN, clone.git("rev-parse", "main"))))
    assert hub.artifacts["cost-report"] == ["report.html", "report.json"]


def test_each_role_has_the_rights_that_its_runs_call_and_no_others(clone: Clone, hub: Hub) -> None:
    names = [f"settlement-github-{name}" for name in ("build", "plan-staging", "deploy-staging", "rollback-staging")]
    iam = clone.aws("iam")
    assert_rights(read(hub.programs.with_name("calls.jsonl")), {name: identity_of(iam, name) for name in names})


def test_destroyed_and_deployed_again(clone: Clone, record_property: Any) -> None:
    """A person destroys and deploys again. The new deployment has the newest commit, not the rolled-back one."""
    assert "Nothing was touched" in clone.make("destroy", "ENV=staging", expect=2).output
    run = clone.make("destroy", "ENV=staging", destroy_confirm=PREFIX)
    record_property("destroy", f"{run.seconds():.0f} s")
    clone.commit("app/api/settlement/__init__.py", "\n# The fix.\n")
    clone.make("deploy", "ENV=staging")
    assert serving(clone) == clone.version()


def test_every_line_was_executed(runs: list[Finished]) -> None:
    github = Path(REPOSITORY, ".github")
    workflows = [file for file in github.glob("workflows/*.yml") if file.stem != "lock"]
    written = run_lines(*workflows, *github.glob("actions/*/action.yml"))
    assert len(written) >= 15
    assert written - set().union(*(finished.lines() for finished in runs)) == set(EXCLUDED)
