from __future__ import annotations

import json

from fargate_ops.core.checks import Finding, failure, grouped, tree
from fargate_ops.core.outcome import REFUSED, Kind, Outcome
from fargate_ops.core.problem import Problem, ProblemError
from fargate_ops.plugin.arguments import argument_spec

WRONG = Problem("It is wrong.", "there", "do this")


def test_the_tree_has_a_line_for_each_check() -> None:
    findings = [
        Finding("inventory", "fine"),
        Finding("git", "not known yet", skipped=True),
        Finding("account", "broken", (WRONG,)),
    ]
    assert tree(findings) == [
        "├─ inventory  OK    fine",
        "├─ git        SKIP  not known yet",
        "└─ account    FAIL  broken",
    ]
    assert tree([]) == []


def test_the_failure_lists_every_problem_with_place_and_next_step() -> None:
    also = Problem("It is worse.", "elsewhere", "do that")
    error = failure("staging", [Finding("git", "", (WRONG,)), Finding("disk", ""), Finding("account", "", (also,))])
    assert error
    assert str(error) == (
        "2 problems in staging; nothing was touched.\n"
        "1. [git] It is wrong.\n  where: there\n  next:  do this\n"
        "2. [account] It is worse.\n  where: elsewhere\n  next:  do that"
    )
    assert error.evidence == "[account] It is worse.\n  where: elsewhere\n  next:  do that"
    assert error.outcome("staging") == Outcome(
        kind=Kind.REFUSED, what=REFUSED, where="there", cause="It is wrong; and 1 more above", next="do this"
    )
    assert failure("staging", [Finding("git", "")]) is None


def test_a_single_problem_is_the_outcome() -> None:
    error = failure("staging", [Finding("git", "", (WRONG,))])
    assert error
    assert str(error).startswith("One problem in staging")
    assert error.outcome("staging") == WRONG.outcome()
    assert not error.evidence


def test_a_finding_of_another_task_is_reported_as_if_it_were_found_here() -> None:
    result = {"check": "terraform", "summary": "not available", "problems": [WRONG.to_result()]}
    found = Finding.from_result(json.loads(json.dumps(result)))
    assert found == Finding("terraform", "not available", (WRONG,))
    assert type(WRONG.to_result()["kind"]) is str  # Ansible warns of any other type in a variable
    error = failure("qa", [found])
    assert error
    assert error.outcome("qa").to_result()["kind"] == "refused"


def test_an_error_reads_as_its_problem() -> None:
    assert str(ProblemError("It is wrong.", "there", "do this")) == str(WRONG)


def test_arguments_are_read_from_the_documentation() -> None:
    documentation = """
    options:
      names: {type: list, elements: str, required: true, description: Names.}
      pool:
        type: dict
        description: A pool.
        suboptions:
          size: {type: int, default: 5, description: Its size.}
    """
    assert argument_spec(documentation) == {
        "names": {"type": "list", "elements": "str", "required": True},
        "pool": {"type": "dict", "options": {"size": {"type": "int", "default": 5}}},
    }


def test_lines_stand_below_their_groups() -> None:
    assert grouped([("one", "a"), ("one", "a"), ("two", "b")]) == [
        "├── one",
        "│   ├── a",
        "│   └── a",
        "└── two",
        "    └── b",
    ]
    assert grouped([]) == []
