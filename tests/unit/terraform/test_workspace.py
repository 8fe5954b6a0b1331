"""Each environment keeps its own provider lock, and init runs only when something that it reads has changed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fargate_ops.terraform import workspace


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


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_records_that_are_broken_count_as_absent(tmp_path: Path, content: bytes) -> None:
    for name in (workspace.FINGERPRINT, workspace.APPLIED, workspace.BACKEND_RECORD):
        (tmp_path / name).write_bytes(content)
    assert not workspace.is_applied(tmp_path, "digest", "etag")
    workspace.discard_broken(tmp_path)
    assert not (tmp_path / workspace.BACKEND_RECORD).exists(), "terraform init would fail on it for ever"
    assert not workspace.initialised(tmp_path, "a")


def test_the_record_of_a_backend_is_kept(tmp_path: Path) -> None:
    workspace.discard_broken(tmp_path)
    (tmp_path / workspace.BACKEND_RECORD).write_text('{"version": 3}')
    workspace.discard_broken(tmp_path)
    assert (tmp_path / workspace.BACKEND_RECORD).exists()


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
    # A lock that an earlier version left does not block the next one.
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
    terraform.write_text('#!/bin/sh\necho "$#: $*"\nexit 2\n')
    terraform.chmod(0o755)
    workspace.write_launcher(launcher, str(terraform), locked=False, progress=tmp_path / "progress.txt")

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run([launcher, *words], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    assert run("plan", "-out", "a file") == (2, "3: plan -out a file\n")
    assert run("version", "-json") == (2, "2: version -json\n")
    assert run("validate", "-no-color") == (0, "")
    assert run("workspace", "list", "-no-color") == (0, "* default\n")
    assert run("output", "-no-color", "-json") == (0, "{}\n")
    workspace.write_launcher(launcher, str(terraform), locked=True, progress=tmp_path / "progress.txt")
    assert run("init", "-no-color") == (2, "3: init -lockfile=readonly -no-color\n")
    assert run("plan", "-no-color") == (2, "2: plan -no-color\n")
    assert run("validate") == (0, "")


def test_the_shell_around_a_playbook_does_not_steer_terraform(tmp_path: Path) -> None:
    terraform, launcher = tmp_path / "terraform", tmp_path / "terraform.sh"
    terraform.write_text(f"#!{sys.executable}\nimport json, os\nprint(json.dumps(dict(os.environ)))\n")
    terraform.chmod(0o755)
    workspace.write_launcher(launcher, str(terraform), locked=False, progress=tmp_path / "progress.txt")
    ours = {"TF_DATA_DIR": "/data", "TF_CLI_CONFIG_FILE": "/rc", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    passes = {"PATH": os.environ["PATH"], "AWS_REGION": "eu-west-1", "TF_LOG": "INFO", "NOTE": "a\nTF_VAR_x=1"}
    shell = {
        "TF_WORKSPACE": "dev",
        "TF_VAR_database_name": "other",
        "TF_VAR_a-b": "1",
        "TF_CLI_ARGS": "-no-color",
        "TF_CLI_ARGS_plan": "-target=module.vpc",
        "TF_REATTACH_PROVIDERS": "{}",
        "TF_AWS_DEFAULT_TAGS_owner": "me",
        "TF_PLUGIN_CACHE_DIR": "/cache",
    }
    done = subprocess.run([launcher, "plan"], env=passes | shell | ours, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert {name for name in seen if name.startswith("TF_")} == {*ours, "TF_LOG", "TF_WORKSPACE"}
    assert seen["TF_WORKSPACE"] == "default"
    assert seen.items() >= (passes | ours).items()


def test_a_terraform_that_is_gone_is_named(tmp_path: Path) -> None:
    launcher = tmp_path / "terraform.sh"
    workspace.write_launcher(launcher, str(tmp_path / "gone"), locked=False, progress=tmp_path / "progress.txt")
    done = subprocess.run([launcher, "plan"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/gone cannot be run: No such file or directory. Next: ")


@pytest.mark.parametrize(
    "name", ["terraform.tfvars", "terraform.tfvars.json", "mine.auto.tfvars", "mine.auto.tfvars.json"]
)
def test_files_from_which_terraform_takes_variables_by_itself_are_found(root: Path, name: str) -> None:
    (root / "example.tfvars").touch()
    assert workspace.stray_variables(root) == []
    (root / name).touch()
    assert workspace.stray_variables(root) == [root / name]
