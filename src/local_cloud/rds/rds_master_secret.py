"""RDS manages the master password of a DB instance in Secrets Manager.

What AWS does (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html): with
``ManageMasterUserPassword`` RDS creates the password and the secret ``rds!db-<uuid>`` of ``{"username", "password"}``,
returns it as ``MasterUserSecret``, tags it with the instance (policies identify it by that tag), rotates it on request,
refuses ``MasterUserPassword``, and deletes the secret with the instance.

Without this patch: the emulator does so for DB clusters only; an instance gets the password ``password``.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends


@extends("rds", "_instance_xml")
def instance_xml(other_elements: Handler, instance: Mapping[str, Any]) -> str:
    return str(other_elements(instance)) + secret_xml(instance.get("MasterUserSecret"))


def secret_xml(secret: Mapping[str, str] | None) -> str:
    """Return the element ``MasterUserSecret``, or an empty string."""
    if not secret:
        return ""
    return (
        f"<MasterUserSecret>{''.join(f'<{name}>{value}</{name}>' for name, value in secret.items())}</MasterUserSecret>"
    )


@extends("rds", "CreateDBInstance")
def create_db_instance(create: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    if not _is_true(rds, request, "ManageMasterUserPassword"):
        return create(request)
    if rds._p(request, "MasterUserPassword"):
        return _refuse_password(rds)
    password = secrets.token_urlsafe(32)
    answer = create({**request, "MasterUserPassword": [password]})
    if answer[0] != 200:
        return answer
    instance = rds._instances[rds._p(request, "DBInstanceIdentifier")]
    _manage(rds, instance, password, rds._p(request, "MasterUserSecretKmsKeyId"))
    return rds._single_instance_response("CreateDBInstanceResponse", "CreateDBInstanceResult", instance)


@extends("rds", "ModifyDBInstance")
def modify_db_instance(modify: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier"))
    if instance is None:
        return modify(request)
    managed = instance.get("MasterUserSecret")
    manage, rotate = (_is_true(rds, request, name) for name in ("ManageMasterUserPassword", "RotateMasterUserPassword"))
    given = rds._p(request, "MasterUserPassword")
    release = rds._p(request, "ManageMasterUserPassword") == "false"
    if given and (manage or (managed and not release)):
        return _refuse_password(rds)
    if rotate and not (managed and _is_true(rds, request, "ApplyImmediately")):
        message = "Rotating needs a master password that RDS manages, and ApplyImmediately."
        return rds._error("InvalidParameterCombination", message, 400)
    if release and managed and not given:
        message = "MasterUserPassword is required when RDS stops managing it."
        return rds._error("InvalidParameterCombination", message, 400)
    password = secrets.token_urlsafe(32) if rotate or (manage and not managed) else ""
    answer = modify({**request, "MasterUserPassword": [password]} if password else request)
    if answer[0] != 200:
        return answer
    if rotate:
        secret = _secret_string(instance, password)
        emulator.service("secretsmanager").put_secret_value_in_process(managed["SecretArn"], secret)
    elif password:
        _manage(rds, instance, password, rds._p(request, "MasterUserSecretKmsKeyId"))
    elif release and managed:
        emulator.service("secretsmanager").delete_secret_in_process(managed["SecretArn"])
        del instance["MasterUserSecret"]
    return rds._single_instance_response("ModifyDBInstanceResponse", "ModifyDBInstanceResult", instance)


@extends("rds", "_rotate_instance_password")
def change_password(change_other: Handler, instance: Mapping[str, Any], old: str, new: str) -> None:
    """Send PostgreSQL a SCRAM verifier instead of the password, which a statement log would contain."""
    if instance["Engine"] != "postgres" or not instance.get("_internal_address"):
        change_other(instance, old, new)
        return
    import psycopg2
    from psycopg2 import extensions, sql

    user = instance["MasterUsername"]
    connection = psycopg2.connect(
        host=instance["_internal_address"],
        port=instance["_internal_port"],
        user=user,
        password=old,
        dbname=instance["DBName"],
        sslmode="require",
        connect_timeout=30,
    )
    try:
        verifier = extensions.encrypt_password(new, user, scope=connection, algorithm="scram-sha-256")
        with connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD %s").format(sql.Identifier(user)), (verifier,))
    finally:
        connection.close()


@extends("rds", "DeleteDBInstance")
def delete_db_instance(delete: Handler, request: Mapping[str, Any]) -> Any:
    rds = emulator.service("rds")
    instance = rds._resolve_instance(rds._p(request, "DBInstanceIdentifier")) or {}
    answer = delete(request)
    if answer[0] == 200 and instance.get("MasterUserSecret"):
        emulator.service("secretsmanager").delete_secret_in_process(instance["MasterUserSecret"]["SecretArn"])
    return answer


def _manage(rds: Any, instance: dict[str, Any], password: str, key: str) -> None:
    secretsmanager, name, owner = (
        emulator.service("secretsmanager"),
        f"rds!db-{uuid.uuid4()}",
        instance["DBInstanceArn"],
    )
    arn = secretsmanager.create_secret_in_process(
        name,
        _secret_string(instance, password),
        description=f"The secret associated with the primary RDS DB instance: {owner}",
    )
    tags = {"aws:secretsmanager:owningService": "rds", "aws:rds:primaryDBInstanceArn": owner}
    secretsmanager._secrets[name]["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    default_key = f"arn:aws:kms:{rds.get_region()}:{rds.get_account_id()}:key/aws-secretsmanager-default"
    instance["MasterUserSecret"] = {"SecretArn": arn, "SecretStatus": "active", "KmsKeyId": key or default_key}


def _secret_string(instance: Mapping[str, Any], password: str) -> str:
    return json.dumps({"username": instance["MasterUsername"], "password": password})


def _refuse_password(rds: Any) -> Any:
    message = "You can't specify MasterUserPassword for an instance with ManageMasterUserPassword enabled."
    return rds._error("InvalidParameterCombination", message, 400)


def _is_true(rds: Any, request: Mapping[str, Any], name: str) -> bool:
    return bool(rds._p(request, name) == "true")
