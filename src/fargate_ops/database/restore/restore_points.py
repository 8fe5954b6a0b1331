"""Available restore points: an instance's point-in-time window, and snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from fargate_ops.database.restore.target import Restore, RestorePoints, Snapshot


def read_restore_points(rds: Any, source: str, instances: Sequence[str], named: str, now: datetime) -> RestorePoints:
    """Read the window of ``source`` and the snapshots of ``instances``, and ``named``, a snapshot of any instance.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBInstanceAutomatedBackups.html
    """
    backups = rds.describe_db_instance_automated_backups(DBInstanceIdentifier=source)["DBInstanceAutomatedBackups"]
    windows = [item["RestoreWindow"] for item in backups if item["Status"] == "active" and item.get("RestoreWindow")]
    pages = rds.get_paginator("describe_db_snapshots")
    found = {
        item["DBSnapshotIdentifier"]: item
        for instance in instances
        for page in pages.paginate(DBInstanceIdentifier=instance)
        for item in page["DBSnapshots"]
    }
    if named and named not in found:
        found |= {item["DBSnapshotIdentifier"]: item for item in _snapshot(rds, named)}
    return RestorePoints(
        window=(windows[0]["EarliestTime"], windows[0]["LatestTime"]) if windows else None,
        snapshots=[
            Snapshot(name=name, instance=item["DBInstanceIdentifier"], time=_time(item))
            for name, item in found.items()
            if item["Status"] == "available"
        ],
        now=now,
    )


def time_of(rds: Any, key: str, restore: Restore) -> datetime:
    """Return the time of the restored data, to the second if its snapshot no longer exists."""
    if restore.time:
        return datetime.fromisoformat(restore.time)
    found = _snapshot(rds, str(restore.snapshot))
    return _time(found[0]) if found else datetime.strptime(key, "%Y%m%d-%H%M%S").replace(tzinfo=UTC)


def _snapshot(rds: Any, name: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
    except ClientError as error:
        # RDS rejects a malformed name; treat it like a missing snapshot.
        if error.response["Error"]["Code"] in (
            "DBSnapshotNotFound",
            "DBSnapshotNotFoundFault",
            "InvalidParameterValue",
        ):
            return []
        raise
    return found


def _time(snapshot: dict[str, Any]) -> datetime:
    """Return the time of the snapshot's newest transaction.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBSnapshot.html
    """
    time: datetime = snapshot.get("SnapshotDatabaseTime") or snapshot["SnapshotCreateTime"]
    return time
