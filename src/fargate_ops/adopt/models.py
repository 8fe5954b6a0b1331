"""The first migration of an application, from its models."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fargate_ops.adopt import uv
from fargate_ops.adopt.library import PYPROJECT
from fargate_ops.core.problem import OperationsError

#: It runs with the application's packages, outside this package.
_PROGRAM = Path(__file__).with_name("first_revision.py")
#: The application may import the library, which its lock does not contain.
_LIBRARY = PYPROJECT.parents[1]
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

    Its module is imported from the folder `root`, with the packages of its lock. Raises OperationsError.
    """
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch, "revision.py")
        command = [
            *("uv", "run", "--quiet", "--isolated", "--no-project", "--no-build", "--python", _interpreter(python)),
            *("--with-requirements", lock),
            *("python", str(_PROGRAM), program.partition(":")[0], str(written)),
        ]
        paths = {"PYTHONPATH": f"{folder.resolve() / root}:{_LIBRARY}", "PYTHONDONTWRITEBYTECODE": "1"}
        uv.run(command, folder, _PLATFORM | paths)
        return written.read_text(encoding="utf-8")


def _interpreter(python: str) -> str:
    """Return the image's Python if this machine has it, else this program's own."""
    try:
        return uv.run(["uv", "python", "find", "--no-python-downloads", python], Path.cwd(), {}).strip()
    except OperationsError:
        return sys.executable
