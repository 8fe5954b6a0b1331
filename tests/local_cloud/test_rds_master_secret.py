"""src/local_cloud/rds/rds_master_secret.py and rds_attributes.py."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError

from local_cloud.rds.rds_attributes import change_exports
from tests.local_cloud import databases
from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud


def test_rds_makes_rotates_and_deletes_the_master_secret(cloud: RunningCloud) -> None:
    rds = cloud.client("rds")
    instance = databases.create(cloud, "managed")
    master = instance["MasterUserSecret"]
    assert master["SecretStatus"] == "active"
    assert re.search(r":secret:rds!db-[0-9a-f-]{36}-\w{6}$", master["SecretArn"])
    tags = cloud.client("secretsmanager").describe_secret(SecretId=master["SecretArn"])["Tags"]
    assert {"Key": "aws:rds:primaryDBInstanceArn", "Value": instance["DBInstanceArn"]} in tags
    first = databases.secret(cloud, instance)
    assert first["username"] == "settlement_master"
    assert len(first["password"]) >= 32

    with pytest.raises(ClientError, match="ManageMasterUserPassword"):
        rds.modify_db_instance(DBInstanceIdentifier="managed", MasterUserPassword="my-own-password")
    with pytest.raises(ClientError, match="ApplyImmediately"):
        rds.modify_db_instance(DBInstanceIdentifier="managed", RotateMasterUserPassword=True)
    rds.modify_db_instance(DBInstanceIdentifier="managed", RotateMasterUserPassword=True, ApplyImmediately=True)
    second = databases.secret(cloud, instance)
    assert second["password"] != first["password"]
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("SELECT 1")
    assert second["password"] not in databases.container_of(cloud, "managed").logs().decode()

    databases.delete(cloud, "managed")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        databases.secret(cloud, instance)


def test_a_password_of_ones_own_is_refused_beside_a_managed_one(cloud: RunningCloud) -> None:
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        databases.create(cloud, "both", MasterUserPassword="my-own-password")
    with pytest.raises(ClientError, match="DBInstanceNotFound"):
        databases.describe(cloud, "both")


def test_attributes_come_back(cloud: RunningCloud) -> None:
    wanted = {
        "PreferredBackupWindow": "17:00-18:00",
        "PreferredMaintenanceWindow": "sat:18:30-sat:19:30",
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
    }
    instance = databases.create(cloud, "complete", EnableCloudwatchLogsExports=["postgresql", "upgrade"], **wanted)
    assert {name: instance[name] for name in wanted} == wanted
    assert instance["EnabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    cloud.client("rds").modify_db_instance(
        DBInstanceIdentifier="complete", CloudwatchLogsExportConfiguration={"DisableLogTypes": ["upgrade"]}
    )
    assert databases.describe(cloud, "complete")["EnabledCloudwatchLogsExports"] == ["postgresql"]
    databases.delete(cloud, "complete")


def test_change_exports() -> None:
    assert change_exports(["upgrade"], ["postgresql"], ["upgrade"]) == ["postgresql"]
    assert change_exports([], [], []) == []
