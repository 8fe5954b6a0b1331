"""What ECR's findings stop, what they do not, and the exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.findings import Exemption, Gate
from fargate_ops.image.registry import SCAN_NOT_FOUND, Registry, Scan

TODAY = date(2026, 6, 15)
IMAGE, CHILD = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def basic(name: str = "CVE-2026-1", package: str = "libssl3", severity: str = "CRITICAL") -> dict[str, Any]:
    attributes = [{"key": "package_version", "value": "3.0.1"}, {"key": "package_name", "value": package}]
    return {"name": name, "severity": severity, "attributes": attributes}


def enhanced(*packages: str, fix: str | None = "YES", **changes: Any) -> dict[str, Any]:
    details = {"vulnerabilityId": "CVE-2026-1", "vulnerablePackages": [{"name": name} for name in packages]}
    found = {"title": "t", "severity": "CRITICAL", "status": "ACTIVE", "packageVulnerabilityDetails": details}
    return found | ({"fixAvailable": fix} if fix else {}) | changes


def scan(*findings: Mapping[str, Any], status: str = "COMPLETE", description: str = "") -> Scan:
    old, new = ([item for item in findings if ("name" in item) is kind] for kind in (True, False))
    return Scan(status, description, old, new)


def exemption(until: str = "2026-06-15", **scope: str) -> dict[str, Any]:
    return {"id": "CVE-2026-1", "until": until, "reason": "not reachable", **scope}


class StubRegistry(Registry):
    """A registry with one version, whose images and scans are given."""

    def __init__(self, scans: Mapping[str, Scan]) -> None:
        super().__init__("registry.example", "settlement", None)
        self.scans = scans

    def digest(self, tag: str) -> str | None:
        return IMAGE if tag == "v1" else None

    def images(self, digest: str) -> list[str]:
        assert digest == IMAGE
        return list(self.scans)

    def scan(self, digest: str) -> Scan:
        return self.scans[digest]


class Run:
    """One run of the gate, and its lines."""

    def __init__(self, *scans: Scan, exceptions: Sequence[Mapping[str, Any]] = (), version: str = "v1") -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.problem = ""
        found = {IMAGE: scans[0]} if len(scans) == 1 else dict(zip((CHILD, f"sha256:{'c' * 64}"), scans, strict=False))
        gate = Gate(
            StubRegistry(found),
            "production",
            [Exemption.from_fact(fact) for fact in exceptions],
            TODAY,
            self.said.append,
            self.warned.append,
        )
        try:
            assert gate.check(version) == IMAGE
        except ProblemError as problem:
            self.problem = str(problem)


@pytest.mark.parametrize(
    "found",
    [
        scan(),
        scan(basic(severity="HIGH")),
        scan(status="ACTIVE"),
        scan(enhanced("libssl3", severity="HIGH"), status="ACTIVE"),
        scan(enhanced("libssl3", status="CLOSED"), status="ACTIVE"),
    ],
)
def test_no_critical_finding_stops_nothing(found: Scan) -> None:
    run = Run(found)
    assert (run.problem, run.warned) == ("", [])
    assert run.said == [f"no critical finding stops settlement:v1 ({IMAGE})"]


@pytest.mark.parametrize(
    "found",
    [
        scan(basic()),
        scan(enhanced("libssl3"), status="ACTIVE"),
        scan(enhanced("libssl3", fix="PARTIAL"), status="ACTIVE"),
        scan(enhanced("libssl3", fix=None), status="ACTIVE"),
        scan(enhanced("libssl3", status="SUPPRESSED"), status="ACTIVE"),
    ],
)
def test_a_critical_finding_stops(found: Scan) -> None:
    run = Run(found)
    assert run.problem.startswith("The image settlement:v1 has 1 critical finding: CVE-2026-1 in libssl3.\n")
    assert f"registry.example/settlement@{IMAGE}" in run.problem
    assert "{id: CVE-2026-1, package: libssl3, until: <YYYY-MM-DD>, reason: <why>}" in run.problem
    assert "make rollback ENV=production" in run.problem


def test_a_critical_finding_without_a_fix_is_named_and_stops_nothing() -> None:
    run = Run(scan(enhanced("libssl3", fix="NO"), status="ACTIVE"))
    assert run.problem == ""
    assert run.warned == ["critical, without a fix: CVE-2026-1 in libssl3"]


def test_many_findings_are_counted_and_some_are_named() -> None:
    run = Run(scan(*(basic(f"CVE-{number}") for number in range(12)), basic("CVE-0")))
    assert "has 12 critical findings: CVE-0 in libssl3; CVE-1 in" in run.problem
    assert "CVE-9 in libssl3; and 2 more." in run.problem


@pytest.mark.parametrize(
    ("status", "way"),
    [
        ("IN_PROGRESS", "wait a few minutes"),
        ("PENDING", "wait a few minutes"),
        ("FAILED", f"aws ecr start-image-scan --repository-name settlement --image-id imageDigest={IMAGE}"),
        (SCAN_NOT_FOUND, "aws ecr start-image-scan"),
        ("UNSUPPORTED_IMAGE", "build an image that ECR can scan"),
        ("SCAN_ELIGIBILITY_EXPIRED", "re-scan duration"),
        ("FINDINGS_UNAVAILABLE", "build an image"),
        ("A_STATUS_OF_TOMORROW", "build an image"),
    ],
)
def test_a_scan_without_a_result_stops_with_the_way_to_go_on(status: str, way: str) -> None:
    run = Run(scan(basic(severity="LOW"), status=status, description="says ECR"))
    assert run.problem.startswith(f"ECR's scan of the image settlement:v1 has no result: {status} (says ECR).\n")
    assert way in run.problem
    assert f"{{id: {status}, digest: {IMAGE}, until: <YYYY-MM-DD>, reason: <why>}}" in run.problem
    accepted = Run(scan(status=status), exceptions=[exemption(id=status, digest=IMAGE)])
    assert accepted.problem == ""
    assert Run(scan(status=status), exceptions=[exemption(id=status, digest=CHILD)]).problem
    assert Run(scan(status=status), exceptions=[exemption(id=status, package="libssl3")]).problem


def test_an_image_that_is_not_in_the_registry_stops() -> None:
    run = Run(scan(), version="v2")
    assert run.problem.startswith("The image settlement:v2 is not in the registry")
    assert "make build ENV=production" in run.problem


@pytest.mark.parametrize("scope", [{"package": "libssl3"}, {"digest": IMAGE}])
@pytest.mark.parametrize("found", [scan(basic()), scan(enhanced("libssl3"), status="ACTIVE")])
def test_an_exception_accepts_a_finding_through_its_last_day(found: Scan, scope: dict[str, str]) -> None:
    run = Run(found, exceptions=[exemption(**scope)])
    assert run.problem == ""
    assert run.said[0].startswith("accepted by an exception: CVE-2026-1 in ")
    expired = Run(found, exceptions=[exemption("2026-06-14", **scope)])
    assert "CVE-2026-1" in expired.problem
    (named,) = expired.warned
    assert named.startswith("an exception has expired: CVE-2026-1 in ")
    assert named.endswith("until 2026-06-14: not reachable")


def test_an_expired_exception_is_named_although_nothing_needs_it() -> None:
    run = Run(scan(), exceptions=[exemption("2026-01-01", package="zlib1g")])
    assert run.problem == ""
    assert run.warned == ["an exception has expired: CVE-2026-1 in zlib1g, until 2026-01-01: not reachable"]


@pytest.mark.parametrize(
    "other", [{"id": "CVE-2026-2", "package": "libssl3"}, {"package": "zlib1g"}, {"digest": CHILD}], ids=str
)
def test_an_exception_for_something_else_accepts_nothing(other: dict[str, str]) -> None:
    assert "CVE-2026-1" in Run(scan(basic()), exceptions=[exemption(**other)]).problem


def test_each_package_of_a_finding_needs_an_exception() -> None:
    found = scan(enhanced("libssl3", "openssl"), status="ACTIVE")
    assert "CVE-2026-1 in libssl3, openssl" in Run(found, exceptions=[exemption(package="libssl3")]).problem
    both = [exemption(package="libssl3"), exemption(package="openssl")]
    assert Run(found, exceptions=both).problem == ""


def test_a_finding_without_a_package_is_accepted_for_an_image_only() -> None:
    found = scan(enhanced(), status="ACTIVE")
    assert "CVE-2026-1 in an unnamed package" in Run(found, exceptions=[exemption(package="libssl3")]).problem
    assert Run(found, exceptions=[exemption(digest=IMAGE)]).problem == ""


def test_each_image_of_an_index_is_checked_and_an_exception_may_name_the_index() -> None:
    assert Run(scan(), scan()).problem == ""
    assert "CVE-2026-1" in Run(scan(), scan(basic())).problem
    assert Run(scan(), scan(basic()), exceptions=[exemption(digest=IMAGE)]).problem == ""
