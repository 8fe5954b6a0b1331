"""A repository with this project's workflows, for tests that need no cloud."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.support.github import Issuer
from tests.workflows.hub import Hub
from tests.workflows.runner import Runner, git

PROJECT = Path(__file__).parents[3]
MAIN = "refs/heads/main"


class World:
    """A repository whose `main` has two commits and whose `other` has one more."""

    def __init__(self, directory: Path) -> None:
        self.origin, place = directory / "origin", directory / "github"
        shutil.copytree(PROJECT / ".github", self.origin / ".github")
        (self.origin / "inventory").mkdir()
        (self.origin / "inventory/shared.yml").touch()
        place.mkdir()
        for name in ("Makefile", "pyproject.toml", "requirements.txt"):
            shutil.copy(PROJECT / name, self.origin)
        git(self.origin, "init", "--quiet", "--initial-branch", "main")
        git(self.origin, "config", "user.name", "test")
        git(self.origin, "config", "user.email", "test@example.invalid")
        git(self.origin, "add", "--all")
        self.first, self.newest = self.commit("first"), self.commit("second")
        git(self.origin, "switch", "--quiet", "--create", "other")
        self.other = self.commit("other")
        self.hub = Hub(self.origin, place, Issuer(), "http://127.0.0.1:9")
        path = f"{self.hub.programs}{os.pathsep}{os.environ['PATH']}"
        self.runner = Runner(self.hub, directory / "runs", {"PATH": path})

    def commit(self, message: str) -> str:
        git(self.origin, "commit", "--quiet", "--allow-empty", "--message", message)
        return git(self.origin, "rev-parse", "HEAD").strip()

    def environment(self, name: str, variable: str) -> None:
        """Create an environment of GitHub with the variable that names its role. Credentials are made up."""
        state = self.hub.state
        state.environments[name], state.branches[name] = {}, ["main", "other"]
        state.variables[f"environments/{name}/variables/{variable}"] = "arn:role"
        self.hub.save(state)
        made_up = dict.fromkeys(("AccessKeyId", "SecretAccessKey", "SessionToken"), "made up")
        self.hub.assume_role = lambda *_: made_up  # type: ignore[method-assign]
