"""The errors that end a task: what happened, where, and the next command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class OperationsError(Exception):
    """An expected failure, in words for people. The packages' own errors derive from it.

    ``details`` are what the failed task returns beside its message.
    """

    #: What the screen shows of the cause, above the failure.
    evidence = ""

    def __init__(self, text: str, **details: Any) -> None:
        super().__init__(text)
        self.details = details

    def message(self, subject: str, next_command: str = "") -> str:
        """Return the text after what it is about, ``staging``, and before the next command if it names none itself."""
        text = f"{subject}: {self}"
        return f"{text}. Next: {next_command}" if next_command and "Next: " not in text else text


class CompleteError(OperationsError):
    """A failure whose text is the whole message: it names the environment and the next command itself."""

    def message(self, subject: str, next_command: str = "") -> str:
        return str(self)


@dataclass(frozen=True)
class Problem:
    """`what` is a sentence, `where` a file, variable or address, `next_step` the command or edit that helps."""

    what: str
    where: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  next:  {self.next_step}"


class ProblemError(CompleteError):
    """A `Problem` that ends the task."""

    def __init__(self, what: str, where: str, next_step: str) -> None:
        self.problem = Problem(what, where, next_step)
        super().__init__(str(self.problem))
