"""PostgreSQL runs with the parameters of its DB parameter group, and RDS's rules decide when a change applies.

What AWS does (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithParamGroups.html): a change of a
dynamic parameter with ``ApplyMethod=immediate`` applies at once; a static one, or ``pending-reboot``, waits for
RebootDBInstance, and the instance's parameter group is ``pending-reboot`` until then; ``immediate`` for a static
parameter is refused. Another parameter group takes effect at the next reboot. A parameter with its family's default is
stored as ``engine-default`` with ``pending-reboot``, and a change of the apply method alone is ignored
(https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/db_parameter_group#problematic-plan-changes,
https://github.com/hashicorp/terraform-provider-aws/issues/39252). The family decides which parameters are static and
what their defaults are: ``rds.force_ssl`` is static and 0 up to postgres14, dynamic and 1 since postgres15
(https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html). A group that an instance
uses cannot be deleted (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBParameterGroup.html).

Without this patch: the emulator stores the values and does not apply them to PostgreSQL. It keeps every apply method,
and deletes a group that is in use.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends
from local_cloud.rds import postgres

logger = logging.getLogger(__name__)

APPLIED = "_applied_parameters"
"""Key of an instance's record: the parameters that its PostgreSQL runs with."""

_new_group: contextvars.ContextVar[str] = contextvars.ContextVar("new_group", default="")
"""Parameter group of the instance that is being created: the emulator creates its record after its container."""

STATIC = frozenset(
    """
    archive_mode autovacuum_freeze_max_age autovacuum_max_workers autovacuum_multixact_freeze_max_age
    commit_timestamp_buffers huge_page_size huge_pages ignore_invalid_pages max_connections max_files_per_process
    max_locks_per_transaction max_logical_replication_workers max_notify_queue_pages max_pred_locks_per_transaction
    max_prepared_transactions max_replication_slots max_wal_senders max_worker_processes min_dynamic_shared_memory
    multixact_member_buffers multixact_offset_buffers notify_buffers rds.logical_replication reserved_connections
    serializable_buffers shared_buffers shared_preload_libraries subtransaction_buffers superuser_reserved_connections
    track_activity_query_size track_commit_timestamp transaction_buffers wal_buffers wal_decode_buffer_size wal_level
    wal_log_hints
    """.split()  # noqa: SIM905 - a list of forty quoted names is no easier to read
)
"""PostgreSQL 17's parameters of context ``postmaster`` (pg_settings) that can be set on RDS."""

_FORCE_SSL = "rds.force_ssl"
_FORCED_SINCE = 15
"""The first major version that requires TLS by default. Since then the parameter is dynamic."""


@extends("rds", "_default_parameters_for_family")
def default_parameters_for_family(definitions: Handler, family: str) -> list[dict[str, Any]]:
    return with_defaults(family, definitions(family))


@extends("rds", "_parameter_xml")
def parameter_xml(xml: Handler, name: str, *values: Any, **options: Any) -> Any:
    text = xml(name, *values, **options)
    return text.replace("<ApplyType>dynamic<", "<ApplyType>static<") if name in STATIC else text


def family_defaults(family: str) -> dict[str, str]:
    """Return the defaults that RDS shows with a value for a PostgreSQL family. Other families have none."""
    if not family.startswith("postgres"):
        return {}
    return {
        "max_connections": "LEAST({DBInstanceClassMemory/9531392},5000)",
        "password_encryption": "scram-sha-256",
        _FORCE_SSL: "1" if _major(family) >= _FORCED_SINCE else "0",
        "shared_preload_libraries": "pg_stat_statements",
    }


def is_static(family: str, name: str) -> bool:
    """Return whether a change of the parameter waits for a reboot, whatever its apply method."""
    return name in STATIC or (name == _FORCE_SSL and _major(family) < _FORCED_SINCE)


