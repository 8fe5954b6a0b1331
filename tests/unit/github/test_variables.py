from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.github.variables import Repository, Variable, gh, unusable

NAME = "example/settlement"
WANTED = [
    Variable(None, "AWS_BUILD_ROLE", "arn:build"),
    Variable("production", "AWS_DEPLOY_ROLE", "arn:deploy"),
    Variable("rollback-production", "AWS_ROLLBACK_ROLE", "arn:rollback"),
]


class GitHub:
    """The used part of GitHub's API, behind the command line."""

    def __init__(self, *, admin: bool = True) -> None:
        self.admin, self.refuses = admin, ""
        self.environments: dict[str, dict[str, Any]] = {}
        self.branches: dict[str, list[str]] = {}
        self.variables: dict[str, str] = {}
        self.writes: list[str] = []

    def run(self, arguments: Sequence[str], given: str) -> tuple[int, str, str]:
        if arguments[1] == f"repos/{NAME}":
            return 0, f"{json.dumps(self.admin)}\n", ""
        _, _, method, path, *_ = arguments
        path = path.removeprefix(f"repos/{NAME}/")
        if method != "GET":
            self.writes.append(f"{method} {path}")
            if self.refuses:
                return 1, "", self.refuses
        body = json.loads(given) if given else {}
        parts = path.split("/")
        if path.endswith("/deployment-branch-policies"):
            self.branches.setdefault(parts[1], []).append(body["name"])
        elif "variables" in parts:
            key = path if method != "POST" else f"{path}/{body['name']}"
            if method == "GET":
                return (0, json.dumps({"value": self.variables[key]}), "") if key in self.variables else NOT_FOUND
            self.variables[key] = body["value"]
        elif method == "GET":
            found = self.environments.get(parts[1])
            return (0, json.dumps(found), "") if found is not None else NOT_FOUND
        else:
            self.environments[parts[1]] = body
        return 0, "", ""


NOT_FOUND = (1, '{"message":"Not Found"}', "gh: Not Found (HTTP 404)")


def test_what_is_missing_is_made_and_again_nothing_is() -> None:
    github = GitHub()
    outcome = Repository(NAME, "main", github.run).ensure(WANTED)
    assert len(outcome.changes) == 5
    assert github.variables == {
        "actions/variables/AWS_BUILD_ROLE": "arn:build",
        "environments/production/variables/AWS_DEPLOY_ROLE": "arn:deploy",
        "environments/rollback-production/variables/AWS_ROLLBACK_ROLE": "arn:rollback",
    }
    assert github.branches == {"production": ["main"], "rollback-production": ["main"]}
    assert [remark for remark in outcome.remarks if "nobody approves" in remark]
    github.writes.clear()
    assert Repository(NAME, "main", github.run).ensure(WANTED).changes == []
    assert github.writes == []


def test_a_value_that_differs_is_set() -> None:
    github = GitHub()
    Repository(NAME, "main", github.run).ensure(WANTED)
    github.variables["actions/variables/AWS_BUILD_ROLE"] = "arn:old"
    assert Repository(NAME, "main", github.run).ensure(WANTED).changes == ["AWS_BUILD_ROLE"]
    assert github.variables["actions/variables/AWS_BUILD_ROLE"] == "arn:build"


def test_an_environment_that_is_there_keeps_its_rules_and_what_they_lack_is_said() -> None:
    github = GitHub()
    reviewed = {"deployment_branch_policy": None, "protection_rules": [{"type": "required_reviewers"}]}
    github.environments["production"] = dict(reviewed)
    outcome = Repository(NAME, "main", github.run).ensure(WANTED[:2])
    assert github.environments["production"] == reviewed
    assert len(outcome.remarks) == 1
    assert "any branch may deploy to the environment production" in outcome.remarks[0]


def test_a_refusal_is_a_problem_with_a_next_step() -> None:
    github = GitHub()
    github.refuses = "gh: Resource not accessible (HTTP 403)"
    with pytest.raises(ProblemError, match=r"PUT environments/production.*403(?s:.*)gh auth status"):
        Repository(NAME, "main", github.run).ensure(WANTED)


def test_when_gh_cannot_set_them_it_is_said_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert unusable(GitHub().run, NAME) == ""
    assert "does not administer" in unusable(GitHub(admin=False).run, NAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert unusable(gh, NAME) == "gh is not on PATH"
    program = tmp_path / "gh"
    program.write_text("#!/bin/sh\necho 'not logged in: gh auth login' >&2\nexit 4\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert unusable(gh, NAME) == "not logged in: gh auth login"
