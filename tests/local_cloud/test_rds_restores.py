"""src/local_cloud/rds/rds_backups.py and rds_restores.py, with real PostgreSQL servers and their data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud import databases
from tests.local_cloud.conftest import RunningCloud, docker_client, wait_for

pytestmark = pytest.mark.local_cloud


@pytest.fixture(scope="module")
def cloud(start_cloud: Callable[..., RunningCloud]) -> RunningCloud:
    """A cloud for this file only: a test checks the backups after the last instance was deleted."""
    return start_cloud(database={"persist": True})


def window(cloud: RunningCloud, identifier: str) -> dict[str, datetime] | None:
    (backup,) = cloud.client("rds").describe_db_instance_automated_backups(DBInstanceIdentifier=identifier)[
        "DBInstanceAutomatedBackups"
    ]
    found: dict[str, datetime] | None = backup.get("RestoreWindow")
    return found


@pytest.fixture(scope="module")
def source(cloud: RunningCloud) -> Iterator[dict[str, Any]]:
    """An instance with a row from after `between` and none of the earlier rows.

    The tests leave no snapshot, so the volume of the backups is removed with the last instance.
    """
    instance = databases.create(cloud, "source")
    wait_for(lambda: window(cloud, "source"), what="the first backup is made")
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 'before' AS what FROM generate_series(1, 3)")
        cursor.execute("SELECT clock_timestamp()")
        done = cursor.fetchone()[0]
        between = done.replace(microsecond=0) + timedelta(seconds=1)
        time.sleep((between - done).total_seconds() + 0.1)
        cursor.execute("DELETE FROM kept")
        cursor.execute("INSERT INTO kept VALUES ('after')")
    yield instance | {"between": between}
    mine = {"label": f"fargate.local={cloud.config.instance}"}
    assert len(docker_client().volumes.list(filters=mine)) == 2
    databases.delete(cloud, "source")
    assert not docker_client().volumes.list(filters=mine)


def rows(cloud: RunningCloud, instance: dict[str, Any]) -> list[str]:
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("SELECT what FROM kept")
        return [row[0] for row in cursor.fetchall()]


def manage_password(cloud: RunningCloud, identifier: str) -> dict[str, Any]:
    """Modify the instance as Terraform does after the restore."""
    databases.wait_until_available(cloud, identifier)
    cloud.client("rds").modify_db_instance(
        DBInstanceIdentifier=identifier, ManageMasterUserPassword=True, EnablePerformanceInsights=True
    )
    instance = databases.wait_until_available(cloud, identifier)
    assert instance["PerformanceInsightsEnabled"]
    return instance


def test_a_point_in_time_has_the_rows_of_that_second_and_the_source_keeps_its_own(
    cloud: RunningCloud, source: dict[str, Any]
) -> None:
    restored = cloud.client("rds").restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier="source", TargetDBInstanceIdentifier="restored", RestoreTime=source["between"]
    )["DBInstance"]
    assert (restored["DBInstanceClass"], restored["DBName"]) == (source["DBInstanceClass"], source["DBName"])
    restored = manage_password(cloud, "restored")
    assert restored["Endpoint"]["Address"] != source["Endpoint"]["Address"]
    assert restored["MasterUserSecret"]["SecretArn"] != source["MasterUserSecret"]["SecretArn"]
    assert rows(cloud, restored) == ["before"] * 3
    assert rows(cloud, source) == ["after"]

    # It works like any other instance: writes, reboots, backups.
    with databases.connect(cloud, restored) as cursor:
        cursor.execute("INSERT INTO kept VALUES ('again')")
    cloud.client("rds").reboot_db_instance(DBInstanceIdentifier="restored")
    assert len(rows(cloud, databases.wait_until_available(cloud, "restored"))) == 4
    wait_for(lambda: window(cloud, "restored"), what="it is backed up itself")
    assert databases.container_of(cloud, "restored").logs().count(b"archive recovery complete") == 1

    # Terraform uses this call to check that the instance is deleted.
    by_number = [{"Name": "dbi-resource-id", "Values": [restored["DbiResourceId"]]}]
    describe = cloud.client("rds").describe_db_instances
    assert [item["DBInstanceIdentifier"] for item in describe(Filters=by_number)["DBInstances"]] == ["restored"]
    databases.delete(cloud, "restored")
    assert not describe(Filters=by_number)["DBInstances"]


def test_a_time_that_cannot_be_restored_is_refused(cloud: RunningCloud, source: dict[str, Any]) -> None:
    rds = cloud.client("rds")
    now = datetime.now(UTC)
    instance, times = databases.describe(cloud, "source"), window(cloud, "source")
    assert times
    assert instance["LatestRestorableTime"] > now - timedelta(seconds=1)
    for outside in (times["EarliestTime"] - timedelta(seconds=1), datetime.now(UTC) + timedelta(minutes=1)):
        with pytest.raises(ClientError, match="not between"):
            rds.restore_db_instance_to_point_in_time(
                SourceDBInstanceIdentifier="source", TargetDBInstanceIdentifier="never", RestoreTime=outside
            )


def test_snapshots_have_data_and_outlive_their_instance(cloud: RunningCloud) -> None:
    rds = cloud.client("rds")
    rds.create_db_parameter_group(
        DBParameterGroupName="small", DBParameterGroupFamily="postgres17", Description="of the restored one"
    )
    rds.modify_db_parameter_group(
        DBParameterGroupName="small",
        Parameters=[{"ParameterName": "max_connections", "ParameterValue": "40", "ApplyMethod": "pending-reboot"}],
    )
    instance = databases.create(cloud, "mortal")
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 'first' AS what")
    made = rds.create_db_snapshot(DBSnapshotIdentifier="by-hand", DBInstanceIdentifier="mortal")["DBSnapshot"]
    assert made["Status"] == "creating"
    rds.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier="by-hand", WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("INSERT INTO kept VALUES ('second')")
    rds.delete_db_instance(DBInstanceIdentifier="mortal", FinalDBSnapshotIdentifier="final")

    for snapshot in ("by-hand", "final"):
        rds.restore_db_instance_from_db_snapshot(
            DBInstanceIdentifier=f"from-{snapshot}", DBSnapshotIdentifier=snapshot, DBParameterGroupName="small"
        )
    for snapshot, expected in (("by-hand", ["first"]), ("final", ["first", "second"])):
        restored = manage_password(cloud, f"from-{snapshot}")
        assert rows(cloud, restored) == expected
        with databases.connect(cloud, restored) as cursor:
            assert databases.show(cursor, "max_connections") == "40"
        databases.delete(cloud, f"from-{snapshot}")
        rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
