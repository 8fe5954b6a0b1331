"""Run uv, which is in this checkout's Python environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fargate_ops.core.problem import OperationsError

_SECONDS = 300


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command with uv on its path, and return its output. Raises OperationsError with uv's reason."""
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    path = f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}"
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**kept, "PATH": path, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OperationsError(f"uv did not end in {_SECONDS} s") from None
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = (line for line in said if line.startswith("error:"))
        raise OperationsError(next(errors, said[-1] if said else "uv failed"))
    return done.stdout
