"""How a run ended, as far as a failed task's message says, and where programs read it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fargate_ops.core.outcome import REFUSED, Kind, Outcome, parts

SERVED_BEFORE = "what served before"
SERVES_UNKNOWN = "not known: make status shows it"

_ERROR = re.compile(r"^\W*(?P<error>Error|ERROR|error)\b", re.MULTILINE)
#: What Terraform draws around an error.
_FRAME = " │╷╵"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A task that failed and was not rescued."""

    #: The step, as the playbook names it.
    step: str
    #: The role and the task.
    task: str
    message: str
    #: What `Outcome.of_failed_task` says of it.
    kind: Kind = Kind.FAILED


def derive(failure: Failure, environment: str, *, reached: bool, log: str) -> Outcome:
    """Return the outcome that a failed task's message tells.

    Args:
        reached: whether the run began to update the service.
        log: the path of the log.
    """
    text, where, following = parts(failure.message.strip())
    return Outcome(
        kind=failure.kind,
        what=REFUSED if failure.kind is Kind.REFUSED else f"stopped in “{failure.step}”",
        where=where or failure.task,
        cause=_bare(text, environment),
        serves=SERVES_UNKNOWN if reached else SERVED_BEFORE,
        next=following or f"less {log}",
    )


def _bare(text: str, environment: str) -> str:
    """Return what happened, without the environment and without what a tool prints around its error."""
    text = text.strip().removeprefix(f"{environment}: ")
    if error := _ERROR.search(text):
        text = text[error.start("error") :]
    return "\n".join(line.strip(_FRAME) for line in text.splitlines() if line.strip(_FRAME))


def complete(outcome: Outcome, derived: Outcome) -> Outcome:
    """Fill what a task left empty."""
    return replace(
        outcome,
        where=outcome.where or derived.where,
        cause=outcome.cause or derived.cause,
        serves=outcome.serves or derived.serves,
        next=outcome.next or derived.next,
    )


def write(path: Path, outcome: Outcome, run: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Write ``outcome.json``, readable by its owner only, and on GitHub the step's output ``outcome``.

    https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-output-parameter
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps({**outcome.to_result(), **run}, indent=2, ensure_ascii=False) + "\n", "utf-8")
        temporary.replace(path)
    if output := environment.get("GITHUB_OUTPUT"):
        with suppress(OSError), open(output, "a", encoding="utf-8") as stream:
            stream.write(f"outcome={outcome.kind}\n")
