"""The working folder of one Terraform root of one environment, and whether it must be initialised again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fargate_ops.terraform import launcher

FINGERPRINT = "initialised.sha256"
APPLIED = "applied.sha256"
LOCK_FILE = ".terraform.lock.hcl"
#: The file in the data folder in which ``terraform init`` records the backend.
BACKEND_RECORD = "terraform.tfstate"
PROVIDER = "registry.terraform.io/hashicorp/aws"


def fingerprint(root: Path, modules: Path, inputs: Mapping[str, Any]) -> str:
    """Return a hash of the input of ``terraform init``: module calls, versions, backend, provider source, lock file."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode())
    files = {*root.glob("*.tf"), root / LOCK_FILE, *modules.glob("*/versions.tf"), *modules.glob("*/main.tf")}
    for path in sorted(files):
        if path.is_file():
            digest.update(f"{path.relative_to(root.parent)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def initialised(data_dir: Path, wanted: str) -> bool:
    """Return whether the data folder was initialised with this fingerprint."""
    return _says(data_dir / FINGERPRINT, wanted) and (data_dir / BACKEND_RECORD).is_file()


def discard_broken(data_dir: Path) -> None:
    """Remove Terraform's record of the backend if it is not a JSON object, because ``init`` cannot replace it then."""
    record = data_dir / BACKEND_RECORD
    try:
        whole = not record.is_file() or isinstance(json.loads(record.read_bytes()), dict)
    except ValueError:
        whole = False
    if not whole:
        record.unlink()


def _says(record: Path, text: str) -> bool:
    return record.is_file() and record.read_bytes() == text.encode()


def applied_digest(root: Path, modules: Path, variables: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Return a hash of a plan's input without AWS: configuration, variables and the files that they name."""
    digest = hashlib.sha256(json.dumps([variables, inputs], sort_keys=True).encode())
    named = [Path(value) for value in variables.values() if isinstance(value, str) and os.path.isabs(value)]
    for path in sorted({*root.glob("*.tf"), *root.glob("*.tf.json"), *modules.rglob("*"), *named}):
        if path.is_file():
            digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_applied(data_dir: Path, digest: str, state: str) -> bool:
    """Return whether the configuration with this digest was applied to exactly this state, or needed no apply."""
    return _says(data_dir / APPLIED, f"{digest} {state}\n")


def record_applied(data_dir: Path, digest: str, state: str) -> None:
    """Record for `is_applied` that this configuration is applied. `state` is the etag of the state's object."""
    (data_dir / APPLIED).write_text(f"{digest} {state}\n")


def write_variables(path: Path, variables: Mapping[str, Any]) -> None:
    """Write the variables as ``*.tfvars.json``, readable by the owner only. They contain no secret."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(variables, indent=2, sort_keys=True) + "\n")


def write_launcher(path: Path, terraform: str, *, locked: bool, progress: Path) -> None:
    """Write the command for ``community.general.terraform`` and the guard: `launcher.py` with this binary.

    With `locked`, ``init`` adds no checksums to the provider lock. An apply and a destroy copy their output to
    `progress`.
    """
    init_option = "-lockfile=readonly" if locked else ""
    command = [sys.executable, "-I", launcher.__file__, terraform, init_option, str(progress)]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)


def stray_variables(root: Path) -> list[Path]:
    """Return the files from which Terraform would read variables automatically."""
    names = ("terraform.tfvars", "terraform.tfvars.json", "*.auto.tfvars", "*.auto.tfvars.json")
    return sorted(path for name in names for path in root.glob(name))


def exact_version(constraint: str) -> str | None:
    """Return the version that a constraint such as ``= 6.25.0`` names, or None for a range."""
    found = re.fullmatch(r"=?\s*(\d+\.\d+\.\d+)", constraint.strip())
    return found[1] if found else None


def locked_version(lock: Path) -> str | None:
    """Return the provider version that a lock file names, or None."""
    found = re.search(
        rf'provider "{re.escape(PROVIDER)}" {{\s*version\s*=\s*"([^"]+)"', lock.read_text() if lock.is_file() else ""
    )
    return found[1] if found else None


def lock_refusal(lock: Path, exact: str | None) -> str:
    """Return why the environment's own lock does not match its declared version, or an empty string."""
    locked = locked_version(lock)
    if not exact or not lock.is_file() or locked == exact:
        return ""
    return (
        f"{lock.parent.name}/{lock.name} is of provider {locked}, and this environment declares {exact} "
        "(aws_provider_version)."
    )


def install_lock_file(root: Path, saved: Sequence[Path], exact_version: str | None) -> None:
    """Install the environment's own provider lock: the first of `saved` that exists and is of `exact_version`.

    If there is none, pin `exact_version` and let ``init`` add the hashes. Without `exact_version`, remove the lock that
    another environment left, so that ``init`` chooses by the ranges of ``provider.tf``.
    """
    target = root / LOCK_FILE
    for path in saved:
        if path.is_file() and exact_version in (None, locked_version(path)):
            if not target.is_file() or target.read_bytes() != path.read_bytes():
                shutil.copyfile(path, target)
            return
    if exact_version:
        target.write_text(f'provider "{PROVIDER}" {{\n  version = "{exact_version}"\n}}\n')
    else:
        target.unlink(missing_ok=True)
