"""src/local_cloud/rds/rds_proxy.py: the pool in front of a real PostgreSQL, and Terraform's switches for it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors, extensions

from local_cloud.core import authority
from tests.local_cloud import databases
from tests.local_cloud.conftest import REPOSITORY, RunningCloud, wait_for

pytestmark = pytest.mark.local_cloud

_PASSWORD = "a-password-of-a-test"
_ROOT = "tests/local_cloud/proxy"
_PERCENT, _CONNECTIONS = 5, 4  # percent of the 81 connections of an instance with the default parameter group


@dataclass
class Proxy:
    """A proxy with one role."""

    cloud: RunningCloud
    host: str

    def connect(self, **options: Any) -> Any:
        connection = psycopg2.connect(
            **{
                "host": self.host,
                "port": 5432,
                "dbname": "settlement",
                "user": "app",
                "password": _PASSWORD,
                "sslmode": "verify-full",
                "sslrootcert": str(authority.certificate_file(self.cloud.config)),
                "connect_timeout": 60,
                **options,
            }
        )
        connection.autocommit = True
        return connection


@pytest.fixture(scope="module")
def instance(cloud: RunningCloud) -> Iterator[dict[str, Any]]:
    instance = databases.create(cloud, "proxied")
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("CREATE ROLE app LOGIN")
        verifier = extensions.encrypt_password(_PASSWORD, "app", scope=cursor.connection, algorithm="scram-sha-256")
        cursor.execute("ALTER ROLE app PASSWORD %s", (verifier,))
    yield instance
    databases.delete(cloud, "proxied")


@pytest.fixture(scope="module")
def secret_arn(cloud: RunningCloud) -> str:
    """A secret as Terraform creates it: without a value."""
    arn: str = cloud.client("secretsmanager").create_secret(Name="app")["ARN"]
    return arn


@pytest.fixture(scope="module")
def subnets(cloud: RunningCloud) -> list[dict[str, Any]]:
    """Subnets of the default VPC: another test may have created others."""
    default = {"Name": "default-for-az", "Values": ["true"]}
    found: list[dict[str, Any]] = cloud.client("ec2").describe_subnets(Filters=[default])["Subnets"]
    return found


@pytest.fixture
def terraform(cloud: RunningCloud, tmp_path: Path) -> Callable[..., str]:
    """Run Terraform on the modules with these switches, against this cloud."""
    binary = shutil.which("terraform")
    if binary is None:
        pytest.skip("terraform is not on PATH: `make test` provides it")
    for folder in ("terraform/modules", _ROOT):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    environment = {**os.environ, "AWS_ENDPOINT_URL": cloud.config.api_url, "CHECKPOINT_DISABLE": "1", "GOGC": "400"}

    def run(*arguments: str, **variables: Any) -> str:
        (tmp_path / _ROOT / "terraform.tfvars.json").write_text(json.dumps(variables))
        done = subprocess.run(
            [binary, *arguments, "-input=false", "-no-color"],
            cwd=tmp_path / _ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("init")
    return run


def test_terraform_turns_the_switches_on_and_off(
    cloud: RunningCloud,
    instance: dict[str, Any],
    secret_arn: str,
    subnets: list[dict[str, Any]],
    terraform: Callable[..., str],
) -> None:
    """Runs first: the proxy of the other tests uses the only address."""
    variables = {
        "subnet_ids": [subnet["SubnetId"] for subnet in subnets],
        "vpc_id": subnets[0]["VpcId"],
        "secret_arn": secret_arn,
    }
    terraform("apply", "-auto-approve", on=True, **variables)
    terraform("plan", "-detailed-exitcode", on=True, **variables)  # 0: nothing to change
    (made,) = cloud.client("rds").describe_db_proxies(DBProxyName="terraformed")["DBProxies"]
    assert made["Endpoint"] == cloud.config.gateway_address
    endpoints = cloud.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    assert {endpoint["VpcEndpointType"] for endpoint in endpoints} == {"Gateway", "Interface"}
    assert len(endpoints) == 5

    terraform("apply", "-auto-approve", on=False, **variables)
    terraform("plan", "-detailed-exitcode", on=False, **variables)
    assert cloud.client("rds").describe_db_proxies()["DBProxies"] == []
    assert len(cloud.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]) == 1


def target_health(cloud: RunningCloud, name: str) -> dict[str, str]:
    (target,) = cloud.client("rds").describe_db_proxy_targets(DBProxyName=name)["Targets"]
    health: dict[str, str] = target["TargetHealth"]
    return health


@pytest.fixture(scope="module")
def proxy(
    cloud: RunningCloud, instance: dict[str, Any], secret_arn: str, subnets: list[dict[str, Any]]
) -> Iterator[Proxy]:
    rds = cloud.client("rds")
    made = rds.create_db_proxy(
        DBProxyName="proxy",
        EngineFamily="POSTGRESQL",
        RoleArn="arn:aws:iam::000000000000:role/proxy",
        VpcSubnetIds=[subnet["SubnetId"] for subnet in subnets],
        RequireTLS=True,
        Auth=[{"AuthScheme": "SECRETS", "SecretArn": secret_arn, "IAMAuth": "DISABLED"}],
    )["DBProxy"]
    rds.modify_db_proxy_target_group(
        DBProxyName="proxy",
        TargetGroupName="default",
        ConnectionPoolConfig={"MaxConnectionsPercent": _PERCENT, "ConnectionBorrowTimeout": 1},
    )
    rds.register_db_proxy_targets(DBProxyName="proxy", DBInstanceIdentifiers=["proxied"])
    proxy = Proxy(cloud, made["Endpoint"])

    # In a first deployment the admin task writes the secret after the proxy was created.
    assert target_health(cloud, "proxy")["Reason"] == "AUTH_FAILURE"
    with pytest.raises(psycopg2.OperationalError, match="has no credentials for the role app"):
        proxy.connect()
    value = json.dumps({"username": "app", "password": _PASSWORD})
    cloud.client("secretsmanager").put_secret_value(SecretId=secret_arn, SecretString=value)
    assert target_health(cloud, "proxy")["State"] == "AVAILABLE"

    yield proxy
    rds.delete_db_proxy(DBProxyName="proxy")
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        proxy.connect()


def sessions(cloud: RunningCloud, instance: dict[str, Any]) -> int:
    """Return the number of the application user's connections to the database."""
    with databases.connect(cloud, instance) as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'")
        count: int = cursor.fetchone()[0]
        return count


