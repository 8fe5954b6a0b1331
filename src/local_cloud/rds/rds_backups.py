"""Automated backups and snapshots of RDS for PostgreSQL contain the data.

What AWS does:
- Automated backups begin when an instance is created. Any second since then can be restored, up to about five minutes
  ago (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIT.html). ``DescribeDBInstances`` returns the latest
  restorable time, ``DescribeDBInstanceAutomatedBackups`` also the earliest. The backups are deleted with the instance.
- A snapshot is ``creating`` until it is ``available``, and outlives its instance
  (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_CreateSnapshot.html).

Without this patch: the emulator's snapshots are metadata without data, and there are no automated backups.

A backup is a ``pg_basebackup`` in a volume of the whole cloud. The first backup and the archived write-ahead log are
kept as long as the instance, whatever its retention period: a local cloud is short-lived. A restore archives the log up
to its own start, so the latest restorable time is now.
"""

from __future__ import annotations

import contextvars
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud
from local_cloud.rds import postgres
from local_cloud.rds.rds_container import backups_directory, backups_volume, remove_volume

logger = logging.getLogger(__name__)

EARLIEST = "_restorable_from"
"""Key of an instance's record: the end of its first backup, which is the earliest restorable time."""
DATA = "_data"
"""Key of a snapshot's record: the path of its data."""
PASSWORD = "_MasterUserPassword"  # noqa: S105 - a key's name
_LOOK_SECONDS = 0.2


def apply(cloud: Cloud) -> None:
    rds = emulator.service("rds")
    actions = rds._ACTION_MAP
    actions["CreateDBInstance"] = functools.partial(_create, rds, actions["CreateDBInstance"])
    actions["CreateDBSnapshot"] = functools.partial(_create_snapshot, rds, actions["CreateDBSnapshot"])
    actions["DeleteDBInstance"] = functools.partial(_delete, cloud, rds, actions["DeleteDBInstance"])
    actions["DescribeDBInstanceAutomatedBackups"] = functools.partial(_describe_automated, rds)
    instance_xml = rds._instance_xml

    @functools.wraps(instance_xml)
    def instance_xml_with_time(instance: Mapping[str, Any]) -> str:
        if is_backed_up(instance) and EARLIEST in instance:
            instance = {**instance, "LatestRestorableTime": rds._format_time(time.time())}
        return str(instance_xml(instance))

    rds._instance_xml = instance_xml_with_time
    cloud.at_start(lambda: _begin_all(rds))


def is_backed_up(instance: Mapping[str, Any]) -> bool:
    return bool(
        instance.get("Engine") == "postgres"
        and instance.get("_docker_container_id")
        and int(instance.get("BackupRetentionPeriod") or 0)
    )


def base_directory(rds: Any, identifier: str) -> str:
    """The automated backups of an instance: ``base``, and the write-ahead log in ``wal``."""
    return backups_directory(rds._rds_docker_name(identifier))


def execute(rds: Any, instance: Mapping[str, Any], command: list[str]) -> str:
    """Run a command as the server's user in the instance's container and return its output.

    Raises:
        RuntimeError: the command failed, or the container does not exist.
    """
    from docker.errors import APIError

    try:
        container = rds._get_docker().containers.get(instance["_docker_container_id"])
        code, output = container.exec_run(command, user="postgres")
    except APIError as error:
        raise RuntimeError(str(error)) from error
    text = output.decode(errors="replace").strip()
    if code:
        raise RuntimeError(text or f"{command[0]} ended with {code}")
    return str(text)


def _base_backup(rds: Any, instance: Mapping[str, Any], directory: str, wal: str) -> None:
    execute(rds, instance, ["rm", "-rf", directory])
    execute(
        rds,
        instance,
        [
            "pg_basebackup",
            f"--username={postgres.SUPERUSER}",
            f"--pgdata={directory}",
            f"--wal-method={wal}",
            "--checkpoint=fast",
            "--no-sync",
        ],
    )


def _in_background(name: str, work: Callable[[], None]) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


def _begin_all(rds: Any) -> None:
    """Make the first backups that are missing after a restart of the cloud."""
    for (account, region, _), instance in list(rds._instances._data.items()):
        with emulator.core("responses").request_scope(account, region):
            _begin(rds, instance)


def _begin(rds: Any, instance: dict[str, Any]) -> None:
    """Make the instance's first backup once it is available."""
    if not is_backed_up(instance) or EARLIEST in instance:
        return
    identifier = instance["DBInstanceIdentifier"]
    directory = f"{base_directory(rds, identifier)}/base"

    def work() -> None:
        while rds._instances.get(identifier) is instance:
            time.sleep(_LOOK_SECONDS)
            if instance["DBInstanceStatus"] != "available":
                continue
            try:
                _base_backup(rds, instance, directory, "none")
            except RuntimeError as error:  # a reboot meanwhile
                logger.warning("RDS instance %s: no automated backup yet: %s", identifier, error)
                continue
            instance[EARLIEST] = rds._format_time(time.time())
            logger.info("RDS instance %s: backed up", identifier)
            return

    # In the request's account and region, because the emulator's records are separate for each.
    _in_background(f"rds-backup-{identifier}", functools.partial(contextvars.copy_context().run, work))


