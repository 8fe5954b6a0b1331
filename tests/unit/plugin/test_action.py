"""An action plugin's failures as Ansible shows them, in one run of a playbook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.outcome import REFUSED

PROJECT = Path(__file__).parents[3]

PLUGIN = '''
from ansible.errors import AnsibleActionFail
from botocore.exceptions import EndpointConnectionError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.core.problem import CompleteError, EndError, OperationsError, ProblemError
from fargate_ops.core.outcome import Kind, Outcome

DOCUMENTATION = """
options:
  how:
    type: str
    required: true
    choices: [well, known, plain, bare, output, ansible, expected, silent, commanded, complete, unknown, early, ended]
  size: {type: int, default: 3}
  stack: {type: dict}
"""

class ActionModule(OperationsAction):
    next_verb = "status"

    def execute(self, args):
        how = args["how"]
        if how == "known":
            raise ProblemError("It is full.", "the disk", "df -h")
        if how == "bare":
            open("/nonexistent/file")
        if how == "plain":
            {}["key"]
        if how == "output":
            self.stack.public_url
        if how == "ansible":
            raise AnsibleActionFail("as it is", result={"reason": "kept"})
        if how == "expected":
            try:
                {}["the cause"]
            except KeyError as error:
                raise OperationsError("it is gone", output=["a line"]) from error
        if how == "silent":
            silence = EndpointConnectionError(endpoint_url="http://127.0.0.1:9")
            raise OperationsError("it cannot be read") from silence
        if how == "commanded":
            raise OperationsError("it is gone. Next: look for it")
        if how == "complete":
            raise CompleteError("The whole message")
        if how in ("unknown", "early"):
            return self.unknown("not known yet", "cannot do it", plan={})
        if how == "ended":
            outcome = Outcome(kind=Kind.FAILED_AND_UNDONE, what="it failed", cause="no disk", serves="app:1")
            raise EndError(outcome, self.environment)
        return {"size": args["size"], "check": self.preview, **self.done("all is well", next_command="make status")}
'''
#: Not `next_verb`: no command helps that calls AWS again.
UNREACHED = "check that it can be reached (proxy, network; the local cloud: make up), then repeat the command"
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  vars: {env_name: qa}
  tasks:
    - trial: {how: "{{ item }}", stack: {a: 1}}
      loop: [well, known, plain, bare, output, ansible, other, expected, silent, commanded, complete, unknown, ended]
      register: found
      ignore_errors: true
    - trial: {how: early}
      check_mode: true
      register: early
    - ansible.builtin.copy:
        content: "{{ (found.results + [early | combine({'item': 'early'})]) | to_json }}"
        dest: "{{ out }}"
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the task's results by kind of end, and the output with ``-vvv``."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "action_plugins").mkdir()
    (folder / "action_plugins/trial.py").write_text(PLUGIN)
    (folder / "play.yml").write_text(PLAYBOOK)
    (folder / "ansible.cfg").touch()
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", "-vvv"),
            *("-e", f"out={folder}/out.json", "-e", f"ansible_python_interpreter={sys.executable}"),
            folder / "play.yml",
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "PYTHONPATH": str(PROJECT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {result["item"]: result for result in json.loads((folder / "out.json").read_text())}
    return found | {"screen": {"said": done.stdout}}


def test_arguments_and_defaults_are_those_of_the_documentation(results: dict[str, dict[str, Any]]) -> None:
    assert (results["well"]["size"], results["well"]["check"], results["well"]["changed"]) == (3, False, False)
    assert "value of how must be one of" in results["other"]["msg"]


def test_a_known_problem_is_told_as_it_is(results: dict[str, dict[str, Any]]) -> None:
    assert results["known"]["failed"]
    assert results["known"]["msg"] == "It is full.\n  where: the disk\n  next:  df -h"
    assert (results["ansible"]["msg"], results["ansible"]["reason"]) == ("as it is", "kept")


def test_an_expected_failure_names_the_environment_and_a_next_command(results: dict[str, dict[str, Any]]) -> None:
    assert results["expected"]["msg"] == "qa: it is gone. Next: make status ENV=qa"
    assert results["expected"]["output"] == ["a line"]
    assert results["commanded"]["msg"] == "qa: it is gone. Next: look for it"
    assert results["complete"]["msg"] == "The whole message"


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ("known", {"kind": "refused", "what": REFUSED, "cause": "It is full", "where": "the disk", "next": "df -h"}),
        ("expected", {"kind": "failed", "what": "it is gone", "next": "make status ENV=qa"}),
        ("silent", {"kind": "failed", "what": "it cannot be read", "next": UNREACHED}),
        ("commanded", {"kind": "failed", "next": "look for it"}),
        ("unknown", {"kind": "refused", "what": REFUSED, "cause": "cannot do it", "next": "make status ENV=qa"}),
        ("plain", {"kind": "failed", "what": "KeyError", "cause": "'key'"}),
        ("ended", {"kind": "failed_and_undone", "what": "it failed", "cause": "no disk", "serves": "app:1"}),
    ],
)
def test_every_failure_has_an_outcome(results: dict[str, dict[str, Any]], how: str, outcome: dict[str, str]) -> None:
    assert results[how]["outcome"].items() >= outcome.items()


def test_an_outcome_is_the_message_of_the_task_that_ends_a_command(results: dict[str, dict[str, Any]]) -> None:
    assert results["ended"]["msg"] == "qa: it failed\n  cause: no disk\nWhat serves now: app:1"
    assert results["well"]["outcome"]["what"] == "all is well"
    assert "qa: all is well\nNext: make status" in results["screen"]["said"]


def test_what_cannot_be_known_yet_fails_outside_check_mode_only(results: dict[str, dict[str, Any]]) -> None:
    assert results["unknown"]["msg"] == "qa: cannot do it. Next: make status ENV=qa"
    assert not results["early"].get("failed")
    assert (results["early"]["msg"], results["early"]["plan"]) == ("qa: not known yet", {})
    assert "qa: not known yet" in results["screen"]["said"]


def test_a_missing_output_is_told_with_what_makes_it(results: dict[str, dict[str, Any]]) -> None:
    assert "The infrastructure of qa has no output public_url" in results["output"]["msg"]
    assert "make infra ENV=qa" in results["output"]["msg"]


def test_any_other_error_says_where_and_what_next_and_keeps_its_traceback(results: dict[str, dict[str, Any]]) -> None:
    assert results["bare"]["msg"].startswith("qa: No such file or directory: /nonexistent/file\n  where: /nonexistent")
    assert results["plain"]["msg"].startswith("qa: KeyError: 'key'\n  where: ")
    assert "next:  repeat the command with ARGS=-vvv" in results["plain"]["msg"]
    assert re.search(r"Traceback .*trial\.py.*KeyError: 'key'", results["screen"]["said"], re.DOTALL)
