"""Set variables and environments of a GitHub repository with GitHub's command line ``gh``.

It uses the person's login: no token is read, stored or passed on here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fargate_ops.core.problem import ProblemError

_TIMEOUT_SECONDS = 60

#: Runs ``gh`` with these arguments and this input: exit code, output, errors.
Run = Callable[[Sequence[str], str], tuple[int, str, str]]


@dataclass(frozen=True)
class Variable:
    """`environment` is one of GitHub's, None for the repository's own."""

    environment: str | None
    name: str
    value: str

    @property
    def command(self) -> str:
        """The arguments that set it by hand, after ``gh variable set … --repo …``."""
        return f"{self.name}" + (f" --env {self.environment}" if self.environment else "") + f" --body {self.value}"


@dataclass
class Outcome:
    """What was set or would be, and what a person still has to do."""

    changes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def gh(arguments: Sequence[str], given: str) -> tuple[int, str, str]:
    """Run ``gh`` (`Run`). The exit code is 127 if it is missing."""
    try:
        done = subprocess.run(
            ["gh", *arguments], input=given, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError:
        return 127, "", "gh is not on PATH"
    except subprocess.TimeoutExpired:
        return 124, "", f"gh did not answer within {_TIMEOUT_SECONDS} s"
    return done.returncode, done.stdout, done.stderr.strip()


def unusable(run: Run, repository: str) -> str:
    """Return why `gh` cannot set the variables; empty if it can."""
    code, out, errors = run(["api", f"repos/{repository}", "--jq", ".permissions.admin"], "")
    if code:
        return errors or f"gh exits with {code}"
    return "" if out.strip() == "true" else f"gh's login does not administer {repository}"


class Repository:
    """One repository, through ``gh api``."""

    def __init__(self, name: str, branch: str, run: Run) -> None:
        self._name, self._branch, self._run = name, branch, run

    def ensure(self, wanted: Sequence[Variable]) -> Outcome:
        """Create missing environments, and set the variables. Other variables stay.

        Raises ProblemError if GitHub refuses.
        """
        outcome = Outcome()
        for environment in sorted({item.environment for item in wanted if item.environment}):
            self._environment(environment, outcome)
        for item in wanted:
            self._variable(item, outcome)
        return outcome

    def _environment(self, environment: str, outcome: Outcome) -> None:
        """Create the environment for `branch` only, because a job's token in it does not name the branch."""
        path = f"environments/{quote(environment, safe='')}"
        found = self._call("GET", path, missing=True)
        if found is None:
            policy = {"deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True}}
            self._call("PUT", path, policy)
            self._call("POST", f"{path}/deployment-branch-policies", {"name": self._branch})
            outcome.changes.append(f"environment {environment}, for the branch {self._branch} alone")
        elif not found.get("deployment_branch_policy"):
            # A person created it: its rules are not overwritten.
            outcome.remarks.append(
                f"any branch may deploy to the environment {environment}, and so take its role; next: "
                f"let {self._branch} alone, at https://github.com/{self._name}/settings/environments"
            )
        rules = {rule.get("type") for rule in (found or {}).get("protection_rules", [])}
        if environment == "production" and "required_reviewers" not in rules:
            outcome.remarks.append(
                "nobody approves a deployment to production yet; next: give the environment production required "
                f"reviewers, at https://github.com/{self._name}/settings/environments"
            )

    def _variable(self, item: Variable, outcome: Outcome) -> None:
        below = f"environments/{quote(item.environment, safe='')}" if item.environment else "actions"
        found = self._call("GET", f"{below}/variables/{item.name}", missing=True)
        body = {"name": item.name, "value": item.value}
        if found is None:
            self._call("POST", f"{below}/variables", body)
        elif found["value"] != item.value:
            self._call("PATCH", f"{below}/variables/{item.name}", body)
        else:
            return
        outcome.changes.append(item.name + (f" of {item.environment}" if item.environment else ""))

    def _call(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        """Return GitHub's response; None if the object does not exist and that is allowed (`missing`)."""
        arguments = ["api", "--method", method, f"repos/{self._name}/{path}"]
        code, out, errors = self._run(
            [*arguments, *(["--input", "-"] if body else [])], json.dumps(body) if body else ""
        )
        if code and missing and "HTTP 404" in errors:
            return None
        if code:
            raise ProblemError(
                f"GitHub refuses {method} {path}: {errors}",
                f"https://github.com/{self._name}",
                "gh auth status; then bootstrap again with a login that administers the repository",
            )
        return json.loads(out) if out.strip() else {}
