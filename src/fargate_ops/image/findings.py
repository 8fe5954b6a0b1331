"""Decide from ECR's findings of an image whether it may be deployed.

ECR scans an image in one of two ways. Basic scanning scans it once and does not say whether a fix exists: each critical
finding stops a deployment. Enhanced scanning (Amazon Inspector) rescans it: a critical finding stops a deployment
unless no fix exists for it. A scan without a result stops it as well.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.registry import SCAN_NOT_FOUND, Registry, Scan

#: Statuses of a scan with a result: of basic scanning, and of enhanced scanning.
#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanStatus.html
_SCANNED = ("COMPLETE", "ACTIVE")
_WAITING = ("IN_PROGRESS", "PENDING")
_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """A critical finding. `fixable` is true if basic scanning found it, which does not know of fixes."""

    id: str
    packages: tuple[str, ...]
    fixable: bool

    def __str__(self) -> str:
        return f"{self.id} in {', '.join(self.packages) or 'an unnamed package'}"


@dataclass(frozen=True)
class Exemption:
    """An entry of the list of exceptions: `id` is accepted in a package or an image, through the day `until`."""

    id: str
    package: str
    digest: str
    until: date
    reason: str

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> Self:
        """Return an entry of ``image_findings_exceptions``, which preflight has checked."""
        return cls(
            id=fact["id"],
            package=fact.get("package", ""),
            digest=fact.get("digest", ""),
            until=date.fromisoformat(str(fact["until"])),
            reason=fact["reason"],
        )

    def __str__(self) -> str:
        return f"{self.id} in {self.package or self.digest}, until {self.until}: {self.reason}"


@dataclass(frozen=True)
class Verdict:
    """What stops the deployment, what does not, and the expired exceptions.

    `unscanned` is the scan without a result, if no exception accepts it.
    """

    unscanned: Scan | None
    stopping: tuple[Finding, ...]
    accepted: tuple[Exemption, ...]
    unfixable: tuple[Finding, ...]
    expired: tuple[Exemption, ...]


def criticals(scan: Scan) -> list[Finding]:
    """Return the critical findings of a scan, without those that are closed."""
    found = [
        Finding(
            id=str(item.get("name", "unnamed")),
            packages=tuple(pair["value"] for pair in item.get("attributes", []) if pair.get("key") == "package_name"),
            fixable=True,
        )
        for item in scan.basic
        if item.get("severity") == "CRITICAL"
    ]
    for item in scan.enhanced:
        if item.get("severity") == "CRITICAL" and item.get("status") != "CLOSED":
            details = item.get("packageVulnerabilityDetails", {})
            packages = [package["name"] for package in details.get("vulnerablePackages", []) if package.get("name")]
            found.append(
                Finding(
                    id=str(details.get("vulnerabilityId") or item.get("title") or "unnamed"),
                    packages=tuple(dict.fromkeys(packages)),
                    # PARTIAL: for some of its packages. Without a value, a fix may exist.
                    fixable=item.get("fixAvailable") != "NO",
                )
            )
    return list(dict.fromkeys(found))


def judge(scan: Scan, exemptions: Sequence[Exemption], digests: Iterable[str], today: date) -> Verdict:
    """Decide about one scan of an image. An exception for one of `digests` is for the whole image.

    A finding is accepted if an exception covers each of its packages, or the image.
    """
    known = set(digests)
    expired = tuple(item for item in exemptions if item.until < today)
    valid = [item for item in exemptions if item not in expired]
    accepted: list[Exemption] = []

    def accepts(identifier: str, packages: Sequence[str]) -> bool:
        same = [item for item in valid if item.id == identifier]
        whole = [item for item in same if item.digest in known]
        of_packages = [item for item in same if item.package in packages]
        if not whole and ({item.package for item in of_packages} != set(packages) or not packages):
            return False
        accepted.extend(whole or of_packages)
        return True

    if scan.status not in _SCANNED:
        unscanned = None if accepts(scan.status, ()) else scan
        return Verdict(unscanned, (), tuple(accepted), (), expired)
    found = criticals(scan)
    return Verdict(
        unscanned=None,
        stopping=tuple(item for item in found if item.fixable and not accepts(item.id, item.packages)),
        accepted=tuple(dict.fromkeys(accepted)),
        unfixable=tuple(item for item in found if not item.fixable),
        expired=expired,
    )


@dataclass(frozen=True)
class Gate:
    """One run. `environment` is in the next commands, `say` prints a line, `warn` prints one that needs attention."""

    registry: Registry
    environment: str
    exemptions: Sequence[Exemption]
    today: date
    say: Callable[[str], None]
    warn: Callable[[str], None]

    def check(self, version: str) -> str:
        """Return the digest of an image that may be deployed. Raises ProblemError, RepositoryMissingError."""
        digest = self.registry.digest(version)
        named = f"{self.registry.repository}:{version}"
        if digest is None:
            raise ProblemError(
                f"The image {named} is not in the registry, so it has no scan.",
                self.registry.name,
                f"make build ENV={self.environment}, then repeat the command when ECR has scanned the image",
            )
        images = self.registry.images(digest)
        for image in images:
            self._check_image(image, named, (digest, image))
        return digest

    def _check_image(self, digest: str, named: str, digests: tuple[str, ...]) -> None:
        scan = self.registry.scan(digest)
        verdict = judge(scan, self.exemptions, digests, self.today)
        for exemption in verdict.expired:
            self.warn(f"an exception has expired: {exemption}")
        for exemption in verdict.accepted:
            self.say(f"accepted by an exception: {exemption}")
        for finding in verdict.unfixable:
            self.warn(f"critical, without a fix: {finding}")
        if verdict.unscanned:
            raise ProblemError(
                f"ECR's scan of the image {named} has no result: {scan.status}"
                + (f" ({scan.description})." if scan.description else "."),
                f"{self.registry.name}@{digest}",
                f"{self._way_on(scan.status, digest)}; or accept this image until a day: add "
                f"{{id: {scan.status}, digest: {digest}, until: <YYYY-MM-DD>, reason: <why>}} to "
                "image_findings_exceptions in inventory/shared.yml; a rollback is not checked: "
                f"make rollback ENV={self.environment}",
            )
        if verdict.stopping:
            shown = "; ".join(map(str, verdict.stopping[:_SHOWN]))
            more = len(verdict.stopping) - _SHOWN
            raise ProblemError(
                f"The image {named} has {len(verdict.stopping)} critical finding"
                f"{'' if len(verdict.stopping) == 1 else 's'}: {shown}{f'; and {more} more' if more > 0 else ''}.",
                f"{self.registry.name}@{digest}",
                "update the package or the base image and build again; or accept the finding until a day: add "
                f"{{id: {verdict.stopping[0].id}, package: {(verdict.stopping[0].packages or ('<name>',))[0]}, "
                "until: <YYYY-MM-DD>, reason: <why>} to image_findings_exceptions in inventory/shared.yml; "
                f"a rollback is not checked: make rollback ENV={self.environment}",
            )
        self.say(f"no critical finding stops {named} ({digest})")

    def _way_on(self, status: str, digest: str) -> str:
        if status in _WAITING:
            return "wait a few minutes, then repeat the command"
        if status in (SCAN_NOT_FOUND, "FAILED"):
            image = f"--repository-name {self.registry.repository} --image-id imageDigest={digest}"
            return (
                f"aws ecr start-image-scan {image} (basic scanning), or turn enhanced scanning on for the repository, "
                "then repeat the command"
            )
        if status == "SCAN_ELIGIBILITY_EXPIRED":
            return "prolong the re-scan duration of ECR images in Amazon Inspector, then repeat the command"
        return "build an image that ECR can scan, then repeat the command"
