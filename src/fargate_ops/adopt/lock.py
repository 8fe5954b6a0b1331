"""Make the lock of an application's packages with uv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fargate_ops.adopt.requirements import LOCKS
from fargate_ops.core.problem import OperationsError

_SECONDS = 300
#: What the lock's first lines name: uv's own command has paths of this machine.
_HEADER = f"make adopt DIR=<this folder> OVERWRITE={LOCKS}"


def make(folder: Path, command: str) -> None:
    """Run the command that writes the lock in the application's folder. Raises OperationsError with uv's reason."""
    environment = process_environment() | {"UV_CUSTOM_COMPILE_COMMAND": _HEADER}
    try:
        done = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
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
        raise OperationsError(
            next((line for line in said if line.startswith("error:")), said[-1] if said else "uv failed")
        )


def process_environment() -> dict[str, str]:
    """Return the environment of a process that finds the uv of this checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}"}
