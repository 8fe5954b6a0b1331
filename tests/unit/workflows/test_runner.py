"""tests/workflows/runner.py and gh.py, with which the workflows are tested: what they do not know, they refuse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.github import Issuer
from tests.workflows import gh
from tests.workflows.expressions import UnsupportedError, fill, holds
from tests.workflows.hub import Hub
from tests.workflows.runner import Event, Finished, Held, Runner, git

CONTEXTS = {
    "github": {"ref": "refs/heads/main", "sha": "abc", "event": {"client_payload": {"sha": "def"}, "number": 7}},
    "inputs": {"environment": "staging", "empty": ""},
    "vars": {"ROLE": "arn:role"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rollback-${{ inputs.environment }}", "rollback-staging"),
        ("${{ github.event.client_payload.sha || inputs.sha || github.sha }}", "def"),
        ("${{ github.event.pull_request.head || inputs.empty || github.sha }}", "abc"),
        ("${{ vars.ROLE }}, ${{ github.event.number }}, ${{ inputs.missing }}${{ vars.OTHER }}.", "arn:role, 7, ."),
        ("${{ 'it''s' }}", "it's"),
    ],
)
def test_expressions(text: str, value: str) -> None:
    assert fill(text, CONTEXTS) == value


@pytest.mark.parametrize(
    "text",
    [
        "github.actor",
        "env.X",
        "matrix.environment",
        "steps.plan.outcome",
        "hashFiles('x')",
        "contains(github.ref, 'main')",
        "github.ref == ",
        "github.ref > 1",
        "(github.ref",
        "github.ref github.sha",
        "",
    ],
)
def test_an_expression_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedError):
        fill(f"${{{{ {text} }}}}", CONTEXTS)


def test_conditions() -> None:
    assert holds("inputs.environment == 'Staging'", CONTEXTS)
    assert not holds("inputs.empty != ''", CONTEXTS)
    assert not holds("inputs.environment == 'staging'", CONTEXTS, failed=True)
    assert holds("${{ always() && inputs.environment == 'staging' }}", CONTEXTS, failed=True)
    assert holds("failure()", CONTEXTS, failed=True)
    assert not holds("success()", CONTEXTS, failed=True)


WORKFLOW = """
name: example
on: {push: {branches: [main]}, workflow_dispatch: {inputs: {where: {type: choice, options: [here], default: here}}}}
permissions: {contents: write}
defaults: {run: {shell: bash}}
jobs:
  first:
    runs-on: ubuntu-24.04
    timeout-minutes: 1
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
        with: {persist-credentials: "false"}
      - name: Say
        env: {TITLE: "${{ github.sha }}"}
        run: echo "$TITLE $GITHUB_SHA" | tee "$RUNNER_TEMP/said" >> "$GITHUB_STEP_SUMMARY"
      - {name: Never, if: inputs.where == 'there', run: exit 1}
      - uses: ./act
        if: always()
        with: {where: "${{ inputs.where }}"}
  second: {needs: first, uses: ./.github/workflows/called.yml, with: {environment: production}}
"""
ACTION = """
inputs: {where: {default: nowhere}}
runs:
  using: composite
  steps: [{name: Act, shell: bash, run: 'echo "in $WHERE"', env: {WHERE: "${{ inputs.where }}"}}]
