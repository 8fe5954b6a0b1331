"""A fake of the command line `gh`: the calls that workflows and bootstrap make, with gh's own flags.

    python gh.py <state file> pr comment 7 --repo example/settlement --body-file comment.md

The state file stores all changes. An unknown call, or one that the token's permissions do not allow, fails as in gh.
Manual: https://cli.github.com/manual; the API behind ``gh api``: https://docs.github.com/rest.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: Each permission level and the levels that it includes.
_LEVELS = {"read": {"read"}, "write": {"read", "write"}, "admin": {"read", "write", "admin"}}


@dataclass
class State:
    """GitHub's data of one repository."""

    repository: str
    #: By token: permissions and their levels, as in a job's ``permissions``.
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    #: By path below the repository: ``actions/variables/NAME`` or ``environments/<name>/variables/NAME``.
    variables: dict[str, str] = field(default_factory=dict)
    environments: dict[str, Any] = field(default_factory=dict)
    #: By environment: the branches that may deploy to it.
    branches: dict[str, list[str]] = field(default_factory=dict)
    #: By environment: the users who must approve a job in it.
    reviewers: dict[str, list[str]] = field(default_factory=dict)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    #: By pull request: the comments of the workflows' account.
    comments: dict[str, list[str]] = field(default_factory=dict)

    #: By the branch of each open pull request: its title.
    pulls: dict[str, str] = field(default_factory=dict)
    #: By number, as ``gh issue list --json`` returns them.
    issues: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> State:
        return cls(**json.loads(path.read_text()))

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


class RefusedError(Exception):
    """GitHub refuses the call. The text is gh's output."""


