"""Findings of checks, and their report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from fargate_ops.core.problem import Problem


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


def failure(environment: str, findings: Sequence[Finding]) -> str:
    """Return the message of a failed preflight, with each problem's place and next step; empty without problems."""
    problems = [(finding.check, problem) for finding in findings for problem in finding.problems]
    if not problems:
        return ""
    count = "One problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{count} in {environment}; nothing was touched."]
    lines += [f"{number}. [{check}] {problem}" for number, (check, problem) in enumerate(problems, 1)]
    return "\n".join(lines)