def with_defaults(family: str, definitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the emulator's parameters of a family, with RDS's defaults and apply types."""
    defaults = family_defaults(family)
    found = {definition["name"]: definition for definition in definitions}
    if defaults:
        # RDS shows no value if the default is PostgreSQL's own.
        found = {name: {**definition, "default": ""} for name, definition in found.items()}
    for name, value in defaults.items():
        apply_type = "static" if is_static(family, name) else "dynamic"
        found[name] = {**found.get(name, {"name": name}), "default": value, "apply_type": apply_type}
    return list(found.values())


def settle(
    family: str, before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the parameters that RDS stores for a group, from those `before` and `after` a request."""
    kept = {}
    for name, entry in after.items():
        value = entry["ParameterValue"]
        if value == family_defaults(family).get(name):
            continue  # engine-default, pending-reboot
        same = name in before and before[name]["ParameterValue"] == value
        kept[name] = dict(before[name] if same else entry)
    return kept


def for_start(rds: Any, identifier: str) -> dict[str, str]:
    """Return the parameters that an instance starts with: all of its group's."""
    instance = rds._instances.get(identifier)
    parameters = _of_group(rds, _group_of(instance) if instance else _new_group.get())
    if instance is not None:
        instance[APPLIED] = parameters
    return parameters


def files(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the container's files that depend on parameters."""
    return {
        f"{postgres.DIRECTORY}/postgresql.conf": postgres.configuration(parameters),
        f"{postgres.DIRECTORY}/pg_hba.conf": postgres.access_rules(parameters),
    }


def merge(
    applied: Mapping[str, str], group: Mapping[str, Mapping[str, str | None]], family: str = "postgres17"
) -> tuple[dict[str, str], bool]:
    """Return PostgreSQL's parameters after its group changed, and whether some wait for a reboot."""
    wanted = {
        name: str(entry["ParameterValue"]) for name, entry in group.items() if entry["ParameterValue"] is not None
    }
    result = dict(applied)
    pending = False
    for name in applied.keys() | wanted.keys():
        if applied.get(name) == wanted.get(name):
            continue
        # A reset parameter has no entry; a dynamic one returns to its default at once.
        method = (group.get(name) or {}).get("ApplyMethod", "immediate")
        if is_static(family, name) or method != "immediate":
            pending = True
        elif name in wanted:
            result[name] = wanted[name]
        else:
            del result[name]
    return result, pending


@extends("rds", "CreateDBInstance")
def create_db_instance(create: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    group = rds._p(request, "DBParameterGroupName")
    token = _new_group.set(group)
    try:
        answer = create(request)
    finally:
        _new_group.reset(token)
    instance = rds._instances.get(rds._p(request, "DBInstanceIdentifier"))
    if answer[0] == 200 and instance is not None:
        instance.setdefault(APPLIED, _of_group(rds, group))
    return answer


@extends("rds", "ModifyDBInstance")
def modify_db_instance(modify: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier"))
    before = _group_of(instance) if instance else ""
    answer = modify(request)
    if answer[0] == 200 and instance is not None and rds._p(request, "DBParameterGroupName"):
        changed = _group_of(instance) != before
        instance["DBParameterGroups"][0]["ParameterApplyStatus"] = "pending-reboot" if changed else "in-sync"
    return answer


@extends("rds", "RebootDBInstance")
def reboot_db_instance(reboot: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier"))
    if instance is not None and instance.get("DBInstanceStatus") == "available" and _has_postgres(instance):
        _install(rds, instance, for_start(rds, instance["DBInstanceIdentifier"]), reload=False)
        instance["DBParameterGroups"][0]["ParameterApplyStatus"] = "in-sync"
    return reboot(request)


@extends("rds", "ModifyDBParameterGroup")
@extends("rds", "ResetDBParameterGroup")
def modify_db_parameter_group(modify: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    name = rds._p(request, "DBParameterGroupName")
    group = rds._param_groups.get(name) or {}
    family = group.get("DBParameterGroupFamily", "")
    if not family.startswith("postgres"):
        return modify(request)
    prefix = rds._parameter_member_prefix(request)
    number = 1
    while parameter := rds._p(request, f"{prefix}.{number}.ParameterName"):
        if is_static(family, parameter) and rds._p(request, f"{prefix}.{number}.ApplyMethod") == "immediate":
            message = f"cannot use immediate apply method for static parameter: {parameter}"
            return rds._error("InvalidParameterCombination", message, 400)
        number += 1
    before = dict(group["Parameters"])
    answer = modify(request)
    if answer[0] != 200:
        return answer
    group["Parameters"] = settle(family, before, group["Parameters"])
    for instance in list(rds._instances.values()):
        if _group_of(instance) == name and _has_postgres(instance):
            parameters, pending = merge(instance.get(APPLIED, {}), group["Parameters"], family)
            if parameters != instance.get(APPLIED):
                _install(rds, instance, parameters, reload=True)
            instance["DBParameterGroups"][0]["ParameterApplyStatus"] = "pending-reboot" if pending else "in-sync"
    return answer


@extends("rds", "DeleteDBParameterGroup")
def delete_db_parameter_group(delete: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    name = rds._p(request, "DBParameterGroupName")
    users = [instance for instance in rds._instances.values() if _group_of(instance) == name]
    if users:
        message = f"One or more database instances are still members of this parameter group {name}"
        return rds._error("InvalidDBParameterGroupState", message, 400)
    return delete(request)


def _major(family: str) -> int:
    return int(family.removeprefix("postgres"))


def _install(rds: Any, instance: dict[str, Any], parameters: dict[str, str], *, reload: bool) -> None:
    """Copy the files to the container. With `reload`, PostgreSQL reads them now, otherwise when it starts."""
    container = rds._get_docker().containers.get(instance["_docker_container_id"])
    container.put_archive("/", postgres.archive(files(parameters)))
    if reload:
        container.exec_run(["chown", "-R", "postgres:postgres", postgres.DIRECTORY])
        container.kill(signal="SIGHUP")
    instance[APPLIED] = parameters
    logger.info("RDS instance %s: parameters written", instance["DBInstanceIdentifier"])


def _of_group(rds: Any, name: str) -> dict[str, str]:
    group = rds._param_groups.get(name) or {"Parameters": {}}
    return {
        parameter: str(entry["ParameterValue"])
        for parameter, entry in group["Parameters"].items()
        if entry["ParameterValue"] is not None
    }


def _group_of(instance: Mapping[str, Any]) -> str:
    groups = instance.get("DBParameterGroups") or [{}]
    return str(groups[0].get("DBParameterGroupName", ""))


def _has_postgres(instance: Mapping[str, Any]) -> bool:
    return instance.get("Engine") == "postgres" and bool(instance.get("_docker_container_id"))
