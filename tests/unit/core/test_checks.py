from __future__ import annotations

from fargate_ops.core.checks import Finding, failure, grouped, tree
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
    message = failure("staging", [Finding("git", "", (WRONG,)), Finding("disk", ""), Finding("account", "", (WRONG,))])
    assert message == (
        "2 problems in staging; nothing was touched.\n"
        "1. [git] It is wrong.\n  where: there\n  next:  do this\n"
        "2. [account] It is wrong.\n  where: there\n  next:  do this"
    )
    assert failure("staging", [Finding("git", "", (WRONG,))]).startswith("One problem in staging")
    assert failure("staging", [Finding("git", "")]) == ""


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
