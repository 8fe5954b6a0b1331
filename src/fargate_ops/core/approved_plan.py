"""The plan of a deployment as a document that can be compared: what was approved, and what would be done now.

It has the hash of each argument instead of its value, so it may be shown and handed from one job to another. The image
and the schema's heads are in it as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fargate_ops.core.problem import ProblemError

#: By subject, as ``update aws_lb.this``: its parts, as ``idle_timeout``, with a hash of the planned value.
Section = Mapping[str, Mapping[str, str]]

#: The section of the task definition, the image and the migrations. Each Terraform root has a section of its name.
RELEASE = "release"

_DIGITS = 16


@dataclass(frozen=True)
class PlanDocument:
    """Everything that a deployment of ``environment`` would change."""

    environment: str
    sections: Mapping[str, Section]

    @property
    def fingerprint(self) -> str:
        """The hash of the whole document, to compare two by eye."""
        return hashed(asdict(self))

    def to_json(self) -> str:
        """Return one line."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def hashed(value: Any) -> str:
    """Return the beginning of the SHA-256 of a plain value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def read(path: Path, environment: str) -> PlanDocument:
    """Read the approved plan of `environment`.

    Raises:
        ProblemError: there is none, it is incomplete, or it is another environment's.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        document = PlanDocument(str(said["environment"]), {name: dict(item) for name, item in said["sections"].items()})
        if RELEASE not in document.sections:
            raise KeyError(RELEASE)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProblemError(
            f"Nothing was changed: the approved plan cannot be read: {error!r}.", str(path), _next(environment)
        ) from error
    if document.environment != environment:
        raise ProblemError(
            f"Nothing was changed: the approved plan is of {document.environment}, not of {environment}.",
            str(path),
            _next(environment),
        )
    return document


def require_approved(path: Path, environment: str, name: str, now: Section) -> None:
    """Refuse a deployment whose section `name` differs from the one in the approved plan at `path`.

    Raises:
        ProblemError: it differs; with each difference.
    """
    approved = read(path, environment)
    if found := list(differences(approved.sections.get(name, {}), now)):
        raise ProblemError(
            "\n  ".join(["Nothing was changed: this deployment is not the approved one:", *found]),
            f"the approved plan {approved.fingerprint} in {path}",
            _next(environment),
        )


def differences(approved: Section, now: Section) -> Iterator[str]:
    """Return a line for each subject that differs, with its parts."""
    for subject in sorted({*approved, *now}):
        if subject not in approved:
            yield f"{subject}: was not approved"
        elif subject not in now:
            yield f"{subject}: was approved, and would not happen"
        elif parts := sorted(
            part
            for part in {*approved[subject], *now[subject]}
            if approved[subject].get(part) != now[subject].get(part)
        ):
            yield f"{subject}: not as approved: {', '.join(parts)}"


def _next(environment: str) -> str:
    return f"make plan ENV={environment}, and let the new plan be approved; at GitHub: run the workflow deploy again"
