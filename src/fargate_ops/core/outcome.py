"""How a command ended: for the screen, `.local/<environment>/outcome.json` and GitHub's step output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

#: What happened in a refusal; why is its cause.
REFUSED = "nothing was touched"
#: What happened if the command had changed something before.
STOPPED = "the command stopped; what it had done before is kept"

#: The next command in a message: ``Next: make status``, ``  next:  df -h``, ``Next, if that is meant: make destroy``.
_NEXT = re.compile(r"\s*\b[Nn]ext(?:, [^:\n]*)?:\s+")
#: What a refusal says beside its cause: `REFUSED` says it.
_NOTHING = re.compile(r"(?:[;.] |^)?\b[Nn]othing was (?:applied|changed|planned|touched)(?:\.|: |$)?", re.MULTILINE)
_WHERE = re.compile(r"\n\s*where:\s+")


class Kind(StrEnum):
    """What a script may branch on."""

    DONE = "done"
    #: Nothing was touched.
    REFUSED = "refused"
    #: Another command holds the lock. Nothing was touched.
    LOCKED = "locked"
    #: This machine could not see whether the release serves.
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
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Outcome:
        """Read a task's result."""
        return cls(**{**result, "kind": Kind(result["kind"])})

    @classmethod
    def of_message(cls, message: str, kind: Kind = Kind.FAILED, subject: str = "") -> Outcome:
        """Read a failed task's message: ``subject: what: cause. Next: command``.

        It is a refusal if it says that nothing was touched; its whole text is the cause. The subject is the
        environment; a phase may follow, ``qa: rollback: plan``.
        """
        environment = subject.partition(": ")[0]
        said = message.removeprefix(f"{subject}: ").removeprefix(f"{environment}: ")
        if kind is Kind.FAILED and _NOTHING.search(said):
            kind = Kind.REFUSED
        text, where, following = parts(said)
        text = one_line(text)
        what, _, cause = (REFUSED, "", text) if kind is Kind.REFUSED else text.partition(": ")
        return cls(kind=kind, what=what, cause=cause, where=where, next=following)

    @classmethod
    def of_failed_task(cls, result: Mapping[str, Any], environment: str = "") -> Outcome:
        """Return the outcome of a failed task, from its message if it returns none."""
        if isinstance(result.get("outcome"), Mapping):
            return cls.from_result(result["outcome"])
        # Ansible validates a role's arguments before the role begins.
        kind = Kind.REFUSED if "argument_errors" in result else Kind.FAILED
        return cls.of_message(str(result.get("msg") or "the task failed"), kind, environment)

    def after_changes(self) -> Outcome:
        """Return the outcome of a run that had changed something before it: something was touched."""
        if self.kind not in (Kind.REFUSED, Kind.LOCKED):
            return self
        return replace(self, kind=Kind.FAILED, what=STOPPED if self.what == REFUSED else self.what)

    def text(self, environment: str) -> str:
        """Return the whole outcome as the message of a task."""
        facts = {f"  {label}": value for label, value in self.facts.items()}
        named = {"  where": self.where, "  cause": self.cause, **facts}
        named |= {"What serves now": self.serves, "Next": self.next}
        lines = [f"{environment}: {self.what}", *(f"{name}: {value}" for name, value in named.items() if value)]
        return "\n".join(lines)


def parts(message: str) -> tuple[str, str, str]:
    """Return what a failed task's message says, then its place and its next command, each in one line."""
    text, *following = _NEXT.split(message, maxsplit=1)
    text, *places = _WHERE.split(text, maxsplit=1)
    return _NOTHING.sub("", text), one_line(*places), " ".join(" ".join(following).split())


def one_line(*texts: str) -> str:
    """Return the lines of texts as one, without the last full stop."""
    line = ""
    for part in (part.strip() for text in texts for part in text.splitlines() if part.strip()):
        joined = line.rstrip(".;")
        if line.endswith((":", ",")) or not line:
            line = f"{line} {part}".strip()
        else:
            line = f"{joined}. {part}" if part[0].isupper() else f"{joined}; {part}"
    return line.rstrip(".;")
