"""A new inventory as Ansible reads it, and its variables for Terraform, compared with its source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.inventory.preflight import check
from tests.unit.inventory.conftest import given

PROJECT = Path(__file__).parents[3]
FLAGS = {"name": "qa", "from": "staging", "region": "ap-northeast-1", "account_id": "123456789012"}


def ansible(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an Ansible command without a terminal."""
    return subprocess.run(
        [Path(sys.executable).parent / command, *arguments],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def new_env(inventories: Path, *more: str, **flags: str) -> subprocess.CompletedProcess[str]:
    variables = {f"environment_folder_{key}": value for key, value in (flags | {"directory": str(inventories)}).items()}
    return ansible("ansible-playbook", "playbooks/new_env.yml", "-e", json.dumps(variables), *more)


def told(inventory: Path) -> dict[str, Any]:
    """Return an environment's variables for Terraform and the roles, templated with the playbooks' variables."""
    names = ("terraform_variables", "state_bucket", "image_registry", "image_repository")
    shown = ansible(
        "ansible",
        "controller",
        *("-i", str(inventory), "--playbook-dir", "playbooks", "-m", "ansible.builtin.debug"),
        *("-a", "msg={{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"),
        *("-e", "ansible_connection=local"),
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    found: dict[str, Any] = json.JSONDecoder().raw_decode(shown.stdout.partition("=> ")[2])[0]
    message = found["msg"]
    return dict(json.loads(message) if isinstance(message, str) else message)


@pytest.fixture
def inventories(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PROJECT / "inventory", tmp_path / "inventory", symlinks=True))


def test_the_new_environment_is_the_other_but_for_what_was_asked(inventories: Path) -> None:
    looked = new_env(inventories, "--check", **FLAGS)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert "inventory/qa would be staging" in looked.stdout
    assert not (inventories / "qa").exists()

    made = new_env(inventories, **FLAGS)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "Next: make bootstrap ENV=qa, then make plan ENV=qa" in made.stdout

    assert check(given(inventories / "qa")).problems == ()

    listed = ansible("ansible-inventory", "-i", str(inventories / "qa"), "--list")
    assert json.loads(listed.stdout)["_meta"]["hostvars"]["this-machine"]["env_name"] == "qa"

    staging, qa = told(inventories / "staging"), told(inventories / "qa")
    old, new = staging["terraform_variables"], qa["terraform_variables"]
    assert {name: value for name, value in new.items() if value != old[name]} == {
        "env_name": "qa",
        "aws_region": "ap-northeast-1",
        "aws_account_id": "123456789012",
        "state_bucket": "settlement-terraform-123456789012-ap-northeast-1",
        "network_availability_zones": {
            zone.replace("-2", "-1"): ranges for zone, ranges in old["network_availability_zones"].items()
        },
    }
    assert new.keys() == old.keys()
    assert qa["state_bucket"] == "settlement-terraform-123456789012-ap-northeast-1"
    assert qa["image_registry"] == "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com"


def test_without_a_terminal_what_is_missing_is_named(inventories: Path) -> None:
    done = new_env(inventories, name="qa", account_id="012345678901")
    assert done.returncode != 0
    assert "Not given: FROM=staging, REGION=ap-northeast-1\n" in done.stdout + done.stderr
    assert not (inventories / "qa").exists()


def test_name_zones_and_ranges_are_the_inventorys(inventories: Path) -> None:
    """The application's name, the number of zones and the ranges reach Terraform from the inventory alone."""
    shared, network = inventories / "shared.yml", inventories / "staging/group_vars/all/network.yml"
    shared.write_text(shared.read_text().replace("app_name: settlement", "app_name: billing"))
    network.write_text(
        network.read_text()
        .replace("vpc_cidr: 10.0.0.0/18", "vpc_cidr: 10.0.0.0/17")
        .replace("  ap-northeast-2c: {", "  # ap-northeast-2c: {")
    )
    found = told(inventories / "staging")
    variables = found["terraform_variables"]
    assert (variables["app_name"], variables["network_vpc_cidr"]) == ("billing", "10.0.0.0/17")
    assert variables["network_availability_zones"] == {
        "ap-northeast-2a": {"public": "10.0.8.0/24", "private": "10.0.1.0/24", "database": "10.0.4.0/24"},
        "ap-northeast-2b": {"public": "10.0.9.0/24", "private": "10.0.2.0/24", "database": "10.0.5.0/24"},
    }
    assert (found["image_repository"], found["state_bucket"][:18]) == ("billing", "billing-terraform-")
