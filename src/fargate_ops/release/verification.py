"""The messages of a verification: a preview in one sentence, or the failure with the next command."""

from __future__ import annotations

from fargate_ops.core.application import Application
from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import CompleteError
from fargate_ops.release.verify import NO_VERSION_DOCUMENT, Source, Subject, Verdict, Verification


def preview(source: str, answers: int, url: str, version: str, application: Application) -> str:
    """Return what a verification would check. An empty `url` or `version` is not known yet."""
    version = version or "the version (not known yet: there is no image)"
    targets = f"would check whether the tasks of {version} are the only healthy targets"
    if source == Source.TARGETS:
        return targets
    if not application.version_path:
        return f"{targets}: {NO_VERSION_DOCUMENT}"
    asked = url or "the public address (not known yet: there are no Terraform outputs)"
    return f"would ask {asked} for {version}, {answers} times in a row"


def require_verified(found: Verification, subject: Subject, environment: str, where: str = "") -> None:
    """Raise an error unless the verdict is `VERIFIED`. ``where`` names the place of a failure.

    Raises:
        CompleteError: with ``reason`` (one line) and ``unverified``.
    """
    if found.verdict is Verdict.VERIFIED:
        return
    unverified = found.verdict is Verdict.UNVERIFIED
    if unverified:
        message = (
            f"{environment}: {subject.version} is not verified: nothing of ours answered here, and its targets are "
            f"healthy. {found.reason}. Next: let this machine reach that address; or set service_verify_from: targets, "
            f"if none that deploys can"
        )
    else:
        message = (
            f"{environment}: the service does not serve {subject.version} alone: {found.reason}. "
            f"Next: make {found.verb} ENV={environment}"
        )
    kind = Kind.UNVERIFIED if unverified else Kind.FAILED
    raise CompleteError(message, kind=kind, where=where, reason=found.reason, unverified=unverified)
