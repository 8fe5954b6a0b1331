"""Each environment keeps its own provider lock, and init runs only when something that it reads has changed."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from roles.terraform_stack.python import workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "terraform"
    (root / "modules" / "vpc").mkdir(parents=True)
    (root / "main.tf").write_text('module "vpc" { source = "./modules/vpc" }')
    (root / "modules" / "vpc" / "main.tf").write_text("")
    return root


def test_fingerprint_follows_what_init_reads(root: Path) -> None:
    def current() -> str:
        return workspace.fingerprint(root, root / "modules", {"bucket": "b"})

    first = current()
    assert current() == first
    assert workspace.fingerprint(root, root / "modules", {"bucket": "other"}) != first
    (root / "modules" / "vpc" / "variables.tf").write_text("")
    assert current() == first, "a module's variables are not read by init"
    (root / "main.tf").write_text("")
    assert current() != first


def test_initialised_needs_the_record_and_the_backend(tmp_path: Path) -> None:
    assert not workspace.initialised(tmp_path, "a")
    (tmp_path / workspace.FINGERPRINT).write_text("a")
    assert not workspace.initialised(tmp_path, "a")
    (tmp_path / "terraform.tfstate").write_text("{}")
    assert workspace.initialised(tmp_path, "a")
    assert not workspace.initialised(tmp_path, "b")


def test_applied_is_what_is_still_so(root: Path, tmp_path: Path) -> None:
    package = tmp_path / "bots.zip"
    package.write_text("one")

    def current(**variables: object) -> str:
        return workspace.applied_digest(root, root / "modules", {"package_path": str(package)} | variables, {})

    applied = current()
    assert not workspace.is_applied(tmp_path, applied, "etag")
    workspace.record_applied(tmp_path, applied, "etag")
    (root / workspace.LOCK_FILE).write_text("init leaves it")
    assert workspace.is_applied(tmp_path, current(), "etag")
    assert not workspace.is_applied(tmp_path, current(), "another etag"), "somebody else applied meanwhile"
    assert not workspace.is_applied(tmp_path, current(), ""), "the state is gone"
    assert not workspace.is_applied(tmp_path, current(size=2), "etag")
    (root / "modules/vpc/policy.json").write_text("{}")
    assert not workspace.is_applied(tmp_path, current(), "etag"), "a file of a module"
    (root / "modules/vpc/policy.json").unlink()
    assert workspace.is_applied(tmp_path, current(), "etag")
    package.write_text("two")
    assert not workspace.is_applied(tmp_path, current(), "etag"), "a file that a variable names"


def test_variables_are_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "terraform.tfvars.json"
    workspace.write_variables(path, {"name": "settlement", "azs": 3})
    assert json.loads(path.read_text()) == {"name": "settlement", "azs": 3}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_environments_own_lock_wins(root: Path, tmp_path: Path) -> None:
    own, saved, target = tmp_path / "own.hcl", tmp_path / "saved.hcl", root / workspace.LOCK_FILE
    saved.write_text("saved")
    workspace.install_lock_file(root, [own, saved], None)
    assert target.read_text() == "saved"
    own.write_text(f'provider "{workspace.PROVIDER}" {{\n  version = "6.25.0"\n  hashes = []\n}}\n')
    workspace.install_lock_file(root, [own, saved], "6.25.0")
    assert target.read_text() == own.read_text()
    # What an earlier version left behind does not hold up the next one.
    workspace.install_lock_file(root, [saved, own], "6.26.0")
    assert workspace.locked_version(target) == "6.26.0"


@pytest.mark.parametrize(
    ("constraint", "version"), [("= 6.25.0", "6.25.0"), ("6.25.0", "6.25.0"), (">= 5.100, < 7.0", None)]
)
def test_only_an_exact_constraint_is_pinned(constraint: str, version: str | None) -> None:
    assert workspace.exact_version(constraint) == version


def test_the_version_that_init_chose_is_read_from_the_lock(root: Path) -> None:
    assert workspace.locked_version(root / workspace.LOCK_FILE) is None
    workspace.install_lock_file(root, [], "6.25.0")
    assert workspace.locked_version(root / workspace.LOCK_FILE) == "6.25.0"


def test_a_lock_of_another_version_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "staging/terraform.lock.hcl"
    lock.parent.mkdir()
    assert not workspace.lock_refusal(lock, "6.25.0")
    lock.write_text(f'provider "{workspace.PROVIDER}" {{\n  version     = "6.24.0"\n}}\n')
    told = workspace.lock_refusal(lock, "6.25.0")
    assert "staging/terraform.lock.hcl is of provider 6.24.0" in told
    assert "Next: make lock" in told
    assert not workspace.lock_refusal(lock, "6.24.0")
    assert not workspace.lock_refusal(lock, None), "a range takes what is locked"


def test_without_a_lock_the_exact_version_is_pinned_or_another_environments_lock_dropped(root: Path) -> None:
    workspace.install_lock_file(root, [], "6.25.0")
    assert 'version = "6.25.0"' in (root / workspace.LOCK_FILE).read_text()
    workspace.install_lock_file(root, [], None)
    assert not (root / workspace.LOCK_FILE).exists()


def test_the_launcher_runs_terraform_but_for_what_only_its_module_wants(tmp_path: Path) -> None:
    terraform, launcher = tmp_path / "a folder" / "terraform", tmp_path / "terraform.sh"
    terraform.parent.mkdir()
    terraform.write_text('#!/bin/sh\necho "$#: $*$TF_CLI_ARGS_init"\nexit 2\n')
    terraform.chmod(0o755)
    workspace.write_launcher(launcher, str(terraform), locked=False)

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run([launcher, *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert run("plan", "-out", "a file") == (2, "3: plan -out a file\n")
    assert run("version", "-json") == (2, "2: version -json\n")
    assert run("validate", "-no-color") == (0, "")
    assert run("workspace", "list", "-no-color") == (0, "* default\n")
    assert run("output", "-no-color", "-json") == (0, "{}\n")
    workspace.write_launcher(launcher, str(terraform), locked=True)
    assert run("init") == (2, "1: init -lockfile=readonly\n")
    assert run("validate") == (0, "")
