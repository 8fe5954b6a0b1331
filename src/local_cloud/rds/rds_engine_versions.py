"""RDS lists when major versions leave standard support, and refuses a major upgrade without its preconditions.

What AWS does: DescribeDBMajorEngineVersions returns the lifecycle of each major version
(https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBMajorEngineVersions.html). ModifyDBInstance to
another major version needs AllowMajorVersionUpgrade, and a parameter group of the new version's family in the same
request; a downgrade is refused
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.PostgreSQL.MajorVersion.Process.html).
Without this patch: the emulator has no such operation, and accepts any version.

An upgrade changes only the version that RDS reports; the container keeps its PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, replaces
from local_cloud.moto_server.costs import major_engine_versions

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


@replaces("rds", "DescribeDBMajorEngineVersions")
def describe_db_major_engine_versions(request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    return _describe(rds._p(request, "Engine"), rds._p(request, "MajorEngineVersion"))


def refusal(current: str, wanted: str, family: str, *, allowed: bool) -> str:
    """Return why RDS refuses to change a PostgreSQL instance's version, or an empty string.

    `family` is that of the instance's parameter group after the request.
    """
    before, after = current.partition(".")[0], wanted.partition(".")[0]
    if int(after) < int(before):
        return f"Cannot upgrade postgres from {current} to {wanted}"
    if after != before and not allowed:
        return "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
    if family and family != f"postgres{after}":
        return (
            f"The parameter group with DBParameterGroupFamily {family} can't be used for this instance. "
            f"Please use a Parameter Group with DBParameterGroupFamily postgres{after}."
        )
    return ""


@extends("rds", "ModifyDBInstance")
def modify_db_instance(modify: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier"))
    wanted, group = rds._p(request, "EngineVersion"), rds._p(request, "DBParameterGroupName")
    if instance and instance.get("Engine") == "postgres" and (wanted or group):
        name = group or (instance.get("DBParameterGroups") or [{}])[0].get("DBParameterGroupName", "")
        family = (rds._param_groups.get(name) or {}).get("DBParameterGroupFamily", "")
        current = str(instance["EngineVersion"])
        allowed = rds._p(request, "AllowMajorVersionUpgrade") == "true"
        if message := refusal(current, wanted or current, family, allowed=allowed):
            return rds._error("InvalidParameterCombination", message, 400)
    return modify(request)


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
