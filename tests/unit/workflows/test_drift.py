"""The workflow drift: an issue for a difference only, which is closed when the difference is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.workflows.world import MAIN, World
from tests.workflows.runner import Event, Finished

TITLE = "staging is not what the repository says"
#: A `make plan` that writes the difference of staging, says so, and fails if there is a file that says why.
MAKE = """
[ "$1 $2" = "plan ENV=staging" ] || exit 0
echo "the plan"
[ ! -e {here}/fault ] || {{ cat {here}/fault >&2; exit 2; }}
cp {here}/difference "$(jq -r .terraform_stack_difference_file "${{3#ARGS=-e @}}")"
"""


class Drift:
    def __init__(self, world: World, directory: Path) -> None:
        self.world, self.directory = world, directory
        for environment in ("staging", "production"):
            world.environment(f"plan-{environment}", "AWS_PLAN_ROLE")
        world.hub.program("make", "sh", "-c", MAKE.format(here=directory), "make")

    def run(self, difference: str = "", fault: str = "") -> Finished:
        (self.directory / "difference").write_text(difference)
        (self.directory / "fault").unlink(missing_ok=True)
        if fault:
            (self.directory / "fault").write_text(fault)
        event = Event("schedule", MAIN, self.world.newest)
        return self.world.runner.run("drift.yml", event, failing={"drift (staging)"} if fault else ())

    @property
    def issues(self) -> list[dict[str, Any]]:
        return list(self.world.hub.state.issues.values())


@pytest.fixture
def drift(world: World, tmp_path: Path) -> Drift:
    return Drift(world, tmp_path)


def test_a_difference_opens_an_issue_and_updates_it_until_it_is_gone(drift: Drift) -> None:
    drift.run("update 1\n~ aws_lb.this (idle_timeout)\n")
    drift.run("update 1\n~ aws_lb.other (name)\n")
    (issue,) = drift.issues
    assert (issue["title"], issue["state"]) == (TITLE, "OPEN")
    assert "~ aws_lb.other (name)" in issue["body"]
    assert "aws_lb.this" not in issue["body"]
    assert "the plan" in issue["body"]
    drift.run()
    (issue,) = drift.issues
    assert issue["state"] == "CLOSED"
    assert issue["comments"] == ["The difference is gone: https://github.com/example/settlement/actions/runs/1003."]


def test_another_failure_says_what_failed_and_changes_no_issue(drift: Drift) -> None:
    drift.run("update 1\n")
    before = drift.issues
    finished = drift.run(fault="The state bucket cannot be read: AccessDenied\n")
    assert drift.issues == before
    said = finished.step("Say what failed", "drift (staging)")
    assert said.output.startswith("::error::staging was not compared with the repository, and no issue was changed")
    assert "The state bucket cannot be read: AccessDenied" in said.summary
    assert not [step for step in finished.steps if step.job == "drift (production)" and step.outcome == "failure"]
