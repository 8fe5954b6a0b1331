"""An apply is shown while it runs, and survives the end of its playbook. With a real Terraform, without a provider."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.terraform import workspace
from fargate_ops.terraform.progress import Progress, TerraformError
from tests.local_cloud.conftest import wait_for

PROJECT = Path(__file__).parents[3]
PLAN = "Plan: 2 to import, 2 to add, 1 to change, 3 to destroy.\n"
#: What Terraform 1.11 prints.
OUTPUT = """\
aws_vpc.this: Modifying... [id=vpc-1]
aws_lb.this["a: b"]: Creating...
aws_lb.this["a: b"]: Still creating... [10s elapsed]
aws_eip.new: Creating...
aws_eip.new: Creation complete after 3s [id=eip-2]
aws_eip.new (deposed object 73ba78b0): Destroying... [id=eip-1]
aws_eip.new: Destruction complete after 0s
aws_vpc.this: Modifications complete after 1s [id=vpc-1]
aws_lb.this["a: b"]: Creation complete after 2m3s [id=arn:aws:elasticloadbalancing:1]
aws_instance.old: Destr"""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_names_the_operation_that_lasts_longest(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "progress.txt"
    file.write_text("what the last run left")
    progress = Progress(file, PLAN, clock)
    progress.read()
    assert progress.line() == "Terraform runs, 0 s · 0 of 6 done"

    seen = []
    for line in OUTPUT.splitlines(keepends=True):
        with file.open("a") as more:
            more.write(line)
        progress.read()
        clock.now += 40
        seen.append(progress.line())
    assert seen[0] == "updating aws_vpc.this, 40 s · 0 of 6 done"
    assert seen[3] == "updating aws_vpc.this, 2 min 40 s, and 2 more · 0 of 6 done"
    assert seen[5] == "updating aws_vpc.this, 4 min 0 s, and 2 more · 1 of 6 done"
    assert seen[7] == 'creating aws_lb.this["a: b"], 4 min 40 s · 3 of 6 done'
    assert seen[9] == "Terraform runs, 6 min 40 s · 4 of 6 done", "half a line is not read"
    with file.open("a") as more:
        more.write("oying... [id=i-1]\n")
    progress.read()
    assert progress.line() == "destroying aws_instance.old, 0 s · 4 of 6 done"
    assert progress.ended("\nDestroy complete! Resources: 3 destroyed.\n") == "3 destroyed, in 6 min 40 s"


ERRORS = """\

Warning: Deprecated attribute

