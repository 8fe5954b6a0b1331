"""The first migration of an application, from its models."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from fargate_ops.adopt.library import PYPROJECT
from fargate_ops.adopt.lock import process_environment
from fargate_ops.core.problem import OperationsError

_SECONDS = 300
#: The application may import the library, which its lock does not contain.
_SOURCE = PYPROJECT.parents[1]
_PROGRAM = Path(__file__).with_name("first_revision.py")
#: The application's module may read them when it is imported. Nothing is connected.
_PLATFORM = {
    "DATABASE_HOST": "localhost",
    "DATABASE_PORT": "5432",
    "DATABASE_NAME": "none",
    "DATABASE_USER": "none",
    "DATABASE_PASSWORD": "none",
}


def first_revision(folder: Path, root: str, program: str, lock: str, python: str) -> str:
    """Return the text of a migration that creates the tables of the application in a folder.

    Its module is imported, with the packages of its lock and nothing else. Raises OperationsError.
    """
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch, "revision.py")
        command = [
            *("uv", "run", "--quiet", "--isolated", "--no-project", "--no-build", "--python", _interpreter(python)),
            *("--with-requirements", lock),
            *("python", str(_PROGRAM), program.partition(":")[0], str(written)),
        ]
        paths = f"{folder.resolve() / root}:{_SOURCE}"
        environment = {**process_environment(), **_PLATFORM, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OperationsError(f"the application was not imported within {_SECONDS} s") from None
        if done.returncode:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise OperationsError(said[-1] if said else f"{program} cannot be imported")
        return written.read_text(encoding="utf-8")


def _interpreter(python: str) -> str:
    """Return the image's Python if this machine has it, else this program's own."""
    found = subprocess.run(
        ["uv", "python", "find", "--no-python-downloads", python],
        env=process_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else sys.executable