"""


class World:
    """A repository with a workflow in it, which a test may change."""

    def __init__(self, directory: Path) -> None:
        self.origin, place = directory / "origin", directory / "github"
        (self.origin / ".github/workflows").mkdir(parents=True)
        (self.origin / "act").mkdir()
        (self.origin / "act/action.yml").write_text(ACTION)
        place.mkdir()
        git(self.origin, "init", "--quiet", "--initial-branch", "main")
        git(self.origin, "config", "user.name", "test")
        git(self.origin, "config", "user.email", "test@example.invalid")
        self.hub = Hub(self.origin, place, Issuer(), "http://127.0.0.1:9")
        self.runner = Runner(self.hub, directory / "runs", {"PATH": os.environ["PATH"]})

    def run(self, workflow: str = WORKFLOW, event: str = "push", **given: Any) -> Finished:
        (self.origin / ".github/workflows/example.yml").write_text(workflow)
        git(self.origin, "add", "--all")
        git(self.origin, "commit", "--quiet", "--allow-empty", "--message", "test")
        commit = git(self.origin, "rev-parse", "HEAD").strip()
        return self.runner.run("example.yml", Event(event, "refs/heads/main", commit, **given), held={"second"})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_each_step_has_its_turn(world: World) -> None:
    finished = world.run()
    assert [(step.name, step.outcome) for step in finished.steps[1:]] == [
        ("Say", "success"),
        ("Never", "skipped"),
        ("Act", "success"),
    ]
    sha, again = finished.step("Say").summary.split()
    assert sha == again
    assert finished.step("Act").output == "in \n"
    assert finished.held == {"second": Held("./.github/workflows/called.yml", ["first"], {"environment": "production"})}
    assert world.run(event="workflow_dispatch").step("Act").output == "in here\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('echo "$TITLE $GITHUB_SHA" |', "false |", "Say"),  # pipefail
        ("timeout-minutes: 1", "timeout-minutes: 1\n    strategy: {max-parallel: 1}", "max-parallel"),
        ("{name: Never, ", "{name: Never, continue-on-error: true, ", "continue-on-error"),
        ("actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683", "actions/checkout@v4", "not pinned"),
        ("actions/checkout@", "actions/other@", "the action actions/other"),
        ('persist-credentials: "false"', 'persist-credentials: "false", submodules: "true"', "submodules"),
        ("{contents: write}", "{issues: write}", "needs contents: read"),
        ("branches: [main]", "branches: [other]", "not on refs/heads/main"),
        ("defaults: {run: {shell: bash}}", "defaults: {run: {shell: python}}", "the shell python"),
        ('"$GITHUB_STEP_SUMMARY"', '"$GITHUB_ENV"', "GITHUB_ENV"),
        ("    timeout-minutes: 1", "    timeout-minutes: 1\n    environment: staging", "may not deploy to staging"),
    ],
)
def test_what_fails_or_is_not_known_fails(world: World, old: str, new: str, said: str) -> None:
    assert old in WORKFLOW
    with pytest.raises(AssertionError, match=said):
        world.run(WORKFLOW.replace(old, new))


def test_inputs_are_those_that_the_workflow_has(world: World) -> None:
    for inputs in ({"where": "there"}, {"other": "x"}):
        with pytest.raises(AssertionError, match="input"):
            world.run(event="workflow_dispatch", inputs=inputs)


def call(state: Path, token: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setenv("GH_TOKEN", token)
    return gh.main(str(state), *words)


def test_gh_takes_what_the_token_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, body, payload = tmp_path / "state.json", tmp_path / "body.md", tmp_path / "payload.json"
    gh.State("example/settlement", tokens={"pr": {"pull-requests": "write"}, "push": {"contents": "write"}}).save(state)
    payload.write_text('{"event_type": "deploy", "client_payload": {"sha": "abc"}}')
    comment = ("pr", "comment", "7", "--repo", "example/settlement", "--body-file", str(body), "--edit-last")
    for text in ("first", "second"):
        body.write_text(text)
        assert call(state, "pr", monkeypatch, *comment, "--create-if-none") == 0
    assert gh.State.load(state).comments == {"7": ["second"]}
    dispatch = ("api", "repos/example/settlement/dispatches", "--input", str(payload))
    assert call(state, "push", monkeypatch, *dispatch) == 0
    assert gh.State.load(state).dispatches == [{"event_type": "deploy", "client_payload": {"sha": "abc"}}]
    for token, words in {
        "pr": dispatch,
        "push": (*comment, "--create-if-none"),
        "nobody's": dispatch,
    }.items():
        assert call(state, token, monkeypatch, *words) == 1
    with pytest.raises(SystemExit):
        call(state, "pr", monkeypatch, *comment, "--overwrite")
