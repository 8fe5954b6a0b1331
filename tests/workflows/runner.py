"""Run GitHub's workflows on this machine: from their own YAML, every line in order.

    runner = Runner(github, home)
    finished = runner.run("ci.yml", Event("pull_request", ref=…, sha=…, payload={…}))

The parts of the workflow language that our workflows use work as in GitHub's runner: triggers, `needs`, `if`, `env`,
`defaults`, `permissions`, environments and their variables, outputs, matrices, composite actions, reusable workflows,
the files behind ``GITHUB_*``. An unknown key, expression or action fails the test; nothing is silently skipped.
`tests/workflows/hub.py` implements third-party actions by name.
Reference: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product, takewhile
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.support.logs import Logs
from tests.workflows.expressions import UnsupportedError, fill, fill_all, holds

Node = dict[str, Any]
Given = Mapping[str, str]

#: The shells that workflows may name: https://docs.github.com/…/workflow-syntax#jobsjob_idstepsshell
SHELLS = {
    "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
    "": ["bash", "-e"],  # none named
}

#: Keys of every job, whether it has steps or calls a workflow.
_JOB_KEYS = ("needs", "if", "permissions", "concurrency")


def document(text: str) -> Node:
    """Parse a workflow or an action. Every scalar stays text: `on` is no boolean, 0 no number."""
    loaded: Node = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes strings, lists and dictionaries only
    return loaded


def known(node: Node, *keys: str, where: str) -> Node:
    """Return the node. Raise UnsupportedError if it has other keys."""
    if unknown := set(node) - set(keys):
        raise UnsupportedError(f"{where}: {', '.join(sorted(unknown))}")
    return node


# -- events and runs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """An event that starts a workflow. `inputs` are those of a manual dispatch; `payload` is ``github.event``."""

    name: str
    ref: str
    sha: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Step:
    """A processed step. `outcome` is success, failure, skipped (by its `if`) or excluded (by the test).

    `output`: what it printed, and then what its playbooks logged.
    """

    job: str
    name: str
    run: str | None
    outcome: str
    output: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Held:
    """A job that waits for its reviewer, and the workflow that it would call."""

    uses: str
    needs: list[str]
    inputs: dict[str, str]


@dataclass
class Finished:
    """A finished run: the steps of its jobs, and the failed, skipped and held jobs."""

    steps: list[Step] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)

    def lines(self) -> set[str]:
        """Return the `run:` texts that were executed."""
        return {step.run for step in self.steps if step.run is not None and step.outcome == "success"}

    def step(self, name: str, job: str | None = None) -> Step:
        (found,) = (step for step in self.steps if step.name == name and job in {None, step.job})
        return found


class GitHub(Protocol):
    """The GitHub that the runner needs."""

    repository: str
    origin: Path

    def variables(self, environment: str | None) -> dict[str, str]: ...
    def admits(self, environment: str, ref: str) -> bool: ...
    def reviewers(self, environment: str) -> list[str]: ...
    def token(self, permissions: Mapping[str, str]) -> str: ...
    def action(self, name: str) -> Callable[[Job, Given], dict[str, str] | None]: ...


@dataclass
class Job:
    """One job on a fresh machine: its workspace, environment and permissions."""

    name: str
    event: Event
    directory: Path
    environment: str | None
    permissions: Mapping[str, str]
    contexts: dict[str, Any]
    variables: dict[str, str]
    minutes: float
    shell: str

    @property
    def workspace(self) -> Path:
        return Path(self.contexts["github"]["workspace"])

    def require(self, permission: str, level: str) -> None:
        granted = self.permissions.get(permission)
        assert granted in {level, "write"}, f"the job {self.name} needs {permission}: {level}, and has {granted}"


class Runner:
    """Runs workflows of the repository's commits. `base` holds the variables that every step inherits."""

    def __init__(self, github: GitHub, home: Path, base: Mapping[str, str]) -> None:
        self._github, self._home, self._base = github, home, base
        self._runs = 0

    def run(
        self,
        file: str,
        event: Event,
        *,
        held: Collection[str] = (),
        excluded: Collection[str] = (),
        failing: Collection[str] = (),
    ) -> Finished:
        """Run the workflow of the event's commit to its end. Jobs in `held` wait for their reviewer. Lines in
        `excluded` are not run. The test fails unless exactly the jobs in `failing` fail."""
        self._runs += 1
        finished = _Run(self._github, self._home, self._base, self._runs, event, held, excluded, failing).finish(file)
        assert set(finished.failed) == set(failing), f"{set(failing) - set(finished.failed)} did not fail"
        return finished


