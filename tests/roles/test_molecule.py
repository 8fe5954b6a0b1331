"""Every role's molecule scenario: apply, apply again unchanged, check mode."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BASE = REPOSITORY / "tests/molecule/base.yml"
SCENARIOS = sorted(REPOSITORY.glob("roles/*/molecule/*/molecule.yml"))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: f"{path.parents[2].name}-{path.parent.name}")
def test_scenario(scenario: Path) -> None:
    role = scenario.parents[2]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        ["molecule", "--base-config", str(BASE), "test", "--scenario-name", scenario.parent.name],
        cwd=role,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"molecule test in {role}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