Error: creating RDS DB Instance (db): InvalidParameterValue: no such class

  with module.rds[0].aws_db_instance.this,
  on modules/rds/main.tf line 12, in resource "aws_db_instance" "this":
  12: resource "aws_db_instance" "this" {

Error: waiting for ELB: timeout

  with aws_lb.this,
  on main.tf line 3, in resource "aws_lb" "this":
"""


def test_a_failure_is_reported_with_its_place_and_cause(tmp_path: Path) -> None:
    error = TerraformError(Path("terraform"), Progress(tmp_path / "progress.txt", PLAN), ERRORS, "make infra ENV=qa")
    outcome = Outcome.from_result(error.details["outcome"])
    assert outcome.kind is Kind.FAILED
    assert outcome.what == "Terraform stopped after 0 of 6 changes."
    assert outcome.where == "module.rds[0].aws_db_instance.this, aws_lb.this"
    assert outcome.cause == (
        "creating RDS DB Instance (db): InvalidParameterValue: no such class · waiting for ELB: timeout"
    )
    assert outcome.next == "make infra ENV=qa"
    assert "Deprecated" not in str(error)
    other = TerraformError(
        Path("terraform"), Progress(tmp_path / "progress.txt"), "terraform cannot be run", "make infra"
    )
    assert Outcome.from_result(other.details["outcome"]).where == "terraform"
    assert "terraform cannot be run" in str(other)


# The launcher, and the action with Ansible.

ROOT = """
resource "terraform_data" "quick" {}
resource "terraform_data" "slow" {
  provisioner "local-exec" { command = "until [ -e '%s' ]; do sleep 0.05; done; . '%s'" }
}
"""
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  vars: {env_name: qa}
  tasks:
    - terraform_apply:
        progress_file: "{{ root }}/progress.txt"
        plan_output: "{{ lookup('file', root ~ '/plan.txt') }}"
        seconds: 0.1
        module:
          state: present
          project_path: "{{ root }}"
          binary_path: "{{ root }}/terraform.sh"
          plan_file: "{{ root }}/plan"
      register: applied
    - debug: {msg: "changed {{ applied.changed }}"}
"""
needs_terraform = pytest.mark.skipif(not shutil.which("terraform"), reason="make test provides terraform")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root with a saved plan and a launcher. Its apply waits for the script `go`."""
    (tmp_path / "main.tf").write_text(ROOT % (tmp_path / "go", tmp_path / "go"))
    launcher, progress = tmp_path / "terraform.sh", tmp_path / "progress.txt"
    workspace.write_launcher(launcher, str(shutil.which("terraform")), locked=False, progress=progress)
    for command in (["init"], ["plan", "-out=plan", "-no-color"]):
        done = subprocess.run([launcher, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
    (tmp_path / "plan.txt").write_text(done.stdout)
    yield tmp_path
    go(tmp_path)


def go(root: Path, script: str = "") -> None:
    (root / "go.new").write_text(script)
    (root / "go.new").rename(root / "go")


def waits(root: Path) -> bool:
    progress = root / "progress.txt"
    return progress.is_file() and "slow: Provisioning" in progress.read_text()


def locked(root: Path) -> bool:
    return (root / ".terraform.tfstate.lock.info").exists()


def resources(root: Path) -> set[str]:
    return {resource["name"] for resource in json.loads((root / "terraform.tfstate").read_text())["resources"]}


@needs_terraform
def test_the_launcher_adds_a_file_and_changes_nothing_else(root: Path) -> None:
    go(root)
    apply = [str(root / "terraform.sh"), "apply", "-no-color"]
    done = subprocess.run([*apply, "plan"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Resources: 2 added, 0 changed, 0 destroyed." in done.stdout
    progress = root / "progress.txt"
    assert progress.read_text() == done.stdout
    assert progress.stat().st_mode & 0o777 == 0o600
    # The saved plan is stale now. Nor does Terraform need the file.
    progress.unlink()
    progress.mkdir()
    again = subprocess.run([*apply, "plan"], cwd=root, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "Saved plan is stale" in again.stderr


@needs_terraform
def test_terraform_works_on_although_nobody_reads_its_output(root: Path) -> None:
    """Its module has been killed."""
    command = [str(root / "terraform.sh"), "apply", "-no-color", "plan"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout
        assert run.stderr
        wait_for(lambda: waits(root))
        run.stdout.close()
        run.stderr.close()
        go(root, "for line in a b c; do echo $line; sleep 0.1; done")
        assert run.wait(timeout=240) == 0
    assert not locked(root)
    assert resources(root) == {"quick", "slow"}


@contextmanager
def playing(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the action in a playbook."""
    (root / "play.yml").write_text(PLAYBOOK)
    (root / "ansible.cfg").touch()
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_ACTION_PLUGINS": str(PROJECT / "roles/terraform_stack/action_plugins"),
        "ANSIBLE_PIPELINING": "true",
        "PYTHONPATH": str(PROJECT / "src"),
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    variables = json.dumps({"root": str(root), "ansible_python_interpreter": sys.executable})
    with subprocess.Popen(
        [program, "-i", "localhost,", "-c", "local", "-e", variables, root / "play.yml"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        # The shell may have started the tests with SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                run.kill()


def until(run: subprocess.Popen[str], pattern: str) -> None:
    assert run.stdout
    seen = []
    for line in run.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return
    pytest.fail(f"never said {pattern!r}:\n" + "".join(seen))


def rest(run: subprocess.Popen[str]) -> str:
    return run.communicate(timeout=240)[0]


@needs_terraform
def test_an_apply_is_shown_while_it_runs(root: Path) -> None:
    with playing(root) as run:
        until(run, r"  creating terraform_data\.slow, \d+ s · 1 of 2 done")
        go(root)
        said = rest(run)
    assert f"  {root.name}: 2 added, 0 changed, 0 destroyed, in " in said
    assert "changed True" in said
    assert run.returncode == 0


@needs_terraform
def test_a_failed_apply_names_the_resource_the_cause_and_the_next_command(root: Path) -> None:
    go(root, "exit 3")
    with playing(root) as run:
        said = rest(run)
    assert run.returncode == 2
    assert "Terraform stopped after 1 of 2 changes." in said
    assert "Error: local-exec provisioner error" in said
    assert "make play ENV=qa" in said
    assert resources(root) == {"quick", "slow"}


@needs_terraform
def test_ctrl_c_ends_the_playbook_and_terraform_saves_its_state(root: Path) -> None:
    with playing(root) as run:
        until(run, r"  creating terraform_data\.slow,")
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=240) != 0
    wait_for(lambda: not locked(root))
    assert resources(root) == {"quick", "slow"}
