"""Read a saved plan, and refuse one that must not be applied."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform import cause
from fargate_ops.terraform.plan import Plan, nothing_to_apply, refusal, refused, without_database
from fargate_ops.terraform.workspace import FINGERPRINT, LOCK_FILE, exact_version, locked_version


@dataclass(frozen=True, kw_only=True)
class SavedPlan:
    """A plan of `root` that Terraform saved. ``launcher`` runs Terraform with ``environment``."""

    root: Path
    data_dir: Path
    file: str
    launcher: str
    environment: Mapping[str, str]

    def record_init(self, fingerprint: str, provider_version: str) -> None:
        """Save the environment's provider lock and fingerprint. The plan exists, so ``terraform init`` has succeeded.

        Raises:
            ProblemError: init chose another provider version than the exact one that the environment declares.
        """
        lock = self.root / LOCK_FILE
        wanted, chosen = exact_version(provider_version), locked_version(lock)
        if wanted and chosen != wanted:
            raise ProblemError(
                f"Nothing was applied: this environment declares provider hashicorp/aws {wanted}, init chose {chosen}.",
                "aws_provider_version and terraform.lock.hcl (inventory)",
                "correct one of them, then repeat the command",
            )
        if lock.is_file():  # a root with only built-in resources has none
            (self.data_dir / LOCK_FILE).write_bytes(lock.read_bytes())
        (self.data_dir / FINGERPRINT).write_text(fingerprint)

    def document(self, output: str) -> dict[str, Any]:
        """Return the plan as JSON. It is not read if `output`, the output of ``terraform plan``, reports no changes."""
        return {} if nothing_to_apply(output) else json.loads(self.show("-json"))

    def keep(self, output: str) -> Path:
        """Write `output`, the output of ``terraform plan``, beside the plan, readable by the owner only.

        It shows no value that Terraform masks, but names, addresses and settings: no workflow publishes it.
        """
        path = Path(self.file).with_suffix(".txt")
        path.touch(mode=0o600)
        path.write_text(output)
        return path

    def show(self, *options: str) -> str:
        """Return the output of ``terraform show`` for the plan.

        Raises:
            ProblemError: Terraform cannot read it.
        """
        command = [self.launcher, "show", "-no-color", *options, self.file]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ProblemError(f"The plan cannot be read: {done.stderr.strip()}", self.file, "repeat the command")
        return done.stdout


def guard(
    plan: Plan,
    root: Path,
    environment: str,
    playbook: str,
    *,
    protected_types: Sequence[str],
    allowed: Sequence[str],
    causes: Callable[[], Sequence[str]],
) -> None:
    """Refuse a plan that must not be applied. `causes` is called only for a refusal.

    Raises:
        ProblemError: the plan covers only a part of the configuration, or changes a protected resource without
            permission.
    """
    if not plan.complete:
        raise ProblemError(
            "Nothing was applied: the plan covers a part of the configuration only.",
            "a -target or -exclude of Terraform",
            "leave it out, then repeat the command",
        )
    if changes := refused(plan, protected_types, allowed):
        verb = Path(playbook).stem
        # make plan applies nothing, so the next command is a deployment.
        problem = refusal(changes, f"make {'deploy' if verb == 'plan' else verb} ENV={environment}", causes())
        raise ProblemError(problem.what, problem.where, without_database(changes, environment) or problem.next_step)


def difference(plan: Plan) -> str:
    """Return what differs from the repository, a line each; nothing if nothing does."""
    return "" if plan.empty else "".join(f"{line}\n" for line in (plan.summary(), *(c.line() for c in plan.changes)))


def causes(
    s3: Any, backend: Mapping[str, str], variables: Mapping[str, Any], names: Mapping[str, str], root: Path
) -> Sequence[str]:
    """Return the differences in the inventory since the last complete apply, a line each."""
    try:
        before = cause.read_record(s3, backend["bucket"], backend["key"])
    except (ClientError, BotoCoreError) as error:
        return [f"the inventory; its values of the last apply cannot be read: {error}"]
    if before is None:
        return ["the inventory; its values of the last apply are not known"]
    found = list(cause.differences(before, variables, names))
    return found or [f"{root}, or AWS itself: no value of the inventory differs from the last apply"]