def test_the_applications_user_comes_in_over_verified_tls(cloud: RunningCloud, proxy: Proxy) -> None:
    assert proxy.host == cloud.config.gateway_address
    with contextlib.closing(proxy.connect()) as connection, connection.cursor() as cursor:
        assert connection.info.ssl_in_use
        assert connection.info.parameter_status("DateStyle").startswith("ISO")
        cursor.execute("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == ("app", True)
        with pytest.raises(errors.DivisionByZero):
            cursor.execute("SELECT 1/0")
        cursor.execute("SELECT %s", ("가" * 100_000,))
        assert cursor.fetchone() == ("가" * 100_000,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": "settlement_master"}, "has no credentials for the role settlement_master"),
        ({"password": "another"}, "The password that was provided for the role app is wrong"),
        ({"sslmode": "disable"}, "requires TLS"),
        ({"options": "-c statement_timeout=1"}, "doesn't support command-line options"),
        ({"dbname": "nothing"}, 'database "nothing" does not exist'),
        ({"sslrootcert": "system"}, "certificate verify failed"),
    ],
)
def test_who_is_refused(proxy: Proxy, options: dict[str, Any], words: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match=words):
        proxy.connect(**options)


def test_many_clients_share_few_connections(cloud: RunningCloud, instance: dict[str, Any], proxy: Proxy) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(proxy.connect())) for _ in range(5 * _CONNECTIONS)]
        for _ in range(3):
            for client in clients:
                client.cursor().execute("SELECT 1")
        # The server may still be ending a session of the previous test.
        wait_for(lambda: sessions(cloud, instance) == 1, what="one at a time, so one is enough")
        for busy in clients[:_CONNECTIONS]:
            busy.autocommit = False
            busy.cursor().execute("SELECT 1")
        assert sessions(cloud, instance) == _CONNECTIONS
        with pytest.raises(psycopg2.OperationalError):
            clients[-1].cursor().execute("SELECT 1")
        assert "Timed-out waiting to acquire database connection" in cloud.config.log_file.read_text()
        clients[0].rollback()
        clients[-2].cursor().execute("SELECT 1")  # gets the connection that was given back
        assert sessions(cloud, instance) == _CONNECTIONS


def test_a_set_pins_the_session(cloud: RunningCloud, instance: dict[str, Any], proxy: Proxy) -> None:
    def process(client: Any) -> int:
        cursor = client.cursor()
        cursor.execute("SELECT pg_backend_pid()")
        number: int = cursor.fetchone()[0]
        return number

    with contextlib.closing(proxy.connect()) as pinned, contextlib.closing(proxy.connect()) as other:
        assert process(pinned) == process(other)
        pinned.cursor().execute("SET work_mem = '8MB'")
        assert process(pinned) != process(other)
        number = process(pinned)
    assert "pinned to the database connection" in cloud.config.log_file.read_text()

    def gone() -> bool:
        with databases.connect(cloud, instance) as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (number,))
            return bool(cursor.fetchone()[0] == 0)

    wait_for(gone, what="a connection with somebody's settings is not used again")


def test_a_client_outlives_a_restart_of_the_database(cloud: RunningCloud, proxy: Proxy) -> None:
    with contextlib.closing(proxy.connect()) as client:
        client.cursor().execute("SELECT 1")
        cloud.client("rds").reboot_db_instance(DBInstanceIdentifier="proxied")
        databases.wait_until_available(cloud, "proxied")
        client.cursor().execute("SELECT 1")


def test_a_second_proxy_has_no_address(proxy: Proxy, secret_arn: str, subnets: list[dict[str, Any]]) -> None:
    rds = proxy.cloud.client("rds")
    with pytest.raises(rds.exceptions.DBProxyQuotaExceededFault):
        rds.create_db_proxy(
            DBProxyName="another",
            EngineFamily="POSTGRESQL",
            RoleArn="arn:aws:iam::000000000000:role/proxy",
            VpcSubnetIds=[subnets[0]["SubnetId"]],
            Auth=[
                {"AuthScheme": "SECRETS", "SecretArn": "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:x"}
            ],
        )
