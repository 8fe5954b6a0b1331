"""Make the lock of an application's packages with uv."""

from __future__ import annotations

from pathlib import Path

from fargate_ops.adopt import uv
from fargate_ops.adopt.requirements import LOCKS

#: What the lock's first lines name: uv's own command has paths of this machine.
_HEADER = f"make adopt DIR=... OVERWRITE={LOCKS}"


def make(folder: Path, command: str) -> None:
    """Run the command that writes the lock in the application's folder. Raises OperationsError with uv's reason."""
    uv.run(["/bin/bash", "-o", "pipefail", "-c", command], folder, {"UV_CUSTOM_COMPILE_COMMAND": _HEADER})
