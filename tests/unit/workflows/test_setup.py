"""The action `setup`: it refuses a job without a role, and a rollback finds the packages that drift has downloaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.unit.workflows.world import MAIN, PROJECT, World
from tests.workflows.runner import Event, Finished, git

PULL = "refs/pull/7/merge"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.environment("plan-staging", "AWS_PLAN_ROLE")
    world.environment("plan-production", "AWS_PLAN_ROLE")
    world.environment("rollback-staging", "AWS_ROLLBACK_ROLE")
    world.hub.program("make", "true")
    git(world.origin, "switch", "--quiet", "main")
    return world


def rollback(world: World, *failing: str) -> Finished:
    inputs = {"environment": "staging"}
    commit = git(world.origin, "rev-parse", "main").strip()
    return world.runner.run("rollback.yml", Event("workflow_dispatch", MAIN, commit, {}, inputs), failing=failing)


def drift(world: World) -> Finished:
    return world.runner.run("drift.yml", Event("schedule", MAIN, world.newest))


def saves(finished: Finished) -> set[str]:
    return {step.outcome for step in finished.steps if step.name == "Save the downloaded packages"}


def test_a_rollback_finds_what_drift_has_downloaded(world: World) -> None:
    assert "success" in saves(drift(world))
    assert saves(rollback(world)) == {"skipped"}


def test_a_job_that_fails_has_saved_what_it_downloaded(world: World) -> None:
    world.hub.program("make", "sh", "-c", 'test "$1" = venv', "make")
    assert saves(rollback(world, "rollback")) == {"success"}
    assert saves(rollback(world, "rollback")) == {"skipped"}


def test_other_packages_are_downloaded_and_saved(world: World) -> None:
    drift(world)
    with (world.origin / "requirements.txt").open("a") as lock:
        lock.write("# another lock\n")
    git(world.origin, "add", "--all")
    world.commit("other packages")
    assert saves(rollback(world)) == {"success"}


def test_a_pull_request_gives_a_rollback_nothing(world: World) -> None:
    """Its commits are not reviewed. GitHub separates the caches; the paths and keys do not."""
    payload = {"pull_request": {"head": {"repo": {"full_name": "somebody/else"}}}}
    finished = world.runner.run("ci.yml", Event("pull_request", PULL, world.newest, payload))
    assert saves(finished) == {"success", "skipped"}
    assert saves(rollback(world)) == {"success"}


def test_a_job_without_a_role_says_which_variable_is_missing(world: World) -> None:
    state = world.hub.state
    state.variables.clear()
    world.hub.save(state)
    finished = rollback(world, "rollback")
    (sentence,) = finished.step("Require the role").output.splitlines()
    assert sentence.startswith("::error::AWS_ROLLBACK_ROLE is not set")
    assert "Next: make bootstrap ENV=" in sentence
    assert finished.step("Make the Python environment").outcome == "skipped"


@pytest.mark.parametrize("workflow", sorted((PROJECT / ".github/workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_each_job_names_the_variable_of_its_role(workflow: Path) -> None:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        for step in job.get("steps", []):
            if "role" in step.get("with", {}):
                assert re.findall(r"vars\.(\w+)", step["with"]["role"]) == [step["with"]["variable"]]
