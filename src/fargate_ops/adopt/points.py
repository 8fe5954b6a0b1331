"""What an application meets of the contract, point by point, and how to meet the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fargate_ops.adopt.edits import Edit
from fargate_ops.core.checks import grouped


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
    """Return how to meet each point that is not met, the required ones last; empty if all are met."""
    parts = []
    for verdict, title in ((Verdict.OPTIONAL, "Optional:"), (Verdict.TO_DO, "To do before the first deployment:")):
        found = [point for point in points if point.verdict is verdict and point.next_step]
        numbered = [f"{number}. {_step(point)}" for number, point in enumerate(found, 1)]
        parts += ["", title, *numbered] if numbered else []
    return "\n".join(parts)


def _step(point: Point) -> str:
    """Return a step. Its indented lines are code, which stands at the margin between blank lines: it can be pasted."""
    where = f" ({point.where})" if ":" in point.where and not point.edits else ""
    lines: list[str] = []
    is_code = False
    for line in f"{point.subject}{where}: {point.next_step}".split("\n"):
        indented = line.startswith("  ") or (is_code and not line)
        lines += ["", line] if indented != is_code else [line]
        is_code = indented
    return "\n".join(line.removeprefix("  ") for line in [*lines, *([""] if is_code else [])])
