"""A fake GitHub for the workflows under test: a repository, the command line `gh`, tokens, and third-party actions.

Git itself serves the repository and its checkouts. A run's token is signed as at GitHub, and the local cloud's STS
exchanges it. `gh` and its state are in `tests/workflows/gh.py`.
"""

from __future__ import annotations

import re
import secrets
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from packaging.specifiers import SpecifierSet

from tests.support.github import Issuer, Repository
from tests.workflows.expressions import UnsupportedError
from tests.workflows.gh import State
from tests.workflows.runner import Given, Job, git, known

#: The permissions of a person who administers the repository, for `gh`.
PERSON = {"administration": "admin", "actions": "write", "contents": "write", "pull-requests": "write"}


class Hub:
    """One repository at GitHub. `origin` is a clone that provides its commits; `sts` is the address of STS."""

    def __init__(self, origin: Path, directory: Path, issuer: Issuer, sts: str) -> None:
        self.origin, self.issuer, self._sts = origin, issuer, sts
        self.identity = Repository()
        self.repository = self.identity.name
        #: By name: the paths of an artifact's files, from the uploaded folder.
        self.artifacts: dict[str, list[str]] = {}
        self._state = directory / "github.json"
        State(self.repository).save(self._state)
        # As at GitHub, any commit can be fetched, including the merge commit of a pull request.
        git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
        #: Ref, paths and key of each entry, without its content: the jobs use the Python environment of the tests.
        self.caches: set[tuple[str, str, str]] = set()
        self.programs = directory / "bin"
        self.programs.mkdir()
        self.program("gh", sys.executable, str(Path(__file__).with_name("gh.py")), str(self._state))

    def program(self, name: str, *command: str) -> None:
        """Put a program on the PATH of every job. It runs the command with the program's arguments."""
        path = self.programs / name
        path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in command) + ' "$@"\n')
        path.chmod(0o755)

    @property
    def state(self) -> State:
        return State.load(self._state)

    def save(self, state: State) -> None:
        state.save(self._state)

    # -- the runner's interface --

    def variables(self, environment: str | None) -> dict[str, str]:
        """Return the repository's variables, overridden by the environment's."""
        variables = self.state.variables
        places = ["actions/variables/", *([f"environments/{environment}/variables/"] if environment else [])]
        return {
            path.removeprefix(place): value
            for place in places
            for path, value in variables.items()
            if path.startswith(place)
        }

    def admits(self, environment: str, ref: str) -> bool:
        """Return whether the environment exists and its branches include this one."""
        state = self.state
        return environment in state.environments and ref.removeprefix("refs/heads/") in state.branches[environment]

    def reviewers(self, environment: str) -> list[str]:
        """Return the users who must approve a job in this environment."""
        return self.state.reviewers.get(environment, [])

    def require_reviewers(self, environment: str, *users: str) -> None:
        """Name the environment's required reviewers, as a person does in GitHub's settings."""
        state = self.state
        self.save(replace(state, reviewers={**state.reviewers, environment: list(users)}))

    def token(self, permissions: Mapping[str, str]) -> str:
        """Return a ``github.token`` with these permissions."""
        token, state = f"ghs_{secrets.token_hex(8)}", self.state
        self.save(replace(state, tokens={**state.tokens, token: dict(permissions)}))
        return token

    def action(self, name: str) -> Callable[[Job, Given], dict[str, str] | None]:
        actions = {
            "actions/cache/restore": self._restore_cache,
            "actions/cache/save": self._save_cache,
            "actions/checkout": self._checkout,
            "actions/setup-python": self._setup_python,
            "actions/upload-artifact": self._upload_artifact,
            "aws-actions/configure-aws-credentials": self._configure_aws_credentials,
        }
        if name not in actions:
            raise UnsupportedError(f"the action {name}")
        return actions[name]

    # -- the actions --

    def _checkout(self, job: Job, given: Given) -> None:
        """https://github.com/actions/checkout: one commit, or with ``fetch-depth: 0`` all of history."""
        known(dict(given), "ref", "fetch-depth", "persist-credentials", where="actions/checkout")
        job.require("contents", "read")
        assert given.get("persist-credentials") == "false", "the token would stay in the checkout"
        wanted, depth = given.get("ref") or job.event.sha, given.get("fetch-depth", "1")
        git(job.workspace, "init", "--quiet")
        git(job.workspace, "remote", "add", "origin", self.origin.as_uri())
        extent = ["+refs/heads/*:refs/remotes/origin/*"] if depth == "0" else ["--no-tags", f"--depth={depth}"]
        git(job.workspace, "fetch", "--quiet", "origin", wanted, *extent)
        git(job.workspace, "checkout", "--quiet", "--detach", wanted)

    def _setup_python(self, job: Job, given: Given) -> None:
        """Check the requested Python version. Jobs use the Python of the tests."""
        known(dict(given), "python-version", where="actions/setup-python")
        project = tomllib.loads((job.workspace / "pyproject.toml").read_text())["project"]
        assert SpecifierSet(project["requires-python"]).contains(f"{given['python-version']}.0")

    def _restore_cache(self, job: Job, given: Given) -> dict[str, str]:
        """Find an entry of the run's own ref or of main.

        https://docs.github.com/actions/reference/workflows-and-actions/dependency-caching#restrictions-for-accessing-a-cache
        """
        known(dict(given), "path", "key", where="actions/cache/restore")
        found = any((ref, given["path"], given["key"]) in self.caches for ref in (job.event.ref, "refs/heads/main"))
        return {"cache-primary-key": given["key"], **({"cache-hit": "true"} if found else {})}

    def _save_cache(self, job: Job, given: Given) -> None:
        """Add an entry for the run's ref. An entry never changes."""
        known(dict(given), "path", "key", where="actions/cache/save")
        self.caches.add((job.event.ref, given["path"], given["key"]))

    def _upload_artifact(self, job: Job, given: Given) -> None:
        """https://github.com/actions/upload-artifact: a folder's files, without the hidden ones."""
        known(dict(given), "name", "path", "if-no-files-found", where="actions/upload-artifact")
        assert given.get("if-no-files-found") == "error", "an empty artifact would be no error"
        folder = job.workspace / given["path"]
        paths = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
        self.artifacts[given["name"]] = [str(path) for path in paths if not str(path).startswith(".")]
        assert self.artifacts[given["name"]], f"{job.name} uploads nothing from {given['path']}"

    def _configure_aws_credentials(self, job: Job, given: Given) -> None:
        """https://github.com/aws-actions/configure-aws-credentials: exchange the run's token for credentials."""
        options = (
            "role-to-assume",
            "role-session-name",
            "role-duration-seconds",
            "aws-region",
            "mask-aws-account-id",
        )
        known(dict(given), *options, where="aws-actions/configure-aws-credentials")
        lasts = float(given.get("role-duration-seconds", 3600))
        assert lasts >= job.minutes * 60, f"the session ends after {lasts:.0f} s, before the job does"
        assert re.fullmatch(r"[\w+=,.@-]{2,64}", given["role-session-name"])
        region = given["aws-region"]
        credentials = self.assume_role(given["role-to-assume"], self.identify(job), given["role-session-name"], region)
        job.variables |= {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
            "AWS_SESSION_TOKEN": credentials["SessionToken"],
        }

    # -- identity --

    def identify(self, job: Job) -> str:
        """Return the job's OIDC token. The job needs `id-token: write`."""
        job.require("id-token", "write")
        event = job.event
        context = "pull_request" if event.name == "pull_request" else f"ref:{event.ref}"
        if job.environment:
            context = f"environment:{job.environment}"
        github = job.contexts["github"]
        claims = {
            "event_name": event.name,
            "ref": event.ref,
            "sha": event.sha,
            "run_id": github["run_id"],
            "workflow": github["workflow"],
            **({"environment": job.environment} if job.environment else {}),
        }
        return self.issuer.token(self.identity, context, **claims)

    def assume_role(self, role: str, token: str, session: str, region: str = "ap-northeast-2") -> dict[str, Any]:
        """Return the credentials that STS issues for the token. Raise ClientError if STS refuses."""
        sts = boto3.client("sts", endpoint_url=self._sts, region_name=region, config=Config(signature_version=UNSIGNED))
        answer: dict[str, Any] = sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName=session, WebIdentityToken=token
        )
        return dict(answer["Credentials"])
