"""Findings of checks, and their report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from fargate_ops.core.problem import EndError, Problem


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: it found problems, was skipped, or passed."""

    check: str
    summary: str
    problems: tuple[Problem, ...] = ()
    skipped: bool = False

    @property
    def status(self) -> str:
        if self.problems:
            return "FAIL"
        return "SKIP" if self.skipped else "OK"

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Finding:
        """Read a task's result: its problems are as `Problem.to_result` returns them."""
        return cls(**{**result, "problems": tuple(map(Problem.from_result, result["problems"]))})


def tree(findings: Sequence[Finding]) -> list[str]:
    """Return one line for each check: its name, OK, FAIL or SKIP, and its summary."""
    width = max((len(finding.check) for finding in findings), default=0)
    branches = ["├─"] * (len(findings) - 1) + ["└─"]
    return [
        f"{branch} {finding.check:<{width}}  {finding.status:<4}  {finding.summary}"
        for branch, finding in zip(branches, findings, strict=False)
    ]


def grouped(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Return a tree of lines, each given with the name of its group. Lines of a group must be adjacent."""
    groups = [(name, [line for _, line in members]) for name, members in groupby(lines, key=lambda line: line[0])]
    drawn = []
    for name, members in groups:
        last_group = name == groups[-1][0]
        drawn.append(f"{'└' if last_group else '├'}── {name}")
        for number, line in enumerate(members, 1):
            branch = "└" if number == len(members) else "├"
            drawn.append(f"{' ' if last_group else '│'}   {branch}── {line}")
    return drawn


def failure(environment: str, findings: Sequence[Finding], **details: Any) -> EndError | None:
    """Return the error of a failed preflight, with each problem's place and next step; None without problems."""
    problems = [(finding.check, problem) for finding in findings for problem in finding.problems]
    return refusal(environment, problems, "nothing was touched", **details) if problems else None


def refusal(environment: str, problems: Sequence[tuple[str, Problem]], untouched: str, **details: Any) -> EndError:
    """Return the error of problems, each with the name of its check.

    The first one is the outcome; the others are listed above it.
    """
    count = "One problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = [f"[{check}] {problem}" for check, problem in problems]
    numbered = [f"{number}. {line}" for number, line in enumerate(listed, 1)]
    outcome = problems[0][1].outcome()
    if others := listed[1:]:
        outcome = replace(outcome, cause=f"{outcome.cause}; and {len(others)} more above")
    return EndError(
        outcome,
        environment,
        text="\n".join([f"{count} in {environment}; {untouched}.", *numbered]),
        evidence="\n".join(others),
        **details,
    )
