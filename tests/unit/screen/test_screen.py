"""What a person sees of a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from fargate_ops.screen.log import Log
from tests.local_cloud.conftest import wait_for
from tests.support import snapshots
from tests.unit.screen.conftest import ANSIBLE, REPOSITORY, Project, Shown

SCREENS = Path(__file__).with_name("screens")

PLAY = """
- name: Check this machine
  hosts: all
  gather_facts: false
  roles: [checks]

- name: Deploy
  hosts: all
  gather_facts: false
  tasks:
"""
ROLE = """
- name: Look
  speak: {say: ["  demo\\n  ├─ inventory  OK\\n  └─ disk  OK    60 GiB free"]}
- name: Publish
  ansible.builtin.set_fact: {checked: true}
"""
UNCHANGED = """
    - name: Take the lock
      speak: {note: [locked for Deploy]}
    - name: Check the image's findings
      speak: {say: [never said]}
      when: false
    - name: Build and push the image
      block:
        - name: Build and push the image
          ansible.builtin.include_tasks: build.yml
"""
CHANGED = """
    - name: Bring the infrastructure up to date
      speak:
        changed: true
        say: [one, two, three, four, five, six, "  seven", "  terraform: create 3"]
        progress: ["  creating aws_vpc.this, 10 s · 1 of 3 done"]
    - name: Rotate the password
      ansible.builtin.command: echo hunter2
      no_log: true
    - name: Release and verify it
      speak:
        warn: ["an alarm is in ALARM: settlement-demo-cpu"]
        warnings: [a module's warning]
        outcome:
          kind: done
          what: 3f2a serves
          facts: {digest: "sha256:72ca", address: "http://127.0.0.1:8080"}
          next: make status ENV=demo
"""
FAILING = """
    - name: Release, holding the lock
      block:
        - name: Release and verify it
          ansible.builtin.import_role: {name: release}
      always:
        - name: Give the lock back
          speak: {note: [freed the lock]}
"""
RELEASE = """
- name: Bring it into service, or record why not
  block:
    - name: Update the service
      speak: {changed: true, say: ["watching ecs-svc/1, at most 600 s", "essential container exited (1)"]}
    - name: Watch the service
      speak: {fail: "essential container exited (1)"}
  rescue:
    - name: Record the failure
      speak:
        say: [the previous release serves again]
        outcome:
          kind: failed_and_undone
          what: 3f2a did not become healthy
          cause: essential container exited (1)
          serves: 9c1d, as before
    - name: Fail
      ansible.builtin.fail: {msg: "demo: the release failed.\\nNext: make logs ENV=demo"}
"""


@pytest.fixture
def project(project: Project) -> Project:
    project.role("checks", ROLE)
    project.role("release", RELEASE)
    (project.path / "playbooks/build.yml").write_text(
        "- speak: {say: ['app:3f2a is in the registry'], work_skipped: true}\n"
    )
    project.write("unchanged", PLAY + UNCHANGED)
    project.write("changed", PLAY + UNCHANGED + CHANGED)
    project.write("failing", PLAY + UNCHANGED + FAILING)
    return project


def check(name: str, shown: Shown) -> None:
    snapshots.check(SCREENS / f"{name}.txt", shown.screen)


def outcome(project: Project) -> dict[str, object]:
    found: dict[str, object] = json.loads((project.local / "outcome.json").read_text())
    return found


def test_a_run_without_a_change(project: Project) -> None:
    shown = project.run("unchanged")
    assert (shown.code, shown.errors) == (0, "")
    check("unchanged", shown)
    assert "TASK [Take the lock]" in shown.log
    assert "locked for Deploy" in shown.log
    assert re.search(r"^this-machine .* changed=0 ", shown.log, re.MULTILINE)
    (log,) = project.logs()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert shown.screen.splitlines()[-1].endswith(str(log.relative_to(project.path)))
    assert stat.S_IMODE((project.local / "outcome.json").stat().st_mode) == 0o600
    assert outcome(project)["kind"] == "done"


def test_a_run_with_changes_and_warnings(project: Project) -> None:
    shown = project.run("changed")
    assert shown.code == 0
    check("changed", shown)
    assert "a module's warning" in shown.errors
    assert "hunter2" not in shown.screen + shown.log + shown.errors
    assert "an alarm is in ALARM" in shown.log
    assert "1 of 3 done" in shown.log
    assert "a module's warning" in shown.log
    assert outcome(project)["facts"] == {"digest": "sha256:72ca", "address": "http://127.0.0.1:8080"}
    assert outcome(project)["changed"] == 2


def test_check_mode(project: Project) -> None:
    check("check_mode", project.run("changed", "--check"))
    assert outcome(project)["check_mode"] is True


def test_a_failure_is_said_once_and_last(project: Project) -> None:
    shown = project.run("failing")
    assert shown.code == 2
    check("failing", shown)
    assert "\x1b" not in shown.screen
    assert shown.screen.count("essential container exited (1)") == 1
    assert outcome(project)["kind"] == "failed_and_undone"
    assert "fatal: [this-machine]" in shown.log


REFUSED = {"kind": "refused", "what": "nothing was touched", "cause": "the image is for ARM64"}
REFUSALS = {
    "by its outcome": {"speak": {"fail": "demo: no", "outcome": REFUSED}},
    "by its message": {
        "ansible.builtin.assert": {"that": "false", "fail_msg": "Nothing was touched. It is for ARM64."}
    },
    "of its arguments": {
        "ansible.builtin.validate_argument_spec": {"argument_spec": {"image": {"required": True}}},
    },
}


@pytest.mark.parametrize(("changed", "kind"), [(False, "refused"), (True, "failed")])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_after_a_change_is_a_failure(
    project: Project, refusal: dict[str, object], changed: bool, kind: str
) -> None:
    apply = {"name": "Apply", "speak": {"changed": changed}}
    release = {"name": "Release", **refusal}
    project.write("refused", PLAY + f"    - {json.dumps(apply)}\n    - {json.dumps(release)}\n")
    shown = project.run("refused")
    assert outcome(project)["kind"] == kind
    assert ("nothing was touched" in shown.screen) is not changed
    assert ("the command stopped" in shown.screen) is changed


def test_a_terminal_of_forty_columns(project: Project) -> None:
    lines = project.terminal("failing", columns=40).screen.split("\n")
    live = [part for line in lines for part in line.split("\r\x1b[K")[:-1]]
    assert any(line[2:].startswith("Release and verify it") for line in live)
    assert max(map(len, live)) < 40
    snapshots.check(SCREENS / "forty_columns.txt", "\n".join(line.rpartition("\r\x1b[K")[2] for line in lines))


def test_a_shell_without_unicode(project: Project) -> None:
    shown = project.run("failing", SHELL_LOCALE="C")
    check("ascii", shown)
    assert shown.screen.isascii()


def test_github(project: Project) -> None:
    output = project.path / "output"
    check("github", project.run("changed", GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output)))
    assert output.read_text() == "outcome=done\n"


def test_an_expert_sees_ansibles_own_output(project: Project) -> None:
    ansible = project.run("failing", ANSIBLE_STDOUT_CALLBACK="default")
    shown = project.run("failing", OUTPUT="ansible")
    *lines, last = shown.screen.splitlines()
    assert lines == ansible.screen.splitlines()
    assert last.startswith("Log: .local/demo/log/")
    assert shown.errors == ansible.errors
    assert ansible.screen.strip() in shown.log
    assert outcome(project)["kind"] == "failed_and_undone"


@pytest.mark.parametrize("arguments", [["-v"], ["--diff"], ["--start-at-task", "Take the lock"]], ids=" ".join)
def test_an_argument_that_asks_for_ansibles_output_shows_it(project: Project, arguments: list[str]) -> None:
    shown = project.run("failing", *arguments)
    assert "\nPLAY RECAP ****" in shown.screen
    assert "✗" not in shown.screen
    assert "\nPLAY RECAP ****" in shown.log


def test_lists_are_ansibles(project: Project) -> None:
    shown = project.run("failing", "--list-tasks")
    assert shown.screen == project.run("failing", "--list-tasks", ANSIBLE_STDOUT_CALLBACK="default").screen
    assert not project.local.exists()


def test_an_answer_is_shown_whole(project: Project) -> None:
    answer = "\n".join(f"line {number}" for number in range(50))
    show = {"name": "Show", "speak": {"answer": answer}}
    verdict = {"name": "Print", "ansible.builtin.debug": {"msg": "VERDICT"}}
    project.write("status", PLAY + f"    - {json.dumps(show)}\n    - {json.dumps(verdict)}\n")
    shown = project.run("status")
    assert f"\n{answer}\nVERDICT\n✓ demo: status is done\n" in shown.screen
    assert answer in shown.log


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 99), (signal.SIGTERM, -signal.SIGTERM)])
def test_an_interruption_says_where(project: Project, sent: signal.Signals, code: int) -> None:
    started = project.path / "started"
    wait = {"name": "Wait for the rollout", "ansible.builtin.shell": f"touch {started}; exec sleep 60"}
    project.write("waiting", PLAY + f"    - {json.dumps(wait)}\n")
    with subprocess.Popen(
        project.command("waiting"),
        cwd=project.path,
        env=project.environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout
        wait_for(started.exists)
        os.killpg(process.pid, sent)
        seen = process.stdout.read()
    assert process.returncode == code
    assert "✗ Wait for the rollout" in seen
    assert f"cause:  interrupted by {sent.name}\n" in seen
    assert "next:   make status ENV=demo\n" in seen
    assert seen.splitlines()[-1].startswith("  log:    .local/demo/log/")
    assert outcome(project)["kind"] == "failed"


def test_a_folder_that_cannot_be_written_is_said(project: Project) -> None:
    (project.path / ".local").touch()
    shown = project.run("unchanged")
    assert shown.code == 0
    assert shown.screen.splitlines()[-1].startswith("  log:  none (Not a directory: ")


def test_old_logs_are_removed(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"20250101T0000{number:02}-deploy.log").touch()
    new = Log(tmp_path, "deploy")
    new.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert (len(names), names[0], names[-1]) == (50, "20250101T000011-deploy.log", new.path.name)


def test_an_inventory_of_no_environment_is_logged_in_the_checkout(project: Project, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    package = "src/fargate_ops"
    shutil.copytree(REPOSITORY / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    command = [ANSIBLE, "-i", "localhost,", "playbooks/unchanged.yml", "-e", "ansible_connection=local"]
    environment = project.environment({"PYTHONPATH": str(checkout / "src")})
    done = subprocess.run(command, cwd=project.path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "\n✓ unchanged is done\n" in done.stdout
    assert list(checkout.glob(".local/log/*-unchanged.log"))
    assert not (project.path / ".local").exists()


def test_ansibles_own_output_comes_line_by_line(project: Project) -> None:
    seen = project.path / "seen"
    say = {"name": "Say a line, then wait until it was read", "speak": {"say": ["one line"], "until": str(seen)}}
    project.write("lines", PLAY + f"    - {json.dumps(say)}\n")
    with subprocess.Popen(
        project.command("lines"),
        cwd=project.path,
        env=project.environment({"OUTPUT": "ansible"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        assert "one line\n" in process.stdout
        seen.touch()
        process.stdout.read()
    assert process.returncode == 0
