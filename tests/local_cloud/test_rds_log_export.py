"""src/local_cloud/rds/rds_log_export.py, with a real PostgreSQL."""

from __future__ import annotations

import re

import pytest

from tests.local_cloud import databases
from tests.local_cloud.conftest import RunningCloud, wait_for

pytestmark = pytest.mark.local_cloud

GROUP = "/aws/rds/instance/exported/postgresql"
PREFIX = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC:[\d.]+\(\d+\):settlement_master@settlement:\[\d+\]:"


def messages(cloud: RunningCloud, part: str) -> list[str]:
    logs = cloud.client("logs")
    try:
        events = logs.get_log_events(logGroupName=GROUP, logStreamName="exported.0", startFromHead=True)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in events if part in event["message"]]


def test_the_log_is_in_cloudwatch_logs(cloud: RunningCloud) -> None:
    rds = cloud.client("rds")
    rds.create_db_parameter_group(DBParameterGroupName="slow", DBParameterGroupFamily="postgres17", Description="test")
    rds.modify_db_parameter_group(
        DBParameterGroupName="slow",
        Parameters=[
            {"ParameterName": "log_min_duration_statement", "ParameterValue": "500", "ApplyMethod": "immediate"}
        ],
    )
    instance = databases.create(
        cloud, "exported", DBParameterGroupName="slow", EnableCloudwatchLogsExports=["postgresql"]
    )

    # Each message comes whole and once: several lines, characters of three bytes, more than one frame of Docker.
    long = "x" * 40_000
    statement = f"SELECT pg_sleep(0.6),\n  '그리고'::text, -- first\n  '{long}'"
    with databases.connect(cloud, instance) as cursor:
        cursor.execute(statement)
        cursor.execute("SELECT 'quick'")
    (found,) = wait_for(lambda: messages(cloud, "first"))
    seen = re.fullmatch(PREFIX + r"LOG:  duration: \d+\.\d{3} ms  statement: (.*)", found, re.DOTALL)
    assert seen
    assert seen[1].replace("\n\t", "\n") == statement
    assert not messages(cloud, "quick")

    # The export continues after a reboot and repeats nothing.
    rds.reboot_db_instance(DBInstanceIdentifier="exported")
    instance = databases.wait_until_available(cloud, "exported")
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("SELECT pg_sleep(0.6), 'second'")
    wait_for(lambda: messages(cloud, "'second'"))
    assert len(messages(cloud, "first")) == 1

    # The export ends when it is turned off, and a deleted instance does not create its log group again.
    rds.modify_db_instance(
        DBInstanceIdentifier="exported", CloudwatchLogsExportConfiguration={"DisableLogTypes": ["postgresql"]}
    )
    rds.modify_db_instance(
        DBInstanceIdentifier="exported", CloudwatchLogsExportConfiguration={"EnableLogTypes": ["postgresql"]}
    )
    logs = cloud.client("logs")
    databases.delete(cloud, "exported")
    logs.delete_log_group(logGroupName=GROUP)
    wait_for(lambda: not cloud.containers("db_id=exported"), what="the container is gone")
    assert not logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
