"""An instance is restored from a snapshot or to a point in time, with the data of that moment.

What AWS does (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBInstanceToPointInTime.html,
https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBInstanceFromDBSnapshot.html): a restore creates
another instance with the source's settings, unless the request has others, and with the default parameter group and
security group, unless the request names them. The source does not change.

Without this patch: the emulator creates an instance from a snapshot as metadata without a database, and cannot restore
to a point in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import replaces
from local_cloud.rds import postgres, rds_backups
from local_cloud.rds.rds_container import restored_from

_INHERITED = (
    "Engine",
    "EngineVersion",
    "DBInstanceClass",
    "AllocatedStorage",
    "MasterUsername",
    "DBName",
    "StorageType",
    "BackupRetentionPeriod",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "MaxAllocatedStorage",
)
#: Write a commit after the requested time, which shows PostgreSQL's replay that it has reached that time (RDS writes
#: such a heartbeat every five minutes), and archive its segment of the write-ahead log now.
_SEAL = (
    "--command=SELECT pg_logical_emit_message(true, 'rds', 'heartbeat')",
    "--command=SELECT pg_walfile_name(pg_switch_wal())",
)
_PSQL = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--username={postgres.SUPERUSER}", "--dbname=postgres")


@replaces("rds", "RestoreDBInstanceFromDBSnapshot")
def restore_from_snapshot(request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    name = rds._p(request, "DBSnapshotIdentifier")
    snapshot = rds._snapshots.get(name)
    if snapshot is None:
        return rds._error("DBSnapshotNotFound", f"DBSnapshot {name} not found.", 404)
    if snapshot["Status"] != "available" or rds_backups.DATA not in snapshot:
        message = f"DBSnapshot {name} is {snapshot['Status']}, or has no data that this cloud could restore."
        return rds._error("InvalidDBSnapshotState", message, 400)
    origin = {"RDS_RESTORE_FROM": snapshot[rds_backups.DATA]}
    target = rds._p(request, "DBInstanceIdentifier")
    return _restore(rds, request, "RestoreDBInstanceFromDBSnapshot", target, snapshot, origin)


@replaces("rds", "RestoreDBInstanceToPointInTime")
def restore_to_point_in_time(request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    name = rds._p(request, "SourceDBInstanceIdentifier")
    source = rds._resolve_instance(name)
    if source is None:
        return rds._error("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    earliest = source.get(rds_backups.EARLIEST)
    if not rds_backups.is_backed_up(source) or earliest is None:
        return rds._error("PointInTimeRestoreNotEnabled", f"{name} has no automated backup yet.", 400)
    now = datetime.now(UTC)
    latest = rds._p(request, "UseLatestRestorableTime") == "true"
    wanted = now if latest else datetime.fromisoformat(rds._p(request, "RestoreTime"))
    if not datetime.fromisoformat(earliest) <= wanted <= now:
        message = f"The specified time is not between {earliest} and {now:%Y-%m-%dT%H:%M:%SZ}, the restorable times."
        return rds._error("InvalidParameterValue", message, 400)
    try:
        segment = rds_backups.execute(rds, source, [*_PSQL, *_SEAL]).splitlines()[-1]
    except RuntimeError as error:
        return rds._error("InvalidDBInstanceState", f"{name} cannot archive its write-ahead log: {error}", 400)
    directory = rds_backups.base_directory(rds, source["DBInstanceIdentifier"])
    origin = {
        "RDS_RESTORE_FROM": f"{directory}/base",
        "RDS_RESTORE_LOG": f"{directory}/wal",
        "RDS_RESTORE_UNTIL": segment,
        "RDS_RESTORE_TIME": f"{wanted.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00",
    }
    target = rds._p(request, "TargetDBInstanceIdentifier")
    return _restore(rds, request, "RestoreDBInstanceToPointInTime", target, source, origin)


def _restore(
    rds: Any,
    request: Mapping[str, Any],
    action: str,
    target: str,
    source: Mapping[str, Any],
    origin: Mapping[str, str],
) -> Any:
    """Create the instance. Its container fills the data directory from `origin` before PostgreSQL starts."""
    settings = {name: [str(source[name])] for name in _INHERITED if source.get(name)}
    port = source.get("Port") or source["Endpoint"]["Port"]
    create = {
        **settings,
        "Port": [str(port)],
        "StorageEncrypted": [str(bool(source.get("StorageEncrypted"))).lower()],
        **request,
        "DBInstanceIdentifier": [target],
    }
    if rds._p(request, "ManageMasterUserPassword") != "true":
        # RDS keeps the password of the time of the backup; this is the source's current one. It has no effect if RDS
        # manages the password: the restored instance then gets a new one at once.
        create["MasterUserPassword"] = [source[rds_backups.PASSWORD]]
    token = restored_from.set(origin)
    try:
        answer = rds._ACTION_MAP["CreateDBInstance"](create)
    finally:
        restored_from.reset(token)
    if answer[0] != 200:
        return answer
    return rds._single_instance_response(f"{action}Response", f"{action}Result", rds._instances[target])