class GitHub:
    """One call with a token."""

    def __init__(self, state: State, token: str | None) -> None:
        if token not in state.tokens:
            raise RefusedError("To get started with GitHub CLI, please run:  gh auth login")
        self.state, self.permissions = state, state.tokens[token]

    def _require(self, permission: str, level: str) -> None:
        if level not in _LEVELS.get(self.permissions.get(permission, ""), set()):
            raise RefusedError(f"gh: Resource not accessible by integration (HTTP 403): {permission} {level}")

    def api(self, method: str, path: str, body: Any) -> Any:
        """Return the response; None if it is empty."""
        root = f"repos/{self.state.repository}"
        if (method, path) == ("GET", root):
            return {"permissions": {"admin": self.permissions.get("administration") == "admin"}}
        if (method, path) == ("POST", f"{root}/dispatches"):
            return self._dispatch(body)
        if method == "GET" and (found := re.fullmatch(rf"{root}/environments/([^/]+)", path)):
            return self._environment(found[1])
        self._require("administration", "admin")
        return self._settings(method, path.removeprefix(f"{root}/"), body)

    def _dispatch(self, body: Any) -> None:
        """https://docs.github.com/rest/repos/repos#create-a-repository-dispatch-event"""
        self._require("contents", "write")
        known = isinstance(body, dict) and set(body) <= {"event_type", "client_payload"}
        if not known or not 0 < len(body.get("event_type", "")) <= 100 or len(body.get("client_payload", {})) > 10:
            raise RefusedError("gh: Invalid request (HTTP 422)")
        self.state.dispatches.append(body)

    def _environment(self, name: str) -> Any:
        """https://docs.github.com/rest/deployments/environments#get-an-environment"""
        self._require("actions", "read")
        if name not in self.state.environments:
            raise RefusedError(f"gh: Not Found (HTTP 404): environments/{name}")
        rules: list[dict[str, Any]] = [{"id": 1, "type": "branch_policy"}]
        if users := self.state.reviewers.get(name):
            reviewers = [{"type": "User", "reviewer": {"login": user}} for user in users]
            rules.append({"id": 2, "type": "required_reviewers", "prevent_self_review": False, "reviewers": reviewers})
        return {**self.state.environments[name], "name": name, "protection_rules": rules}

    def _settings(self, method: str, path: str, body: Any) -> Any:
        """Read or change environments, their branches, and variables."""
        found = re.fullmatch(r"(?:actions|environments/[^/]+)/variables(?:/(\w+))?", path)
        if found:
            if method == "GET" and path in self.state.variables:
                return {"name": found[1], "value": self.state.variables[path]}
            if method == "POST" and not found[1]:
                self.state.variables[f"{path}/{body['name']}"] = body["value"]
                return None
            if method == "PATCH" and path in self.state.variables:
                self.state.variables[path] = body["value"]
                return None
        elif found := re.fullmatch(r"environments/([^/]+)/deployment-branch-policies", path):
            if method == "POST" and found[1] in self.state.environments:
                self.state.branches.setdefault(found[1], []).append(body["name"])
                return {"name": body["name"]}
        elif (found := re.fullmatch(r"environments/([^/]+)", path)) and method == "PUT":
            self.state.environments[found[1]] = body
            return body
        raise RefusedError(f"gh: Not Found (HTTP 404): {method} {path}")

    def comment(self, number: str, body: str, *, edit_last: bool, create_if_none: bool) -> str:
        self._require("pull-requests", "write")
        comments = self.state.comments.setdefault(number, [])
        if create_if_none and not edit_last:
            raise RefusedError("`--create-if-none` can only be used with `--edit-last`")
        if edit_last and not comments and not create_if_none:
            raise RefusedError("no comments found for current user")
        comments[:] = [*comments[: len(comments) - edit_last], body]
        return f"https://github.com/{self.state.repository}/pull/{number}#issuecomment-{len(comments)}"

    def pull(self, given: argparse.Namespace) -> Any:
        """List the open pull requests of a branch, or create one."""
        self._require("pull-requests", "read" if given.subcommand == "list" else "write")
        if given.subcommand == "list":
            return [{"number": 1}] if given.head in self.state.pulls else []
        if given.head in self.state.pulls:
            raise RefusedError(f"a pull request for branch {given.head!r} into branch {given.base!r} already exists")
        self.state.pulls[given.head] = given.title
        return f"https://github.com/{self.state.repository}/pull/1"

    def issue(self, given: argparse.Namespace) -> Any:
        """List, create, edit or close an issue. A search finds the open issues whose titles contain the phrase."""
        self._require("issues", "read" if given.subcommand == "list" else "write")
        issues = self.state.issues
        if given.subcommand == "list":
            (phrase,) = re.fullmatch(r'in:title "(.*)"', given.search).groups()  # type: ignore[union-attr]
            found = [issue for issue in issues.values() if issue["state"] == "OPEN" and phrase in issue["title"]]
            return [{key: issue[key] for key in given.json.split(",")} for issue in found]
        number = str(len(issues) + 1) if given.subcommand == "create" else given.number
        if given.subcommand == "create":
            issues[number] = {"number": int(number), "title": given.title, "state": "OPEN", "comments": []}
        if number not in issues:
            raise RefusedError("GraphQL: Could not resolve to an issue or pull request")
        if given.subcommand == "close":
            issues[number]["state"] = "CLOSED"
            issues[number]["comments"].append(given.comment)
        else:
            issues[number]["body"] = _read(given.body_file)
        return f"https://github.com/{self.state.repository}/issues/{number}"


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse gh's flags, as far as they are used; argparse refuses any other."""
    gh = argparse.ArgumentParser(prog="gh", allow_abbrev=False)
    commands = gh.add_subparsers(dest="command", required=True)
    api = commands.add_parser("api", allow_abbrev=False)
    api.add_argument("path")
    api.add_argument("--method", "-X", choices=["GET", "POST", "PUT", "PATCH", "DELETE"])
    api.add_argument("--input")
    api.add_argument("--jq", "-q")
    pr = commands.add_parser("pr", allow_abbrev=False).add_subparsers(dest="subcommand", required=True)
    pulls, pull = pr.add_parser("list"), pr.add_parser("create")
    pulls.add_argument("--state", choices=["open"], required=True)
    pulls.add_argument("--json", choices=["number"], required=True)
    pulls.add_argument("--jq", required=True)
    for flag in ("--base", "--title", "--body"):
        pull.add_argument(flag, required=True)
    for parser in (pulls, pull):
        parser.add_argument("--head", required=True)
    commands.add_parser("auth").add_argument("subcommand", choices=["setup-git"])
    comment = pr.add_parser("comment", allow_abbrev=False)
    comment.add_argument("number")
    comment.add_argument("--repo", "-R", required=True)
    comment.add_argument("--body-file", "-F", required=True)
    comment.add_argument("--edit-last", action="store_true")
    comment.add_argument("--create-if-none", action="store_true")
    issue = commands.add_parser("issue", allow_abbrev=False).add_subparsers(dest="subcommand", required=True)
    listed, created, edited, closed = (issue.add_parser(name) for name in ("list", "create", "edit", "close"))
    listed.add_argument("--state", choices=["open"], required=True)
    listed.add_argument("--search", required=True)
    listed.add_argument("--json", required=True)
    created.add_argument("--title", required=True)
    for parser in (created, edited):
        parser.add_argument("--body-file", "-F", required=True)
    for parser in (edited, closed):
        parser.add_argument("number")
    closed.add_argument("--comment", "-c")
    return gh.parse_args(words)


def answer(github: GitHub, given: argparse.Namespace) -> str:
    """Run the command and return its output."""
    found = _found(github, given)
    text = found if isinstance(found, str) else json.dumps(found) if found is not None else ""
    jq = getattr(given, "jq", None)
    return subprocess.check_output(["jq", "--raw-output", jq], input=text, text=True).rstrip("\n") if jq else text


def _found(github: GitHub, given: argparse.Namespace) -> Any:
    if given.command == "auth":
        return ""
    if given.command == "api":
        body = json.loads(_read(given.input)) if given.input else None
        return github.api(given.method or ("POST" if given.input else "GET"), given.path, body)
    repository = getattr(given, "repo", os.environ.get("GH_REPO", ""))
    if repository != github.state.repository:
        raise RefusedError(f"GraphQL: Could not resolve to a Repository with the name '{repository}'.")
    if given.command == "issue":
        return github.issue(given)
    if given.subcommand != "comment":
        return github.pull(given)
    text = _read(given.body_file)
    return github.comment(given.number, text, edit_last=given.edit_last, create_if_none=given.create_if_none)


def _read(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text()


def main(state_file: str, *words: str) -> int:
    given, path = arguments(words), Path(state_file)
    state = State.load(path)
    try:
        print(answer(GitHub(state, os.environ.get("GH_TOKEN")), given))
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 1
    state.save(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
