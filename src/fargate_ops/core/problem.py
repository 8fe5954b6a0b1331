"""A failure: what happened, where, and the next command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """`what` is a sentence, `where` a file, variable or address, `next_step` the command or edit that helps."""

    what: str
    where: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  next:  {self.next_step}"


class ProblemError(Exception):
    """A `Problem` that ends the task; its text is the whole message for a person."""

    def __init__(self, what: str, where: str, next_step: str) -> None:
        self.problem = Problem(what, where, next_step)
        super().__init__(str(self.problem))
