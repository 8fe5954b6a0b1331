"""RDS says when its major versions leave standard support.

What AWS does: DescribeDBMajorEngineVersions answers with the lifecycle of each major version
(https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBMajorEngineVersions.html).
What the emulator does: it has no such operation.
"""

from __future__ import annotations

from collections.abc import Mapping

from roles.local_cloud.cloud import emulator
from roles.local_cloud.cloud.costs import major_engine_versions
from roles.local_cloud.cloud.runtime import Cloud

#: The end of standard support, the start and the end of extended support, as of 2026-10:
#: https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-release-calendar.html
POSTGRES: Mapping[str, tuple[str, str, str]] = {
    "13": ("2026-02-28", "2026-03-01", "2029-02-28"),
    "14": ("2027-02-28", "2027-03-01", "2030-02-28"),
    "15": ("2028-02-29", "2028-03-01", "2031-02-28"),
    "16": ("2029-02-28", "2029-03-01", "2032-02-29"),
    "17": ("2030-02-28", "2030-03-01", "2033-02-28"),
    "18": ("2031-02-28", "2031-03-01", "2034-02-28"),
}


def apply(cloud: Cloud) -> None:
    rds = emulator.service("rds")
    rds._ACTION_MAP["DescribeDBMajorEngineVersions"] = lambda request: _describe(
        rds._p(request, "Engine"), rds._p(request, "MajorEngineVersion")
    )


def _describe(engine: str, major: str) -> tuple[int, dict[str, str], bytes]:
    versions = [
        {"Engine": "postgres", "MajorEngineVersion": name, "SupportedEngineLifecycles": _lifecycles(*days)}
        for name, days in POSTGRES.items()
        if engine in ("", "postgres") and major in ("", name)
    ]
    return 200, {"Content-Type": "text/xml"}, major_engine_versions(versions).encode()


def _lifecycles(standard_end: str, extended_start: str, extended_end: str) -> list[dict[str, str]]:
    spans = (("standard", "2020-01-01", standard_end), ("extended", extended_start, extended_end))
    return [
        {
            "LifecycleSupportName": f"open-source-rds-{name}-support",
            "LifecycleSupportStartDate": f"{start}T00:00:00Z",
            "LifecycleSupportEndDate": f"{end}T23:59:59Z",
        }
        for name, start, end in spans
    ]