def _create(rds: Any, create: Any, request: Mapping[str, Any]) -> Any:
    answer = create(request)
    if answer[0] == 200:
        _begin(rds, rds._instances[rds._p(request, "DBInstanceIdentifier")])
    return answer


def _create_snapshot(rds: Any, create: Any, request: Mapping[str, Any]) -> Any:
    answer = create(request)
    if answer[0] != 200:
        return answer
    snapshot = rds._snapshots[rds._p(request, "DBSnapshotIdentifier")]
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier"))
    if not is_backed_up(instance):
        return answer
    snapshot.update(Status="creating", PercentProgress=0)

    def work() -> None:
        try:
            _fill(rds, snapshot, instance)
        except RuntimeError as error:
            logger.warning("RDS snapshot %s failed: %s", snapshot["DBSnapshotIdentifier"], error)
            snapshot.update(Status="failed")

    _in_background(f"rds-snapshot-{snapshot['DBSnapshotIdentifier']}", work)
    body = f"<CreateDBSnapshotResult><DBSnapshot>{rds._snapshot_xml(snapshot)}</DBSnapshot></CreateDBSnapshotResult>"
    return rds._xml(200, "CreateDBSnapshotResponse", body)


def _fill(rds: Any, snapshot: dict[str, Any], instance: Mapping[str, Any]) -> None:
    """Copy the instance's data, as of the end of this call, to the snapshot. Raises RuntimeError."""
    directory = f"{postgres.BACKUPS}/snapshots/{uuid.uuid4()}"
    _base_backup(rds, instance, directory, "stream")
    now = rds._format_time(time.time())
    snapshot.update(
        {
            DATA: directory,
            PASSWORD: instance[PASSWORD],
            "Status": "available",
            "PercentProgress": 100,
            "SnapshotCreateTime": now,
            "OriginalSnapshotCreateTime": now,
            "SnapshotDatabaseTime": now,
        }
    )


def _delete(cloud: Cloud, rds: Any, delete: Any, request: Mapping[str, Any]) -> Any:
    """Save the final snapshot's data first: the emulator creates its record after the container was removed."""
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier")) or {}
    final = rds._p(request, "FinalDBSnapshotIdentifier") if rds._p(request, "SkipFinalSnapshot") != "true" else ""
    filled: dict[str, Any] = {}
    if final and is_backed_up(instance) and not instance.get("DeletionProtection"):
        try:
            _fill(rds, filled, instance)
        except RuntimeError as error:
            logger.warning(
                "RDS instance %s: the final snapshot has no data: %s", instance["DBInstanceIdentifier"], error
            )
    answer = delete(request)
    if answer[0] != 200:
        return answer
    if final:
        rds._snapshots[final].update(filled)
    elif not rds._instances._data and not rds._snapshots._data:
        remove_volume(rds._get_docker(), backups_volume(cloud))
    return answer


def _describe_automated(rds: Any, request: Mapping[str, Any]) -> Any:
    identifier, resource = rds._p(request, "DBInstanceIdentifier"), rds._p(request, "DbiResourceId")
    found = [
        instance
        for instance in rds._instances.values()
        if is_backed_up(instance)
        and identifier in ("", instance["DBInstanceIdentifier"])
        and resource in ("", instance["DbiResourceId"])
    ]
    members = "".join(
        f"<DBInstanceAutomatedBackup>{_automated_xml(rds, item)}</DBInstanceAutomatedBackup>" for item in found
    )
    return rds._xml(
        200,
        "DescribeDBInstanceAutomatedBackupsResponse",
        "<DescribeDBInstanceAutomatedBackupsResult>"
        f"<DBInstanceAutomatedBackups>{members}</DBInstanceAutomatedBackups>"
        "</DescribeDBInstanceAutomatedBackupsResult>",
    )


def _automated_xml(rds: Any, instance: Mapping[str, Any]) -> str:
    window = ""
    if EARLIEST in instance:
        window = (
            f"<EarliestTime>{instance[EARLIEST]}</EarliestTime><LatestTime>{rds._format_time(time.time())}</LatestTime>"
        )
    values = {
        "DBInstanceArn": instance["DBInstanceArn"],
        "DbiResourceId": instance["DbiResourceId"],
        "DBInstanceIdentifier": instance["DBInstanceIdentifier"],
        "Region": rds.get_region(),
        "Engine": instance["Engine"],
        "EngineVersion": instance["EngineVersion"],
        "Port": instance["Endpoint"]["Port"],
        "MasterUsername": instance["MasterUsername"],
        "AllocatedStorage": instance["AllocatedStorage"],
        "BackupRetentionPeriod": instance["BackupRetentionPeriod"],
        "InstanceCreateTime": instance["InstanceCreateTime"],
        # The status is "creating" until the snapshot can be restored.
        "Status": "active" if window else "creating",
    }
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items()) + (
        f"<RestoreWindow>{window}</RestoreWindow>" if window else ""
    )
