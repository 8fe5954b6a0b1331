"""src/local_cloud/rds/rds_parameters.py, with a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.rds.rds_parameters import merge
from tests.local_cloud import databases
from tests.local_cloud.conftest import RunningCloud, wait_for

pytestmark = pytest.mark.local_cloud


def parameter(name: str, value: str, method: str = "immediate") -> dict[str, str]:
    return {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}


def test_parameters_apply_as_on_rds(cloud: RunningCloud) -> None:
    rds = cloud.client("rds")
    rds.create_db_parameter_group(DBParameterGroupName="own", DBParameterGroupFamily="postgres17", Description="test")
    rds.modify_db_parameter_group(
        DBParameterGroupName="own",
        Parameters=[
            parameter("max_connections", "60", "pending-reboot"),
            parameter("log_min_duration_statement", "3000"),
            parameter("rds.force_ssl", "0"),
        ],
    )
    instance = databases.create(cloud, "tuned", DBParameterGroupName="own")

    def status() -> str:
        group: str = databases.describe(cloud, "tuned")["DBParameterGroups"][0]["ParameterApplyStatus"]
        return group

    with databases.connect(cloud, instance, sslmode="disable") as cursor:
        assert databases.show(cursor, "max_connections") == "60"
        assert databases.show(cursor, "log_min_duration_statement") == "3s"
        assert databases.show(cursor, "reserved_connections") == "2"
        assert status() == "in-sync"

        # A dynamic parameter applies at once, a static one at the reboot.
        changes = [
            parameter("max_connections", "70", "pending-reboot"),
            parameter("log_min_duration_statement", "500"),
            parameter("statement_timeout", "9000", "pending-reboot"),
        ]
        rds.modify_db_parameter_group(DBParameterGroupName="own", Parameters=changes)
        wait_for(lambda: databases.show(cursor, "log_min_duration_statement") == "500ms")
        assert databases.show(cursor, "max_connections") == "60"
        assert databases.show(cursor, "statement_timeout") == "0"
        assert status() == "pending-reboot"

    rds.reboot_db_instance(DBInstanceIdentifier="tuned")
    databases.wait_until_available(cloud, "tuned")
    with databases.connect(cloud, instance) as cursor:
        assert databases.show(cursor, "max_connections") == "70"
        assert databases.show(cursor, "statement_timeout") == "9s"
    assert status() == "in-sync"
    databases.delete(cloud, "tuned")


def test_a_static_parameter_cannot_apply_immediately(cloud: RunningCloud) -> None:
    rds = cloud.client("rds")
    rds.create_db_parameter_group(DBParameterGroupName="bad", DBParameterGroupFamily="postgres17", Description="test")
    with pytest.raises(ClientError, match="immediate apply method for static parameter"):
        rds.modify_db_parameter_group(DBParameterGroupName="bad", Parameters=[parameter("max_connections", "9")])
    described = rds.describe_db_parameters(DBParameterGroupName="bad")["Parameters"]
    assert {p["ParameterName"]: p["ApplyType"] for p in described}["max_connections"] == "static"


@pytest.mark.parametrize(
    ("applied", "group", "result", "pending"),
    [
        ({}, {"work_mem": ("8", "immediate")}, {"work_mem": "8"}, False),
        ({}, {"work_mem": ("8", "pending-reboot")}, {}, True),
        ({"max_connections": "5"}, {"max_connections": ("6", "immediate")}, {"max_connections": "5"}, True),
        ({"work_mem": "8"}, {}, {}, False),
        ({"max_connections": "5"}, {}, {"max_connections": "5"}, True),
        ({"work_mem": "8"}, {"work_mem": ("8", "pending-reboot")}, {"work_mem": "8"}, False),
    ],
)
def test_merge(applied: dict[str, str], group: dict[str, Any], result: dict[str, str], pending: bool) -> None:
    entries = {name: {"ParameterValue": value, "ApplyMethod": how} for name, (value, how) in group.items()}
    assert merge(applied, entries) == (result, pending)
