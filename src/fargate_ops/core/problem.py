"""The errors that end a task: what happened, where, and the next command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from fargate_ops.core.outcome import Kind, Outcome, one_line


class OperationsError(Exception):
    """An expected failure, in words for people. The packages' own errors derive from it.

    ``details`` are what the failed task returns beside its message; ``where`` and ``kind`` are of its outcome.
    """

    #: What the screen shows of the cause, above the failure.
    evidence = ""
    #: How a command ends that this error stops: refused if nothing was touched.
    kind = Kind.FAILED

    def __init__(self, text: str, *, kind: Kind | None = None, where: str = "", **details: Any) -> None:
        super().__init__(text)
        self.details, self.where = details, where
        self.kind = kind or self.kind

    def message(self, subject: str, next_command: str = "") -> str:
        """Return the text after what it is about, ``staging``, and before the next command if it names none itself."""
        text = f"{subject}: {self}"
        return f"{text}. Next: {next_command}" if next_command and "Next: " not in text else text

    def outcome(self, subject: str, next_command: str = "") -> Outcome:
        """Return how the command ends, read from the message: see `Outcome.of_message`."""
        said = Outcome.of_message(self.message(subject, next_command), self.kind, subject)
        return replace(said, where=self.where or said.where)


class CompleteError(OperationsError):
    """A failure whose text is the whole message: it names the environment and the next command itself."""

    def message(self, subject: str, next_command: str = "") -> str:
        return str(self)


class EndError(CompleteError):
    """The end of a command that failed or was refused, known in full. Its message is the outcome, or ``text``."""

    def __init__(
        self, outcome: Outcome, environment: str, *, text: str = "", evidence: str = "", **details: Any
    ) -> None:
        super().__init__(text or outcome.text(environment), **details)
        self._outcome, self.evidence = outcome, evidence

    def outcome(self, subject: str, next_command: str = "") -> Outcome:
        return self._outcome


@dataclass(frozen=True)
class Problem:
    """`what` is a sentence, `where` a file, variable or address, `next_step` the command or edit that helps.

    ``kind``: a problem is found before anything is touched, unless it is an unexpected error.
    """

    what: str
    where: str
    next_step: str
    kind: Kind = Kind.REFUSED

    def __str__(self) -> str:
        return f"{self.what}\n  where: {self.where}\n  next:  {self.next_step}"

    def outcome(self) -> Outcome:
        """Return how a command ends by it."""
        said = Outcome.of_message(self.what, self.kind)
        return replace(said, where=one_line(self.where), next=said.next or " ".join(self.next_step.split()))

    def to_result(self) -> dict[str, str]:
        """Return it as plain text for a task's result."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Problem:
        """Read a task's result."""
        return cls(**{**result, "kind": Kind(result.get("kind", Kind.REFUSED))})


class ProblemError(CompleteError):
    """A `Problem` that ends the task."""

    def __init__(self, what: str, where: str, next_step: str) -> None:
        self.problem = Problem(what, where, next_step)
        super().__init__(str(self.problem), kind=self.problem.kind)

    def outcome(self, subject: str, next_command: str = "") -> Outcome:
        return self.problem.outcome()
