"""DB instances for the tests of RDS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

from local_cloud.core import authority
from tests.local_cloud.conftest import RunningCloud, wait_for

ENGINE = {
    "Engine": "postgres",
    "EngineVersion": "17",
    "DBInstanceClass": "db.t4g.micro",
    "AllocatedStorage": 20,
    "MasterUsername": "settlement_master",
    "DBName": "settlement",
    "Port": 5432,
}


def describe(cloud: RunningCloud, identifier: str) -> dict[str, Any]:
    answer = cloud.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)
    instance: dict[str, Any] = answer["DBInstances"][0]
    return instance


def wait_until_available(cloud: RunningCloud, identifier: str) -> dict[str, Any]:
    def available() -> dict[str, Any] | None:
        instance = describe(cloud, identifier)
        assert instance["DBInstanceStatus"] != "failed", container_of(cloud, identifier).logs(tail=20).decode()
        return instance if instance["DBInstanceStatus"] == "available" else None

    instance: dict[str, Any] = wait_for(available, what=f"{identifier} is available")
    return instance


def create(cloud: RunningCloud, identifier: str, **settings: Any) -> dict[str, Any]:
    """Create a DB instance with a password that RDS manages, and wait until it is available."""
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier=identifier, **{**ENGINE, "ManageMasterUserPassword": True, **settings}
    )
    return wait_until_available(cloud, identifier)


def delete(cloud: RunningCloud, identifier: str) -> None:
    cloud.client("rds").delete_db_instance(DBInstanceIdentifier=identifier, SkipFinalSnapshot=True)


def secret(cloud: RunningCloud, instance: dict[str, Any]) -> dict[str, str]:
    """Return the content of the instance's master secret."""
    value = cloud.client("secretsmanager").get_secret_value(SecretId=instance["MasterUserSecret"]["SecretArn"])
    content: dict[str, str] = json.loads(value["SecretString"])
    return content


@contextmanager
def connect(cloud: RunningCloud, instance: dict[str, Any], **options: Any) -> Iterator[Any]:
    """Yield a cursor of the master user at the published endpoint, by default with ``sslmode=verify-full``."""
    credentials = secret(cloud, instance)
    connection = psycopg2.connect(
        **{
            "host": instance["Endpoint"]["Address"],
            "port": instance["Endpoint"]["Port"],
            "dbname": instance["DBName"],
            "user": credentials["username"],
            "password": credentials["password"],
            "sslmode": "verify-full",
            "sslrootcert": str(authority.certificate_file(cloud.config)),
            "connect_timeout": 60,
            **options,
        }
    )
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def show(cursor: Any, name: str) -> str:
    cursor.execute(f'SHOW "{name}"' if "." not in name else f"SHOW {name}")
    value: str = cursor.fetchone()[0]
    return value


def container_of(cloud: RunningCloud, identifier: str) -> Any:
    (container,) = cloud.containers(f"db_id={identifier}")
    return container
