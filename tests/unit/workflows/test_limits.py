"""Time limits that have to fit into each other: waits, command, job of GitHub, session of the role."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fargate_ops.release.deadline import LEAST_SECONDS

PROJECT = Path(__file__).parents[3]
#: What a job does before and after the command: checkout, Python environment, summary.
AROUND_SECONDS = 300


def read(path: str) -> Any:
    return yaml.safe_load((PROJECT / path).read_text())


DEFAULTS = read("roles/ecs_release/defaults/main.yml")
(ROLLBACK,) = read("playbooks/rollback.yml")
SETUP = read(".github/actions/setup/action.yml")
WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))


def jobs(workflow: Path) -> dict[str, Any]:
    return {name: job for name, job in yaml.safe_load(workflow.read_text())["jobs"].items() if "steps" in job}


def session_seconds() -> int:
    (step,) = [step for step in SETUP["runs"]["steps"] if "configure-aws-credentials" in step.get("uses", "")]
    return int(step["with"].get("role-duration-seconds", 3600))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_roles_session_outlives_its_job(workflow: Path) -> None:
    for name, job in jobs(workflow).items():
        if any("actions/setup" in step.get("uses", "") for step in job["steps"]):
            assert job["timeout-minutes"] * 60 <= session_seconds(), name


def test_a_role_gives_sessions_of_that_length() -> None:
    terraform = (PROJECT / "terraform/modules/github/main.tf").read_text()
    (factors,) = re.findall(r"max_session_duration = ([\d *]+)", terraform)
    hours, minutes, seconds = (int(factor) for factor in factors.split("*"))
    assert hours * minutes * seconds >= session_seconds()


@pytest.mark.parametrize(
    ("workflow", "job", "flow"),
    [
        ("deploy-environment", "deploy", DEFAULTS["ecs_release_flow_seconds"]),
        ("rollback", "rollback", ROLLBACK["vars"]["ecs_release_flow_seconds"]),
    ],
)
def test_a_job_outlives_its_command(workflow: str, job: str, flow: int) -> None:
    limit = jobs(PROJECT / f".github/workflows/{workflow}.yml")[job]["timeout-minutes"] * 60
    assert flow + AROUND_SECONDS <= limit


def test_the_waits_of_a_release_and_of_its_undoing_fit_into_the_command() -> None:
    waits = sum(DEFAULTS[f"ecs_release_{name}_seconds"] for name in ("prepare_wait", "wait", "rollback_wait"))
    # Before them: a release that nobody watched is seen to its end.
    assert waits + DEFAULTS["ecs_release_wait_seconds"] <= DEFAULTS["ecs_release_flow_seconds"]
    rollback = sum(DEFAULTS[f"ecs_release_{name}_seconds"] for name in ("wait", "rollback_wait"))
    assert rollback + LEAST_SECONDS <= ROLLBACK["vars"]["ecs_release_flow_seconds"]
