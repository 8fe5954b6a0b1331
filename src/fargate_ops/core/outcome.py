"""How a command ended: for the screen, `.local/<environment>/outcome.json` and GitHub's step output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a script may branch on."""

    DONE = "done"
    #: Nothing was touched.
    REFUSED = "refused"
    #: Another command holds the lock. Nothing was touched.
    LOCKED = "locked"
    #: The release serves or not: this machine could not see it.
    UNVERIFIED = "unverified"
    #: What served before serves again.
    FAILED_AND_UNDONE = "failed_and_undone"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a command. A task returns it as its result ``outcome``; the last one of a run counts.

    Each text is one line without an environment's name. An empty field is filled by the screen, as far as it knows.
    """

    kind: Kind
    #: What is now true, or what happened.
    what: str
    #: The step, resource, file or setting.
    where: str = ""
    #: Why it happened: the reason of AWS, of a container or of a tool.
    cause: str = ""
    #: Which version serves now.
    serves: str = ""
    #: The exact next command.
    next: str = ""
    #: What else is now true, by its label: ``{"address": "http://127.0.0.1:8080"}``.
    facts: Mapping[str, str] = field(default_factory=dict)

    def to_result(self) -> dict[str, Any]:
        """Return the task's result."""
        return asdict(self)

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Outcome:
        """Read a task's result."""
        return cls(**{**result, "kind": Kind(result["kind"])})
