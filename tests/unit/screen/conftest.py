"""A project of its own with small playbooks, run by the real ansible-playbook."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
ANSIBLE = str(Path(sys.executable).with_name("ansible-playbook"))

INVENTORY = """
all:
  hosts: {this-machine: {ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}}
  vars: {env_name: demo, aws_environment: {}}
"""

#: An action that prints and returns what its arguments say.
SPEAK = """
import time
from pathlib import Path

from fargate_ops.core.lines import Answer, Note, Progress
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        args = self._task.args
        for line in args.get("say", []):
            Display().display(line)
        for line in args.get("warn", []):
            Display().display(line, color="yellow")
        for line in args.get("progress", []):
            Display().display(Progress(line))
        for line in args.get("note", []):
            Display().display(Note(line))
        if "answer" in args:
            Display().display(Answer(args["answer"]))
        result = {key: args[key] for key in ("outcome", "warnings", "work_skipped") if key in args}
        deadline = time.monotonic() + 60
        while "until" in args and not Path(args["until"]).exists():
            if time.monotonic() > deadline:
                raise AnsibleActionFail(f"there is no {args['until']}")
            time.sleep(0.05)
        if "fail" in args:
            raise AnsibleActionFail(args["fail"], result=result)
        return {"changed": args.get("changed", False), **result}
"""


@dataclass(frozen=True)
class Shown:
    """A finished command: its exit code, what it printed and what its log holds."""

    code: int
    screen: str
    errors: str
    log: str


@dataclass(frozen=True)
class Project:
    path: Path

    @property
    def local(self) -> Path:
        return self.path / ".local/demo"

    def command(self, playbook: str, *arguments: str) -> list[str]:
        path = self.path / f"playbooks/{playbook}.yml"
        return [ANSIBLE, "-i", "inventory/demo", str(path.relative_to(self.path)), *arguments]

    def environment(self, shell: Mapping[str, str]) -> dict[str, str]:
        dropped = ("ANSIBLE_", "AWS_", "TF_", "GITHUB_", "NO_COLOR", "PYTHONUNBUFFERED")
        own = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        config = {"ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "PYTHONPATH": str(REPOSITORY / "src")}
        return own | config | {"LC_ALL": "C.UTF-8", "TERM": "xterm"} | dict(shell)

    def write(self, playbook: str, content: str) -> None:
        (self.path / f"playbooks/{playbook}.yml").write_text(content)

    def role(self, name: str, tasks: str) -> None:
        file = self.path / f"playbooks/roles/{name}/tasks/main.yml"
        file.parent.mkdir(parents=True)
        file.write_text(tasks)

    def run(self, playbook: str, *arguments: str, **shell: str) -> Shown:
        before = self.logs()
        done = subprocess.run(
            self.command(playbook, *arguments),
            cwd=self.path,
            env=self.environment(shell),
            capture_output=True,
            text=True,
            check=False,
        )
        return Shown(done.returncode, done.stdout, done.stderr, self.read(before))

    def terminal(self, playbook: str, *arguments: str, columns: int, **shell: str) -> Shown:
        """Run it on a terminal of this width."""
        before = self.logs()
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            self.command(playbook, *arguments),
            cwd=self.path,
            env=self.environment(shell) | {"COLUMNS": str(columns)},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            parts = []
            try:
                while part := os.read(ours, 65536):
                    parts.append(part)
            except OSError:  # the terminal's other end is closed
                pass
            os.close(ours)
            errors = process.stderr.read().decode() if process.stderr else ""
        return Shown(process.returncode, b"".join(parts).decode().replace("\r\n", "\n"), errors, self.read(before))

    def logs(self) -> set[Path]:
        return set(self.local.glob("log/*.log"))

    def read(self, before: set[Path]) -> str:
        return "".join(path.read_text() for path in sorted(self.logs() - before))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for folder in ("inventory/demo", "playbooks/action_plugins"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "inventory/demo/hosts.yml").write_text(INVENTORY)
    (tmp_path / "playbooks/action_plugins/speak.py").write_text(SPEAK)
    return Project(tmp_path)
