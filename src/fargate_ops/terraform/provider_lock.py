"""Write an environment's provider lock: the checksums of one exact version for every platform in use.

https://developer.hashicorp.com/terraform/cli/commands/providers/lock
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.launcher import terraform_environment
from fargate_ops.terraform.workspace import LOCK_FILE, install_lock_file, locked_version

_TIMEOUT_SECONDS = 1200  # three platforms of 150 MB each; the registry has no checksums in the required form


@dataclass(frozen=True)
class Request:
    """What to lock. `mirror` None: the registry's own, signed packages."""

    version: str
    platforms: Sequence[str]
    mirror: Path | None

    def __str__(self) -> str:
        return f"provider hashicorp/aws {self.version} for {', '.join(self.platforms)}"


def resolve(request: Request, root: Path, current: Path, terraform: Path, environment: Mapping[str, str]) -> str:
    """Return the lock file's text. It works on a copy and changes neither `root` nor `current`. Raises ProblemError."""
    with tempfile.TemporaryDirectory(prefix="provider-lock-") as scratch:
        copy = Path(scratch, "root")
        shutil.copytree(root, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*", "tests"))
        # Checksums of the same version are kept and extended; those of another version are not.
        same = current.is_file() and locked_version(current) == request.version
        install_lock_file(copy, [current] if same else [], request.version)
        _run([str(terraform), "get", "-no-color"], copy, environment, request)
        options = [f"-platform={platform}" for platform in request.platforms]
        if request.mirror:
            options.append(f"-fs-mirror={request.mirror.absolute()}")
        _run([str(terraform), "providers", "lock", "-no-color", *options], copy, environment, request)
        lock = copy / LOCK_FILE
        if (locked := locked_version(lock)) != request.version:
            raise ProblemError(
                f"Terraform locked {locked}, not {request.version}.",
                str(root / "provider.tf"),
                "see that its constraint allows aws_provider_version of the inventory",
            )
        return lock.read_text(encoding="utf-8")


def write(path: Path, text: str) -> bool:
    """Write `text` completely or not at all. Return whether the file changed."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
    return True


def checksums(text: str) -> int:
    """Return the number of checksums in a lock."""
    return len(re.findall(r'"(?:h1|zh):', text))


def _run(command: list[str], root: Path, environment: Mapping[str, str], request: Request) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=terraform_environment(os.environ) | dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _problem(request, f"No answer in {_TIMEOUT_SECONDS} seconds.") from error
    if done.returncode:
        said = done.stdout.partition("Error: ")[2] or done.stdout
        raise _problem(request, " ".join(said.split()))


def _problem(request: Request, said: str) -> ProblemError:
    if request.mirror:
        next_step = (
            "terraform providers mirror -platform=… with each platform into that directory, or unset TF_PLUGIN_DIR"
        )
    else:
        next_step = "on a machine that reaches the registry: make lock, then commit what it wrote"
    return ProblemError(
        f"There are no checksums of {request}; nothing was written. Terraform says: {said}",
        str(request.mirror or "registry.terraform.io"),
        next_step,
    )
