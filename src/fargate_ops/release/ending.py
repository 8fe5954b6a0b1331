"""How a release, a rollback or a rotation ends: the outcomes that their tasks return.

`Outcome` is the command's here; that of a release in the ledger is another (`fargate_ops.state.ledger`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fargate_ops.core.outcome import Kind, Outcome, one_line


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The task that failed. ``reason`` is one line, for the ledger.

    ``unverified``: what was released runs, and this machine could not verify it.
    """

    outcome: Outcome
    reason: str
    unverified: bool = False

    @classmethod
    def from_result(cls, result: Mapping[str, Any], environment: str) -> Failure:
        """Read ``ansible_failed_result``, which may be that of any module."""
        return cls(
            outcome=Outcome.of_failed_task(result, environment),
            reason=str(result.get("reason") or result.get("msg") or "unknown"),
            unverified=bool(result.get("unverified")),
        )

    def ended(self, kind: Kind, *notes: str, serves: str, next_command: str = "") -> Outcome:
        """Return how the command ended after what was done about the failure, which the notes say."""
        return replace(
            self.outcome,
            kind=kind,
            what=one_line(self.outcome.what, *notes),
            serves=serves or self.outcome.serves,
            next=next_command or self.outcome.next,
        )

    def unseen(self, name: str, *notes: str, serves: str, next_command: str) -> Outcome:
        """Return that ``name`` was left serving without a verification."""
        what = one_line(f"{name} serves, and this machine could not verify it", *notes)
        return replace(self.outcome, kind=Kind.UNVERIFIED, what=what, serves=serves, next=next_command)


def failed(what: str, *notes: str, cause: str, where: str = "", serves: str = "", next_command: str = "") -> Outcome:
    """Return the outcome of a phase that failed."""
    return Outcome(
        kind=Kind.FAILED,
        what=one_line(what, *notes),
        where=where,
        cause=one_line(cause),
        serves=serves,
        next=next_command,
    )


def done(
    what: str, *, version: str, serves: str, digest: str, url: str, environment: str, next_command: str = ""
) -> Outcome:
    """Return the outcome of a success."""
    facts = {"version": version, "digest": digest, "address": url}
    return Outcome(
        kind=Kind.DONE,
        what=what,
        serves=serves,
        next=next_command or f"make status ENV={environment}",
        facts={label: value for label, value in facts.items() if value},
    )
