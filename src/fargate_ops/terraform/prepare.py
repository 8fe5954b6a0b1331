"""Prepare the working folder of one Terraform root for `community.general.terraform`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform import workspace
from fargate_ops.terraform.outputs import state_etag

_LOCK = "make lock, then commit what it wrote"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of the action ``terraform_workspace``."""

    root: Path
    data_dir: Path
    variables: Mapping[str, Any]
    backend: Mapping[str, str]
    lock_file: Path
    provider_version: str
    terraform_path: str
    provider_source: str
    plan_unchanged: bool
    preview: bool


def unreadable_state(s3: Any, bucket: str) -> str:
    """Return why the state cannot be read, or an empty string."""
    try:
        s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return f"The state bucket {bucket} does not exist; bootstrap makes it."
        return f"The state bucket {bucket} cannot be read: {error}."
    except BotoCoreError as error:
        return f"AWS does not answer: {error}."
    return ""


def prepare(request: Request, s3: Any, say: Callable[[str], None], warn: Callable[[str], None]) -> dict[str, Any]:
    """Write the provider lock, the variables file and the launcher.

    Return the results that the action ``terraform_workspace`` documents.

    Raises:
        ProblemError: the provider lock is missing or of another version, or files in the root would set variables.
    """
    root, data_dir, lock_file = request.root, request.data_dir, request.lock_file
    modules, exact = root.parent / "modules", workspace.exact_version(request.provider_version)
    _refuse(root, lock_file, exact)
    locked = lock_file.is_file()
    if exact and not locked:
        missing = f"no {lock_file.parent.name}/{lock_file.name} has the checksums of provider {exact}"
        if not request.preview:
            raise ProblemError(f"Nothing was planned: {missing}.", str(lock_file), _LOCK)
        warn(f"  {missing}, so it is taken as the registry gives it. Next: {_LOCK}")
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.chmod(0o700)  # a saved plan holds the variables' values, and Terraform lets everybody read it
    workspace.discard_broken(data_dir)
    workspace.install_lock_file(root, [lock_file, data_dir / workspace.LOCK_FILE], exact)
    wanted = workspace.fingerprint(root, modules, {"backend": request.backend, "source": request.provider_source})
    name = "preview" if request.preview else "apply"
    variables_file, launcher = data_dir / f"{name}.tfvars.json", data_dir / "terraform.sh"
    progress = data_dir / "progress.txt"
    workspace.write_variables(variables_file, request.variables)
    workspace.write_launcher(launcher, request.terraform_path, locked=locked, progress=progress)
    # Not the lock that init writes into the root: it does not exist before the first plan.
    inputs = {
        "backend": request.backend,
        "terraform": request.terraform_path,
        "provider": [request.provider_source, request.provider_version],
        "lock": lock_file.read_text() if locked else "",
    }
    digest = workspace.applied_digest(root, modules, request.variables, inputs)
    unchanged = not request.plan_unchanged and workspace.is_applied(
        data_dir, digest, state_etag(s3, request.backend["bucket"], request.backend["key"])
    )
    if unchanged:
        say(f"  {root.name}: as it was applied, so it is not planned")
    return {
        "known": True,
        "unchanged": unchanged,
        "applied": {"data_dir": str(data_dir), "digest": digest, "variables_file": str(variables_file)},
        "init": not workspace.initialised(data_dir, wanted),
        "fingerprint": wanted,
        "launcher": str(launcher),
        "variables_file": str(variables_file),
        "plan_file": str(data_dir / f"{name}.tfplan"),
        "progress_file": str(progress),
        "preview": request.preview,
    }


def _refuse(root: Path, lock_file: Path, exact: str | None) -> None:
    if refusal := workspace.lock_refusal(lock_file, exact):
        raise ProblemError(refusal, str(lock_file), _LOCK)
    if stray := workspace.stray_variables(root):
        raise ProblemError(
            f"Terraform would take variables from {', '.join(path.name for path in stray)}; nothing was planned.",
            str(root),
            f"set them in the inventory, then: rm {' '.join(shlex.quote(str(path)) for path in stray)}",
        )