@dataclass
class _Run:
    github: GitHub
    home: Path
    base: Mapping[str, str]
    number: int
    event: Event
    held: Collection[str]
    excluded: Collection[str]
    failing: Collection[str]
    finished: Finished = field(default_factory=Finished)

    def finish(self, file: str) -> Finished:
        workflow = self._workflow(file)
        github = {
            "event": self.event.payload,
            "event_name": self.event.name,
            "ref": self.event.ref,
            "repository": self.github.repository,
            "run_id": str(1000 + self.number),
            "server_url": "https://github.com",
            "sha": self.event.sha,
            "workflow": workflow["name"],
        }
        self._jobs(workflow, {"github": github, "inputs": self._triggered(workflow)})
        return self.finished

    # -- workflows and jobs --

    def _workflow(self, file: str) -> Node:
        """Read a workflow from the event's commit."""
        path = f".github/workflows/{Path(file).name}"
        text = git(self.github.origin, "show", f"{self.event.sha}:{path}")
        keys = ("name", "on", "permissions", "concurrency", "defaults", "jobs")
        return known(document(text), *keys, where=path)

    def _triggered(self, workflow: Node) -> dict[str, str]:
        """Return the inputs. Fail the test if the event does not start this workflow."""
        name, event = workflow["name"], self.event
        assert event.name in workflow["on"], f"{name} does not run on {event.name}"
        trigger = workflow["on"][event.name] or {}
        match event.name:
            case "push":
                branches = known(trigger, "branches", where="push")["branches"]
                assert event.ref.removeprefix("refs/heads/") in branches, (
                    f"{name} runs on {branches}, not on {event.ref}"
                )
            case "repository_dispatch":
                types = known(trigger, "types", where="repository_dispatch")["types"]
                assert event.payload["action"] in types, f"{name} runs on the dispatch of {types}"
            case "workflow_dispatch":
                return _inputs(trigger.get("inputs", {}), event.inputs)
            case "schedule":
                assert all(set(item) == {"cron"} for item in trigger), f"{name}: {trigger}"
            case _:
                known(trigger, where=event.name)
        return {}

    def _jobs(
        self,
        workflow: Node,
        contexts: Mapping[str, Any],
        granted: Mapping[str, str] | None = None,
        prefix: str = "",
        groups: Sequence[str] = (),
    ) -> dict[str, Node]:
        """Run the jobs; return the result and the outputs of each. `granted` are the permissions of a reusable
        workflow's caller: the jobs may have no others. `groups` are the concurrency groups that the caller holds."""
        groups = [*groups, *_group(workflow, contexts)]
        ended: dict[str, Node] = {}
        for name, node in workflow["jobs"].items():
            needs = [node["needs"]] if isinstance(node.get("needs"), str) else node.get("needs", [])
            assert set(needs) <= set(ended), f"{name} needs {needs}, and only {list(ended)} have ended"
            permissions = node.get("permissions", workflow.get("permissions"))
            assert isinstance(permissions, dict), f"the job {name} does not declare its permissions"
            if granted is not None:
                beyond = {key for key, level in permissions.items() if granted.get(key) not in {level, "write"}}
                assert not beyond, f"{name} requests {beyond}, which its caller does not grant"
            own = {**contexts, "needs": {need: ended[need] for need in needs}}
            if any(ended[need]["result"] != "success" for need in needs) or not holds(node.get("if", "success()"), own):
                self.finished.skipped.append(prefix + name)
                ended[name] = {"result": "skipped", "outputs": {}}
                continue
            held = [*groups, *_group(node, own)]
            if "uses" in node:
                ended[name] = self._called(prefix + name, node, needs, own, permissions, held)
            else:
                ended[name] = self._cells(prefix + name, node, workflow, own, permissions, held)
        return ended

    def _called(
        self,
        name: str,
        node: Node,
        needs: list[str],
        contexts: Mapping[str, Any],
        permissions: Mapping[str, str],
        groups: Sequence[str],
    ) -> Node:
        """Run a job that calls a reusable workflow."""
        known(node, *_JOB_KEYS, "uses", "with", where=f"job {name}")
        inputs = fill_all(node.get("with", {}), contexts)
        if name in self.held:
            self.finished.held[name] = Held(node["uses"], needs, inputs)
            return {"result": "held", "outputs": {}}
        called = self._workflow(node["uses"])
        trigger = known(called["on"]["workflow_call"], "inputs", "outputs", where=node["uses"])
        contexts = {key: value for key, value in contexts.items() if key in {"github", "vars"}}
        contexts["inputs"] = _inputs(trigger["inputs"], inputs)
        jobs = self._jobs(called, contexts, permissions, f"{name}/", groups)
        failed = any(job["result"] == "failure" for job in jobs.values())
        outputs = {key: output["value"] for key, output in trigger.get("outputs", {}).items()}
        filled = fill_all(outputs, {**contexts, "jobs": jobs})
        return {"result": "failure" if failed else "success", "outputs": filled}

    def _cells(
        self,
        name: str,
        node: Node,
        workflow: Node,
        contexts: Mapping[str, Any],
        permissions: Mapping[str, str],
        groups: Sequence[str],
    ) -> Node:
        """Run a job, once for each combination of its matrix."""
        own = ("runs-on", "timeout-minutes", "environment", "outputs", "steps", "strategy")
        known(node, *_JOB_KEYS, *own, where=f"job {name}")
        strategy = known(node.get("strategy", {}), "fail-fast", "matrix", where=f"strategy of {name}")
        axes: Node = strategy.get("matrix", {})
        results, outputs = [], {}
        for values in product(*axes.values()):
            cell = f"{name} ({', '.join(values)})" if values else name
            matrix = {"matrix": dict(zip(axes, values, strict=True))} if axes else {}
            job = self._job(cell, node, workflow, {**contexts, **matrix}, permissions)
            if job.environment and self.github.reviewers(job.environment):
                # https://docs.github.com/actions/concepts/workflows-and-actions/concurrency
                assert not groups, f"{cell} waits for a reviewer while it holds {', '.join(groups)}"
            steps, ids = self._steps(job, node["steps"], job.contexts, job.shell)
            self.finished.steps += steps
            failures = [step for step in steps if step.outcome == "failure"]
            said = "\n".join(f"{step.job}: {step.name}\n{step.output[-8000:]}" for step in failures)
            assert not failures or cell in self.failing, said
            self.finished.failed += [cell] if failures else []
            results.append("failure" if failures else "success")
            outputs = fill_all(node.get("outputs", {}), {**job.contexts, "steps": ids})
        return {"result": "failure" if "failure" in results else "success", "outputs": outputs}

    def _job(
        self,
        name: str,
        node: Node,
        workflow: Node,
        contexts: Mapping[str, Any],
        permissions: Mapping[str, str],
    ) -> Job:
        environment = fill(node["environment"], contexts) if "environment" in node else None
        if environment:
            ref = self.event.ref
            assert self.github.admits(environment, ref), f"{ref} may not deploy to {environment}"
        directory = self.home / f"{self.number}-{re.sub(r'[^a-z-]+', '-', name)}"
        github = {
            **contexts["github"],
            "token": self.github.token(permissions),
            "workspace": str(directory / "workspace"),
        }
        job = Job(
            name=name,
            event=self.event,
            directory=directory,
            environment=environment,
            permissions=permissions,
            contexts={
                **contexts,
                "github": github,
                "runner": {"arch": "X64", "os": "Linux"},
                "vars": self.github.variables(environment),
            },
            variables={},
            minutes=float(node["timeout-minutes"]),
            shell=workflow.get("defaults", {}).get("run", {}).get("shell", ""),
        )
        job.workspace.mkdir(parents=True)
        (directory / "temp").mkdir()
        (directory / "event.json").write_text(json.dumps(self.event.payload))
        job.variables = {**self.base, **self._default_variables(job)}
        return job

    def _default_variables(self, job: Job) -> dict[str, str]:
        """https://docs.github.com/actions/reference/workflows-and-actions/variables"""
        github, event = job.contexts["github"], job.event
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": "octocat",
            "GITHUB_API_URL": "https://api.github.com",
            "GITHUB_EVENT_NAME": event.name,
            "GITHUB_EVENT_PATH": str(job.directory / "event.json"),
            "GITHUB_JOB": job.name.rpartition("/")[2],
            "GITHUB_REF": event.ref,
            "GITHUB_REF_NAME": event.ref.removeprefix("refs/heads/").removeprefix("refs/pull/"),
            "GITHUB_REPOSITORY": self.github.repository,
            "GITHUB_REPOSITORY_OWNER": self.github.repository.partition("/")[0],
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": github["run_id"],
            "GITHUB_RUN_NUMBER": str(self.number),
            "GITHUB_SERVER_URL": github["server_url"],
            "GITHUB_SHA": event.sha,
            "GITHUB_WORKFLOW": github["workflow"],
            "GITHUB_WORKSPACE": github["workspace"],
            "RUNNER_ARCH": job.contexts["runner"]["arch"],
            "RUNNER_ENVIRONMENT": "github-hosted",
            "RUNNER_OS": job.contexts["runner"]["os"],
            "RUNNER_TEMP": str(job.directory / "temp"),
            # The tests' Python environment contains the package of another checkout.
            "PYTHONPATH": str(job.workspace / "src"),
        }

    # -- steps --

    def _steps(
        self, job: Job, nodes: list[Node], contexts: Mapping[str, Any], shell: str | None
    ) -> tuple[list[Step], Node]:
        """Run the steps; return them, and the context `steps`. `shell` is the workflow's default; None in a composite
        action, whose steps must each name one. The status functions of an `if` refer to these steps."""
        steps: list[Step] = []
        ids: Node = {node["id"]: {"outcome": "", "outputs": {}} for node in nodes if "id" in node}
        contexts = {**contexts, "steps": ids}
        for node in nodes:
            keys = ("id", "name", "if", "uses", "with", "run", "env", "shell", "working-directory")
            known(node, *keys, where=f"a step of {job.name}")
            failed = any(step.outcome == "failure" for step in steps)
            name = str(node.get("name", node.get("uses", "")))
            step = Step(job.name, fill(name, contexts), node.get("run"), "success")
            taken = [step]
            if not holds(node.get("if", "success()"), contexts, failed=failed):
                step.outcome = "skipped"
            elif step.run in self.excluded:
                step.outcome = "excluded"
            elif "run" in node:
                named = node.get("shell", shell)
                assert named is not None, f"{step.name}: a step of an action must name its shell"
                self._execute(job, node, step, contexts, named)
            elif node["uses"].startswith("./"):
                taken = self._composite(job, node, step, contexts)
            else:
                began = time.monotonic()
                action, _, version = node["uses"].partition("@")
                assert re.fullmatch(r"[0-9a-f]{40}", version), f"{node['uses']} is not pinned"
                step.outputs = self.github.action(action)(job, fill_all(node.get("with", {}), contexts)) or {}
                step.seconds = time.monotonic() - began
            steps += taken
            if "id" in node:
                outcome = "failure" if any(one.outcome == "failure" for one in taken) else step.outcome
                ids[node["id"]] = {"outcome": outcome, "outputs": step.outputs}
        return steps, ids

    def _composite(self, job: Job, node: Node, step: Step, contexts: Mapping[str, Any]) -> list[Step]:
        """Run the steps of a local action from the job's checkout."""
        path = job.workspace / node["uses"] / "action.yml"
        action = known(document(path.read_text()), "name", "description", "inputs", "outputs", "runs", where=str(path))
        known(action["runs"], "using", "steps", where=str(path))
        assert action["runs"]["using"] == "composite"
        inputs = _inputs(action["inputs"], fill_all(node.get("with", {}), contexts))
        # An action has no access to the repository's variables, only to its inputs.
        inner = {"github": contexts["github"], "runner": contexts["runner"], "inputs": inputs}
        steps, ids = self._steps(job, action["runs"]["steps"], inner, None)
        outputs = {key: output["value"] for key, output in action.get("outputs", {}).items()}
        step.outputs = fill_all(outputs, {**inner, "steps": ids})
        return steps

    def _execute(self, job: Job, node: Node, step: Step, contexts: Mapping[str, Any], shell: str) -> None:
        """Run one `run:` in its shell, with its own files for ``GITHUB_OUTPUT`` and similar variables."""
        if shell not in SHELLS:
            raise UnsupportedError(f"{step.name}: the shell {shell}")
        place = job.directory / f"step-{len(list(job.directory.glob('step-*')))}"
        place.mkdir()
        files = {f"GITHUB_{name}": place / name.lower() for name in ("ENV", "OUTPUT", "PATH", "STATE", "STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        script = place / "script.sh"
        script.write_text(fill(node["run"], contexts))
        began, logs = time.monotonic(), Logs(job.workspace)
        done = subprocess.run(
            [*SHELLS[shell], str(script)],
            cwd=job.workspace / fill(node.get("working-directory", "."), contexts),
            env={
                **job.variables,
                **{name: str(file) for name, file in files.items()},
                **fill_all(node.get("env", {}), contexts),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=job.minutes * 60,
            check=False,
        )
        step.seconds, step.output = time.monotonic() - began, done.stdout + logs.read()
        step.outcome = "success" if done.returncode == 0 else "failure"
        step.summary = files.pop("GITHUB_STEP_SUMMARY").read_text()
        step.outputs = dict(_outputs(files.pop("GITHUB_OUTPUT").read_text()))
        if written := [name for name, file in files.items() if file.stat().st_size]:
            raise UnsupportedError(f"{step.name} writes to {', '.join(written)}, which the runner does not pass on")


def _group(node: Node, contexts: Mapping[str, Any]) -> list[str]:
    """Return the concurrency group of a workflow or job, if it has one. Runs are sequential here."""
    if "concurrency" not in node:
        return []
    group = fill(known(node["concurrency"], "group", "cancel-in-progress", where="concurrency")["group"], contexts)
    assert group
    return [group]


def _outputs(text: str) -> Iterator[tuple[str, str]]:
    """Read the file behind ``GITHUB_OUTPUT``: a line ``name=value``, or a value of several lines between delimiters.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
    """
    lines = iter(text.splitlines())
    for line in lines:
        found = re.fullmatch(r"([\w-]+)(=|<<)(.*)", line)
        assert found, f"invalid line in GITHUB_OUTPUT: {line}"
        name, sign, value = found.groups()
        yield name, value if sign == "=" else "\n".join(takewhile(value.__ne__, lines))


def _inputs(wanted: Node, given: Mapping[str, str]) -> dict[str, str]:
    """Return each input's value or default. Fail the test if one is unknown, missing or not among the options."""
    assert set(given) <= set(wanted), f"inputs {set(given) - set(wanted)}"
    found = {}
    for name, node in wanted.items():
        known(node, "description", "type", "options", "required", "default", where=f"input {name}")
        assert name in given or node.get("required") != "true", f"input {name} is missing"
        found[name] = given.get(name, node.get("default", ""))
        assert "options" not in node or found[name] in node["options"], f"input {name}: {found[name]}"
    return found


def git(directory: Path, *words: str) -> str:
    """Run git and return its exact output."""
    return subprocess.run(["git", *words], cwd=directory, check=True, capture_output=True, text=True).stdout


def run_lines(*files: Path) -> set[str]:
    """Return every `run:` of these workflows and actions."""
    found = set()
    for file in files:
        node = document(file.read_text())
        jobs = [*node["jobs"].values()] if "jobs" in node else [node["runs"]]
        found |= {step["run"] for job in jobs for step in job.get("steps", []) if "run" in step}
    return found
