"""Run every molecule scenario of the roles: apply, apply again without a change, check mode."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BASE = REPOSITORY / "tests/molecule/base.yml"
SCENARIOS = sorted(REPOSITORY.glob("roles/*/molecule/*/molecule.yml"))


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH on which `ansible-playbook --version` takes no time: molecule runs it before each step."""
    directory = tmp_path_factory.mktemp("programs")
    program = directory / "ansible-playbook"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] || exec {shutil.which(program.name)} "$@"\n')
    program.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: f"{path.parents[2].name}-{path.parent.name}")
def test_scenario(scenario: Path, path: str, tmp_path: Path) -> None:
    role = scenario.parents[2]
    environment = {
        **os.environ,
        "PATH": path,
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "PYTHONPATH": f"{REPOSITORY}/src:{REPOSITORY}",
        # A folder of this run only, so that nothing of an interrupted run is left.
        "MOLECULE_EPHEMERAL_DIRECTORY": str(tmp_path),
    }
    done = subprocess.run(
        ["molecule", "--base-config", str(BASE), "test", "--scenario-name", scenario.parent.name],
        cwd=role,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # The step that failed; molecule goes on to remove what the scenario made.
    failed = (done.stdout + done.stderr).partition("Return code: 2")[0]
    assert done.returncode == 0, f"molecule test in {role}:\n{failed[-6000:]}"
