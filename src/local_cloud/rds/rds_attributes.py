"""A DB instance returns the attributes that it was created or modified with, so that a second plan is empty.

What AWS does: DescribeDBInstances returns the requested log exports, lifecycle support and windows
(https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBInstance.html).

Without this patch: the emulator returns no log exports, no lifecycle support and its own backup window, and changes
Performance Insights only when an instance is created. It ignores the filter by resource id: for a deleted instance it
returns all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

_KEPT = ("PreferredBackupWindow", "CACertificateIdentifier", "PerformanceInsightsKMSKeyId")
"""Attributes that the emulator reads from ModifyDBInstance only."""
LIFECYCLE = "EngineLifecycleSupport"
_DEFAULT_LIFECYCLE = "open-source-rds-extended-support"
"""RDS enrols an instance in (paid) extended support by default."""


@extends("rds", "_instance_xml")
def instance_xml(other_elements: Handler, instance: Mapping[str, Any]) -> str:
    return complete(str(other_elements(instance)), instance)


def complete(xml: str, instance: Mapping[str, Any]) -> str:
    """Return `xml`, the elements of one instance, with those that the emulator leaves out or empty."""
    exports = "".join(f"<member>{name}</member>" for name in instance.get("EnabledCloudwatchLogsExports", []))
    lifecycle = instance.get(LIFECYCLE, _DEFAULT_LIFECYCLE)
    return (
        xml.replace(
            "<EnabledCloudwatchLogsExports/>", f"<EnabledCloudwatchLogsExports>{exports}</EnabledCloudwatchLogsExports>"
        )
        + f"<{LIFECYCLE}>{lifecycle}</{LIFECYCLE}>"
    )


def change_exports(current: Iterable[str], enable: Iterable[str], disable: Iterable[str]) -> list[str]:
    """Return the log types that are exported after a change."""
    return sorted((set(current) | set(enable)) - set(disable))


@extends("rds", "_apply_instance_filters")
def apply_instance_filters(
    by_others: Handler, instances: Iterable[Mapping[str, Any]], filters: Mapping[str, list[str]]
) -> list[Mapping[str, Any]]:
    wanted = filters.get("dbi-resource-id")
    found = [item for item in instances if wanted is None or item["DbiResourceId"] in wanted]
    return list(by_others(found, filters))


@extends("rds", "CreateDBInstance")
def create_db_instance(create: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    answer = create(request)
    if answer[0] != 200:
        return answer
    instance = rds._instances[rds._p(request, "DBInstanceIdentifier")]
    instance["EnabledCloudwatchLogsExports"] = sorted(rds._parse_member_list(request, "EnableCloudwatchLogsExports"))
    instance[LIFECYCLE] = rds._p(request, LIFECYCLE) or _DEFAULT_LIFECYCLE
    for name in _KEPT:
        if rds._p(request, name):
            instance[name] = rds._p(request, name)
    return rds._single_instance_response("CreateDBInstanceResponse", "CreateDBInstanceResult", instance)


@extends("rds", "ModifyDBInstance")
def modify_db_instance(modify: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    answer = modify(request)
    if answer[0] != 200:
        return answer
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier"))
    prefix = "CloudwatchLogsExportConfiguration"
    instance["EnabledCloudwatchLogsExports"] = change_exports(
        instance.get("EnabledCloudwatchLogsExports", []),
        rds._parse_member_list(request, f"{prefix}.EnableLogTypes"),
        rds._parse_member_list(request, f"{prefix}.DisableLogTypes"),
    )
    if insights := rds._p(request, "EnablePerformanceInsights"):
        instance["PerformanceInsightsEnabled"] = insights == "true"
    return rds._single_instance_response("ModifyDBInstanceResponse", "ModifyDBInstanceResult", instance)
