"""Findings of the checks and their text: a tree, a closing line, and the next command for each problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from fargate_ops.core.checks import grouped, refusal
from fargate_ops.core.problem import EndError, Problem


class Verdict(StrEnum):
    """FAIL stops a release. WARN and SKIP do not: neither an alarm nor a missing answer may block a fix."""

    OK = "OK"
    FAIL = "FAIL"
    SKIP = "SKIP"
    WARN = "WARN"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One result of a check. ``next_command`` is what to type or edit; only FAIL has one."""

    group: str
    subject: str
    verdict: Verdict
    reason: str
    next_command: str = ""

    @property
    def shown(self) -> str:
        return self.subject if self.verdict is Verdict.FAIL else f"{self.subject}: {self.reason}"

    def as_row(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}


def wrong(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that stop a release."""
    return [finding for finding in findings if finding.verdict is Verdict.FAIL]


def tree(title: str, findings: Sequence[Finding]) -> str:
    """Return all findings below their groups, and the closing line. Findings of a group must be adjacent.

    The reason of a FAIL is in the error (`failure`), so that it is shown once.
    """
    lines = [(finding.group, f"{finding.verdict:<4}  {finding.shown}") for finding in findings]
    return "\n".join([title, *grouped(lines), closing(findings)])


def closing(findings: Sequence[Finding]) -> str:
    """Return the closing line: ``16 OK, 1 SKIP: nothing is in the way of a release``."""
    counts = Counter(finding.verdict for finding in findings)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return f"{said}: {'a release would fail' if counts[Verdict.FAIL] else 'nothing is in the way of a release'}"


def failure(environment: str, findings: Sequence[Finding]) -> EndError | None:
    """Return the error that stops the run, with each problem's place and next step; None without problems.

    ``reason``, for the ledger, is one line.
    """
    problems = [
        (finding.group, Problem(what=f"{finding.reason}.", where=finding.subject, next_step=finding.next_command))
        for finding in wrong(findings)
    ]
    reason = "; ".join(f"{finding.subject}: {finding.reason}" for finding in wrong(findings))
    untouched = "neither the service nor its database was touched"
    return refusal(environment, problems, untouched, reason=reason) if problems else None
