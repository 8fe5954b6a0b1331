"""What an application meets of the contract, point by point, and how to meet the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fargate_ops.adopt.edits import Edit
from fargate_ops.core.checks import grouped
from fargate_ops.core.problem import Problem


class Verdict(StrEnum):
    """A TO DO stops a deployment or breaks the service; without an optional point, the operations can do less."""

    OK = "OK"
    TO_DO = "TO DO"
    OPTIONAL = "optional"


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point of the contract. ``next_step`` is the command or the lines that meet it; OK needs none.

    ``edits`` are those lines for modules of the application, if they can be written as they are.
    """

    group: str
    subject: str
    verdict: Verdict
    reason: str
    where: str = ""
    next_step: str = ""
    edits: tuple[Edit, ...] = ()

    def as_row(self) -> dict[str, str]:
        return {
            "group": self.group,
            "subject": self.subject,
            "verdict": str(self.verdict),
            "reason": self.reason,
            "next_command": self.next_step,
        }


def tree(title: str, points: Sequence[Point]) -> str:
    """Return all points below their groups, with the number of each verdict. Points of a group must be adjacent."""
    width = max(map(len, Verdict))
    lines = [(point.group, f"{point.verdict:<{width}}  {point.subject}: {point.reason}") for point in points]
    counts = Counter(point.verdict for point in points)
    closing = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return "\n".join([title, *grouped(lines), closing])


def steps(points: Sequence[Point]) -> str:
    """Return how to meet each point that is not met, the required ones first; empty if all are met."""
    parts = []
    for verdict, title in ((Verdict.TO_DO, "To do before the first deployment:"), (Verdict.OPTIONAL, "Optional:")):
        found = [point for point in points if point.verdict is verdict and point.next_step]
        numbered = [f"{number}. [{point.group}] {_problem(point)}" for number, point in enumerate(found, 1)]
        parts += [title, *numbered] if numbered else []
    return "\n".join(parts)


def _problem(point: Point) -> Problem:
    # Lines after the first stand below it.
    next_step = point.next_step.replace("\n", "\n         ")
    return Problem(f"{point.subject}: {point.reason}.", point.where, next_step)
