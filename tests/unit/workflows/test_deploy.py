"""The workflow deploy stops before it takes a role: at a commit that is not one of main, and without reviewers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fargate_ops.core.approved_plan import read
from fargate_ops.core.problem import ProblemError
from tests.unit.workflows.world import MAIN, World
from tests.workflows.runner import Event, Finished, git

#: Runs the job for production alone.
PRODUCTION = """
name: deploy
on: {workflow_dispatch: {}}
jobs:
  production:
    uses: ./.github/workflows/deploy-environment.yml
    permissions: {actions: read, contents: read, id-token: write}
    with: {environment: production, sha: "${{ github.sha }}"}
"""


#: A plan, with what a shell could change.
PLAN = r"""{"environment":"production","sections":{"x":{"update a[\"$(id)\"] 'b' \\n %s":{}}}}"""
#: A `make` that keeps the settings of a plan and of a deployment, and says that it serves the image
#: ``sha256:<environment>``.
MAKE = """
environment=${{2#ENV=}} settings=${{3#ARGS=-e @}}
case $1 in
  deploy) cp "$settings" "{here}/$environment.json"
    ! approved=$(jq --exit-status --raw-output .approved_plan "$settings") || cp "$approved" "{here}/approved" ;;
  plan) cp "$settings" "{here}/plan-$environment.json"; echo "what would change"
    mkdir -p ".local/$environment"; cp "{here}/plan" ".local/$environment/plan.json" ;;
  status) mkdir -p ".local/$environment"
    echo "{{\\"digest\\": \\"sha256:$environment\\"}}" | tee ".local/$environment/status.json" ;;
esac
"""


def deploy(world: World, sha: str, ref: str = MAIN, *failing: str) -> Finished:
    """Dispatch the workflow by hand, from the newest commit of `ref`."""
    inputs = {"sha": sha}
    event = Event("workflow_dispatch", ref, git(world.origin, "rev-parse", ref).strip(), {"inputs": inputs}, inputs)
    return world.runner.run("deploy.yml", event, held={"staging"}, failing=failing)


def deploy_production(world: World, workflow: str = PRODUCTION) -> Finished:
    """Run the job for production without staging. It ends where the Python environment is made."""
    world.environment("production", "AWS_DEPLOY_ROLE")
    world.hub.program("make", "false")
    (world.origin / ".github/workflows/test.yml").write_text(workflow)
    git(world.origin, "add", "--all")
    event = Event("workflow_dispatch", "refs/heads/other", world.commit("test"))
    return world.runner.run("test.yml", event, failing={"production/deploy"})


def test_a_commit_of_main_is_deployed(world: World) -> None:
    for sha in (world.first, world.newest):
        assert deploy(world, sha).held["staging"].inputs == {"environment": "staging", "sha": sha}
    assert deploy(world, "").held["staging"].inputs["sha"] == world.newest


def test_any_other_commit_stops_before_a_role_is_taken(world: World) -> None:
    refusals = {
        world.other: f"{world.other} is not a commit of main",
        "f" * 40: f"{'f' * 40} is not a commit of main",
        "main": "main is not a commit's full hash",
        world.first[:12]: f"{world.first[:12]} is not a commit's full hash",
        world.first.upper(): "is not a commit's full hash",
        f"{world.first}\n::set-env name=A::b": "is not a commit's full hash",
    }
    for sha, said in refusals.items():
        assert_stopped(deploy(world, sha, MAIN, "commit"), said)


def test_a_workflow_of_another_branch_deploys_nothing(world: World) -> None:
    stopped = deploy(world, world.first, "refs/heads/other", "commit")
    assert_stopped(stopped, "the workflow was started on refs/heads/other")


def assert_stopped(finished: Finished, said: str) -> None:
    """Assert that the check refused with one sentence, and that no other job ran."""
    (sentence,) = finished.step("Check the commit").output.splitlines()
    assert sentence.startswith("::error::Nothing was deployed: ")
    assert said in sentence
    assert "Next: start the workflow deploy on main" in sentence
    assert (finished.held, finished.skipped) == ({}, ["staging", "plan-production", "production"])


def test_production_stops_without_reviewers(world: World) -> None:
    finished = deploy_production(world)
    assert finished.step("Require reviewers of production").outcome == "failure"
    (sentence,) = finished.step("Require reviewers of production").output.splitlines()
    assert sentence.startswith("::error::The environment production has no required reviewers")
    assert "nothing was deployed. Next: name reviewers at https://github.com/example/settlement/settings" in sentence
    assert {step.outcome for step in finished.steps[1:]} == {"skipped"}


def test_production_goes_on_with_reviewers(world: World) -> None:
    world.hub.require_reviewers("production", "octocat")
    finished = deploy_production(world)
    assert finished.step("Require reviewers of production").outcome == "success"
    assert finished.step("Make the Python environment").outcome == "failure"  # it is not there in this test


def test_production_gets_the_digest_that_staging_verified(world: World, tmp_path: Path) -> None:
    for environment in ("staging", "production"):
        world.environment(environment, "AWS_DEPLOY_ROLE")
    world.hub.require_reviewers("production", "octocat")
    world.environment("plan-production", "AWS_PLAN_ROLE")
    (tmp_path / "plan").write_text(PLAN)
    world.hub.program("make", "sh", "-c", MAKE.format(here=tmp_path), "make")
    done = world.runner.run("deploy.yml", Event("repository_dispatch", MAIN, world.newest, {"action": "deploy"}))
    names = ("staging", "plan-production", "production")
    given = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in names}
    assert Path(given["production"].pop("approved_plan")).name == "plan.json"
    assert given == {
        "staging": {"image_build_allow_new": False, "image_build_digest": ""},
        "plan-production": {"image_build_allow_new": False, "image_build_digest": "sha256:staging"},
        "production": {"image_build_allow_new": False, "image_build_digest": "sha256:staging"},
    }
    assert (tmp_path / "approved").read_text() == PLAN
    assert "what would change" in done.step("Show the plan to the reviewers").summary


def test_production_without_a_plan_has_an_approval_that_approves_nothing(world: World, tmp_path: Path) -> None:
    world.environment("production", "AWS_DEPLOY_ROLE")
    world.hub.require_reviewers("production", "octocat")
    world.hub.program("make", "sh", "-c", MAKE.format(here=tmp_path), "make")
    (world.origin / ".github/workflows/test.yml").write_text(PRODUCTION)
    git(world.origin, "add", "--all")
    world.runner.run("test.yml", Event("workflow_dispatch", "refs/heads/other", world.commit("test")))
    with pytest.raises(ProblemError, match="the approved plan cannot be read"):
        read(tmp_path / "approved", "production")


@pytest.mark.parametrize(
    ("old", "new"),
    [("jobs:", "concurrency: {group: all}\njobs:"), ("    uses:", "    concurrency: {group: production}\n    uses:")],
    ids=["of the workflow", "of the job"],
)
def test_a_job_that_waits_for_a_reviewer_holds_no_concurrency_group(world: World, old: str, new: str) -> None:
    world.hub.require_reviewers("production", "octocat")
    with pytest.raises(AssertionError, match="waits for a reviewer while it holds"):
        deploy_production(world, PRODUCTION.replace(old, new))
