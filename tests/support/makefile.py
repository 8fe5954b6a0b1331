"""The Makefile in a separate folder, with fake programs that record their arguments and environment."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENTS = ("local", "staging", "production")

_RECORDER = """\
#!/bin/sh
printf '%s\\0' "$@" > {place}/arguments
env -0 > {place}/environment
"""


@dataclass(frozen=True)
class Call:
    """The arguments and environment of a recorded program."""

    arguments: list[str]
    environment: dict[str, str]

    @classmethod
    def read(cls, place: Path) -> Call:
        arguments, environment = ((place / name).read_text().split("\0")[:-1] for name in ("arguments", "environment"))
        return cls(arguments, dict(item.split("=", 1) for item in environment))

    def text(self, name: str) -> str:
        """Return the value of an extra variable that is passed through an environment variable."""
        prefix = f'{{"{name}": "{{{{ lookup(\\"ansible.builtin.env\\", \\"'
        (found,) = (word.removeprefix(prefix) for word in self.arguments if word.startswith(prefix))
        return self.environment[found.partition("\\")[0]]


@dataclass
class Made:
    """A finished make, with its call of ansible-playbook."""

    code: int
    output: str
    errors: str
    call: Call | None


@dataclass
class Tree:
    """A checkout with the Makefile, the inventories that it needs, and a Python environment with fake programs."""

    path: Path
    shell: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]})

    def __post_init__(self) -> None:
        for name in ("Makefile", "pyproject.toml", "requirements.txt"):
            self.path.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, self.path)
        for environment in (*ENVIRONMENTS, "qa"):
            source = "staging" if environment == "qa" else environment
            folder = self.path / "inventory" / environment / "group_vars/all"
            folder.mkdir(parents=True)
            shutil.copy(REPOSITORY / "inventory" / source / "group_vars/all/aws.yml", folder)
            shutil.copy(REPOSITORY / "inventory" / source / "hosts.yml", folder.parents[1])
            (self.path / "inventory/shared.yml").touch()
            (self.path / ".local" / environment).mkdir(parents=True)
            for name in ("status.json", "settings.json", "shell.sh"):
                (self.path / ".local" / environment / name).touch()
        console = self.path / "src/fargate_ops/console"
        console.mkdir(parents=True)
        (console / "__main__.py").touch()
        self.record("ansible-playbook", self.path / ".venv/bin")
        (self.path / ".venv/bin/python").symlink_to(sys.executable)
        (self.path / ".venv/.ready").touch()

    def record(self, program: str, directory: Path) -> Path:
        """Make a fake program. Return the folder of its record."""
        place = self.path / ".local/calls" / program
        place.mkdir(parents=True, exist_ok=True)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / program).write_text(_RECORDER.format(place=shlex.quote(str(place))))
        (directory / program).chmod(0o755)
        return place

    def make(self, *words: str, **shell: str) -> Made:
        return self.run(["make", *words], **shell)

    def run(self, command: list[str], **shell: str) -> Made:
        """Run a command; `shell` holds variables of the user's shell."""
        place = self.path / ".local/calls/ansible-playbook"
        for old in place.iterdir():
            old.unlink()
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.shell | shell,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        called = (place / "environment").exists()
        return Made(done.returncode, done.stdout, done.stderr, Call.read(place) if called else None)
