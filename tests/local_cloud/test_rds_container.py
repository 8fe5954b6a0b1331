"""src/local_cloud/rds/rds_container.py, with a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from tests.local_cloud import databases
from tests.local_cloud.conftest import RunningCloud, docker_client, wait_for

pytestmark = pytest.mark.local_cloud


@pytest.fixture(scope="module")
def instance(cloud: RunningCloud) -> Iterator[dict[str, Any]]:
    yield databases.create(cloud, "private")
    databases.delete(cloud, "private")


def test_endpoint_is_an_address_of_the_network_on_the_port_asked_for(
    cloud: RunningCloud, instance: dict[str, Any]
) -> None:
    attributes = databases.container_of(cloud, "private").attrs
    assert instance["Endpoint"]["Port"] == 5432
    networks = attributes["NetworkSettings"]["Networks"]
    assert [networks[cloud.config.network_name]["IPAddress"]] == [instance["Endpoint"]["Address"]]
    assert list(networks) == [cloud.config.network_name]
    assert not any((attributes["NetworkSettings"]["Ports"] or {}).values()), "nothing is published on this machine"


def test_certificate_names_the_endpoint(cloud: RunningCloud, instance: dict[str, Any]) -> None:
    with databases.connect(cloud, instance, sslmode="verify-full") as cursor:
        cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == (True,)


def test_plain_connections_are_refused(cloud: RunningCloud, instance: dict[str, Any]) -> None:
    with (
        pytest.raises(psycopg2.OperationalError, match="no encryption"),
        databases.connect(cloud, instance, sslmode="disable"),
    ):
        pass


def test_master_user_is_no_superuser_but_may_end_sessions(cloud: RunningCloud, instance: dict[str, Any]) -> None:
    with databases.connect(cloud, instance) as cursor:
        cursor.execute(
            "SELECT rolsuper, rolcreaterole, pg_has_role('pg_signal_backend', 'member'),"
            " pg_has_role('pg_use_reserved_connections', 'member') FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == (False, True, True, True)
        cursor.execute("CREATE ROLE app LOGIN")
        cursor.execute("GRANT CONNECT ON DATABASE settlement TO app")
        cursor.execute("ALTER ROLE app SET statement_timeout = '5s'")


def test_passwords_are_in_no_environment_command_or_log(cloud: RunningCloud, instance: dict[str, Any]) -> None:
    container = databases.container_of(cloud, "private")
    password = databases.secret(cloud, instance)["password"]
    assert password not in str(container.attrs)
    assert password not in container.logs().decode()
    assert password not in cloud.config.log_file.read_text()
    assert password not in str(container.top())


def test_data_survives_a_reboot_and_dies_with_the_instance(cloud: RunningCloud) -> None:
    instance = databases.create(cloud, "mortal")
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("CREATE TABLE kept (x int)")
    cloud.client("rds").reboot_db_instance(DBInstanceIdentifier="mortal")
    rebooted = databases.wait_until_available(cloud, "mortal")
    assert rebooted["Endpoint"] == instance["Endpoint"]
    with databases.connect(cloud, rebooted) as cursor:
        cursor.execute("SELECT count(*) FROM kept")
        assert cursor.fetchone() == (0,)
    databases.delete(cloud, "mortal")
    mine = {"label": f"fargate.local={cloud.config.instance}"}
    volumes = [volume.name for volume in docker_client().volumes.list(filters=mine)]
    assert not [name for name in volumes if "mortal" in name]

    again = databases.create(cloud, "mortal")
    with databases.connect(cloud, again) as cursor:
        cursor.execute("SELECT to_regclass('kept')")
        assert cursor.fetchone() == (None,)
    databases.delete(cloud, "mortal")


def test_address_and_authority_outlive_the_cloud(start_cloud: Callable[..., RunningCloud]) -> None:
    cloud = start_cloud(database={"persist": True}, persist_state=True)
    instance = databases.create(cloud, "lasting")
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("CREATE TABLE kept (x int)")
    assert cloud.command("--stop").returncode == 0
    assert cloud.command("--detach").returncode == 0
    restored = databases.wait_until_available(cloud, "lasting")
    assert restored["Endpoint"] == instance["Endpoint"]

    def kept() -> bool:
        try:
            with databases.connect(cloud, restored) as cursor:
                cursor.execute("SELECT count(*) FROM kept")
                return bool(cursor.fetchone() == (0,))
        except psycopg2.OperationalError:  # it is still starting
            return False

    wait_for(kept, what="the restored database answers with its data")
    databases.delete(cloud, "lasting")


@pytest.mark.usefixtures("short_minutes")
def test_what_it_uses_is_in_cloudwatch(cloud: RunningCloud, instance: dict[str, Any]) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)

    def values(name: str, statistic: str) -> list[float]:
        points = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/RDS",
            MetricName=name,
            Dimensions=[{"Name": "DBInstanceIdentifier", "Value": "private"}],
            StartTime=end - timedelta(hours=2),
            EndTime=end,
            Period=7200,
            Statistics=[statistic],
        )["Datapoints"]
        return [float(point[statistic]) for point in points]

    free = min(wait_for(lambda: values("FreeStorageSpace", "Minimum"), what="the free storage is reported"))
    assert 19 * 2**30 < free < 20 * 2**30
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"

    def alone() -> bool:
        cursor.execute(others)
        return bool(cursor.fetchone() == (0,))

    with databases.connect(cloud, instance) as cursor:
        wait_for(alone, what="the server has ended the sessions of the previous tests")
        with databases.connect(cloud, instance):
            wait_for(lambda: 2.0 in values("DatabaseConnections", "Maximum"), what="two connections are counted")
        cursor.execute("CREATE TABLE filler AS SELECT repeat('x', 900) FROM generate_series(1, 30000)")
        wait_for(lambda: min(values("FreeStorageSpace", "Minimum")) < free - 25 * 2**20, what="the table takes storage")
        cursor.execute("DROP TABLE filler")
    assert all(0 < percent <= 100 for percent in values("CPUUtilization", "Maximum"))
    assert values("CPUUtilization", "Maximum")
    assert min(values("FreeableMemory", "Minimum")) > 0
