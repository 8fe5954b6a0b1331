"""Task definitions: rendered from facts and one inventory map, and compared by their meaning.

ECS returns a definition with defaults filled in, lists reordered and read-only fields added. The canonical form undoes
that, so that two definitions are equal exactly when ECS would run them alike. Defaults:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fargate_ops.core.application import Application
from fargate_ops.terraform.stack import Database, Stack

#: Fields that ECS adds to a definition and that RegisterTaskDefinition does not accept.
READ_ONLY = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
        "tags",
    }
)

#: Values that mean the same as their absence; an empty string, list or map always does.
DEFAULTS: Mapping[str, Any] = {"enableFaultInjection": False}
CONTAINER_DEFAULTS: Mapping[str, Any] = {
    "cpu": 0,
    "essential": True,
    "privileged": False,
    "readonlyRootFilesystem": False,
    "interactive": False,
    "pseudoTerminal": False,
    "disableNetworking": False,
    "versionConsistency": "enabled",
}
PORT_DEFAULTS: Mapping[str, Any] = {"protocol": "tcp"}
MOUNT_DEFAULTS: Mapping[str, Any] = {"readOnly": False}
LINUX_DEFAULTS: Mapping[str, Any] = {"initProcessEnabled": False}

#: Folders that ECS Exec's agent writes to. AWS documents no list; users found these, and with them Exec works on a
#: read-only root file system: https://github.com/aws/containers-roadmap/issues/1359
EXECUTE_COMMAND_FOLDERS: Mapping[str, str] = {
    "managed-agents": "/managed-agents",
    "ssm-state": "/var/lib/amazon/ssm",
    "ssm-log": "/var/log/amazon/ssm",
}

#: Container lists whose order has no meaning, with the key and the value of their members.
NAMED_PAIRS: Mapping[str, tuple[str, str]] = {
    "environment": ("name", "value"),
    "secrets": ("name", "valueFrom"),
    "systemControls": ("namespace", "value"),
}

#: Secrets that a release itself sets on the service's tasks, by variable: keys of the application's database secret.
DATABASE_SECRETS: Mapping[str, str] = {"DATABASE_USER": "username", "DATABASE_PASSWORD": "password"}


def canonical(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical form of a definition: plain values that compare with ``==``."""
    result = _without(definition, READ_ONLY)
    for size in ("cpu", "memory"):
        if size in result:
            result[size] = str(result[size])
    if result.get("requiresCompatibilities"):
        result["requiresCompatibilities"] = sorted(result["requiresCompatibilities"])
    if result.get("volumes"):
        result["volumes"] = sorted((_pruned(volume) for volume in result["volumes"]), key=_name)
    awsvpc = result.get("networkMode") == "awsvpc"
    result["containerDefinitions"] = sorted(
        (_container(container, awsvpc) for container in result.get("containerDefinitions", [])), key=_name
    )
    return _pruned(result, DEFAULTS)


def digest(canonical_definition: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a canonical definition, in hex: equal exactly when ECS would run two definitions alike."""
    return hashlib.sha256(json.dumps(canonical_definition, sort_keys=True).encode()).hexdigest()


def _container(container: Mapping[str, Any], awsvpc: bool) -> dict[str, Any]:
    result = dict(container)
    for field, (key, value) in NAMED_PAIRS.items():
        # A map keeps an empty value, which is valid for an environment variable.
        result[field] = {pair[key]: pair.get(value, "") for pair in result.get(field) or []}
    result["portMappings"] = sorted(
        (_port(port, awsvpc) for port in result.get("portMappings") or []),
        key=lambda port: (str(port.get("containerPort")), str(port.get("protocol"))),
    )
    result["mountPoints"] = sorted(
        (_pruned(mount, MOUNT_DEFAULTS) for mount in result.get("mountPoints") or []),
        key=lambda mount: str(mount.get("containerPath")),
    )
    if result.get("linuxParameters"):
        result["linuxParameters"] = _pruned(result["linuxParameters"], LINUX_DEFAULTS)
    if result.get("logConfiguration"):
        result["logConfiguration"] = _pruned(result["logConfiguration"])
    environment = result["environment"]
    result = _pruned(result, CONTAINER_DEFAULTS)
    if environment:
        result["environment"] = environment
    return result


def _port(port: Mapping[str, Any], awsvpc: bool) -> dict[str, Any]:
    result = _pruned(port, PORT_DEFAULTS)
    # With awsvpc the host port equals the container port or is absent: ECS fills it in.
    if awsvpc and result.get("hostPort") == result.get("containerPort"):
        result.pop("hostPort", None)
    return result


def _pruned(mapping: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the mapping without empty values and without the given defaults."""
    defaults = defaults or {}
    return {
        key: value
        for key, value in mapping.items()
        if value is not None
        and not (isinstance(value, str | Mapping | Sequence) and len(value) == 0)
        and not (key in defaults and type(value) is type(defaults[key]) and value == defaults[key])
    }


def _without(mapping: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in names}


def _name(item: Mapping[str, Any]) -> str:
    return str(item.get("name", ""))


def differences(current: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> list[str]:
    """Return the changes of a release, a line each: the path, the old and the new value.

    Both arguments are canonical. Environment values are shown: a definition holds references to secrets, not values.
    """
    if current is None:
        return ["a first task definition"]
    return sorted(_compare(_by_name(current), _by_name(wanted), ""))


def _by_name(definition: Mapping[str, Any]) -> dict[str, Any]:
    containers = {_name(container): container for container in definition.get("containerDefinitions", [])}
    return {**_without(definition, frozenset({"containerDefinitions"})), **containers}


def _compare(current: Any, wanted: Any, path: str) -> list[str]:
    if current == wanted:
        return []
    if isinstance(current, Mapping) and isinstance(wanted, Mapping):
        return [
            line
            for key in current.keys() | wanted.keys()
            for line in _compare(current.get(key), wanted.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [f"{path}: {_shown(current)} -> {_shown(wanted)}"]


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The inventory's settings of the tasks. ``cpu`` in CPU units, ``memory`` in MiB, ``stop_timeout`` in seconds.

    Each of a task's ``workers`` keeps ``pool_size`` database connections and opens up to ``max_overflow`` more.
    ``proxy_cidrs``: ranges of the proxies whose X-Forwarded-* headers the tasks trust.
    ``through_proxy``: the service's tasks connect to the RDS Proxy, if there is one. ``command`` replaces that of the
    service's image; empty: the image's own.
    ``execute_command``: ECS Exec may open a shell in the service's tasks.
    ``database_secret_arn`` is not from the inventory: it selects one of the application's two database users; empty
    means the first.
    """

    cpu: int
    memory: int
    workers: int
    pool_size: int
    max_overflow: int
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    admin_environment: Mapping[str, str]
    proxy_cidrs: tuple[str, ...] = ()
    stop_timeout: int = 30
    command: tuple[str, ...] = ()
    through_proxy: bool = True
    execute_command: bool = False
    database_secret_arn: str = ""

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> Settings:
        """Return the settings from the role's map, which has this class's fields."""
        return cls(
            cpu=int(fact["cpu"]),
            memory=int(fact["memory"]),
            workers=int(fact["workers"]),
            pool_size=int(fact["pool_size"]),
            max_overflow=int(fact["max_overflow"]),
            proxy_cidrs=tuple(map(str, fact["proxy_cidrs"])),
            stop_timeout=int(fact["stop_timeout"]),
            command=tuple(map(str, fact["command"])),
            through_proxy=bool(fact["through_proxy"]),
            execute_command=bool(fact["execute_command"]),
            environment=_strings(fact["environment"]),
            secrets=_strings(fact["secrets"]),
            admin_environment=_strings(fact["admin_environment"]),
            database_secret_arn=str(fact.get("database_secret_arn") or ""),
        )


@dataclass(frozen=True, kw_only=True)
class Image:
    """The image to run, as ``image_build`` pushed it. ``reference`` is ``registry/repository@sha256:…``.

    ``schema_compatible`` are the schema heads whose code works once this image's migrations ran. ``architecture`` is
    ``X86_64`` or ``ARM64``. Each is None if not known.
    """

    version: str
    digest: str
    reference: str
    schema_head: str | None
    schema_compatible: list[str] | None = None
    architecture: str | None = None

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> Image:
        """Return the image of the fact ``image_build_result``, which must have a digest."""
        return cls(
            version=str(fact["version"]),
            digest=str(fact["digest"]),
            reference=str(fact["image"]),
            schema_head=str(fact["schema_head"]) if fact.get("schema_head") else None,
            schema_compatible=fact.get("schema_compatible"),
            architecture=str(fact["architecture"]) if fact.get("architecture") else None,
        )


def _strings(values: Mapping[str, Any]) -> dict[str, str]:
    """Return environment values as ECS accepts them: YAML's true is ``true``, not Python's ``True``."""
    return {str(name): str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}


def database_secret_arns(stack: Stack) -> list[str]:
    """Return the secrets of the application's database users: two; none without a database, one in an old stack."""
    outputs = (Stack.app_database_secret_arn, Stack.app_database_clone_secret_arn)
    return [arn for output in outputs if (arn := stack.get(output, ""))]


def database_secret_in(stack: Stack, definition: Mapping[str, Any]) -> str:
    """Return which of these secrets a definition (canonical or not) uses; empty if it uses none."""
    taken: list[str] = []
    for container in definition.get("containerDefinitions", []):
        secrets = container.get("secrets") or {}
        taken += secrets.values() if isinstance(secrets, Mapping) else [item["valueFrom"] for item in secrets]
    arns = database_secret_arns(stack)
    return next((arn for arn in arns if any(value == arn or value.startswith(f"{arn}:") for value in taken)), "")


def release_variables(stack: Stack, application: Application, settings: Settings, image: Image) -> dict[str, str]:
    """Return the environment variables that a release itself sets on the service's tasks.

    preflight refuses their names in the inventory's `app_environment` and `app_secrets`.
    """
    variables = {
        "APP_NAME": application.name,
        "WEB_CONCURRENCY": str(settings.workers),
        "FORWARDED_ALLOW_IPS": ",".join(settings.proxy_cidrs),
        "IMAGE_DIGEST": image.digest,
    }
    if not application.database:
        return variables
    database = stack.database
    # A stack from before there was a proxy has only the instance.
    host = database.get(Database.service_host, database.host) if settings.through_proxy else database.host
    return {
        **variables,
        **_database(database, host),
        "DATABASE_POOL_SIZE": str(settings.pool_size),
        "DATABASE_MAX_OVERFLOW": str(settings.max_overflow),
    }


def service_definition(stack: Stack, application: Application, settings: Settings, image: Image) -> dict[str, Any]:
    """Return the arguments of RegisterTaskDefinition for the service's family.

    A secret is the name of a JSON key of the application's database secret, or a full ``valueFrom``. The settings'
    environment comes last, so that a drill can break a release.
    """
    environment = {**release_variables(stack, application, settings, image), **settings.environment}

    def reference(value: str) -> str:
        if value.startswith("arn:"):
            return value
        return _secret_key(settings.database_secret_arn or stack.app_database_secret_arn, value)

    given = {**(DATABASE_SECRETS if application.database else {}), **settings.secrets}
    secrets = {name: reference(value) for name, value in given.items()}
    container = _container_definition(stack, settings, image, environment, secrets, stack.log_group_name)
    if settings.command:
        container["command"] = list(settings.command)
    container["portMappings"] = [{"containerPort": stack.container_port, "protocol": "tcp"}]
    roles = (stack.execution_role_arn, stack.task_role_arn)
    definition = _definition(stack, settings, container, stack.service_family, *roles)
    if settings.execute_command:
        container["mountPoints"] += [_mount(name, folder) for name, folder in EXECUTE_COMMAND_FOLDERS.items()]
        definition["volumes"] += [{"name": name} for name in EXECUTE_COMMAND_FOLDERS]
    return definition


def admin_definition(stack: Stack, application: Application, settings: Settings, image: Image) -> dict[str, Any]:
    """Return the arguments of RegisterTaskDefinition for the admin family, the only one with the master secret.

    Each task of it replaces the command.
    """
    environment = {
        **_database(stack.database, stack.database.host),
        **settings.admin_environment,
        "APP_NAME": application.name,
        "APP_DATABASE_SECRET_ARN": stack.app_database_secret_arn,
        "APP_DATABASE_CLONE_SECRET_ARN": stack.get(Stack.app_database_clone_secret_arn, ""),
        "AWS_REGION": stack.region,
        "IMAGE_DIGEST": image.digest,
    }
    master = stack.database.master_secret_arn
    secrets = {"MASTER_USERNAME": _secret_key(master, "username"), "MASTER_PASSWORD": _secret_key(master, "password")}
    container = _container_definition(stack, settings, image, environment, secrets, stack.admin_log_group_name)
    if application.admin_command:
        container["command"] = application.admin("prepare")
    return _definition(
        stack,
        settings,
        container,
        stack.admin_family,
        stack.admin_execution_role_arn,
        stack.admin_task_role_arn,
    )


def _definition(
    stack: Stack,
    settings: Settings,
    container: Mapping[str, Any],
    family: str,
    execution_role: str,
    task_role: str,
) -> dict[str, Any]:
    return {
        "family": family,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": str(settings.cpu),
        "memory": str(settings.memory),
        "runtimePlatform": {"cpuArchitecture": stack.cpu_architecture, "operatingSystemFamily": "LINUX"},
        "executionRoleArn": execution_role,
        "taskRoleArn": task_role,
        # The root file system is read-only, and Fargate has no tmpfs: /tmp is a volume of the task.
        "volumes": [{"name": "tmp"}],
        "containerDefinitions": [container],
    }


def _container_definition(
    stack: Stack,
    settings: Settings,
    image: Image,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    log_group: str,
) -> dict[str, Any]:
    return {
        "name": stack.container_name,
        "image": image.reference,
        "essential": True,
        "readonlyRootFilesystem": True,
        "mountPoints": [_mount("tmp", "/tmp")],  # noqa: S108
        # As process 1, an init reaps children and hands SIGTERM on.
        "linuxParameters": {"initProcessEnabled": True},
        "stopTimeout": settings.stop_timeout,
        "environment": [{"name": name, "value": str(value)} for name, value in sorted(environment.items())],
        "secrets": [{"name": name, "valueFrom": value} for name, value in sorted(secrets.items())],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": log_group,
                "awslogs-region": stack.region,
                "awslogs-stream-prefix": stack.container_name,
            },
        },
    }


def _mount(volume: str, folder: str) -> dict[str, Any]:
    return {"sourceVolume": volume, "containerPath": folder, "readOnly": False}


def _database(database: Database, host: str) -> dict[str, str]:
    return {
        "DATABASE_HOST": host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_NAME": database.name,
        # Behind a proxy the host is the same for every instance; with this variable, the definition differs.
        "DATABASE_INSTANCE": database.instance_identifier,
    }


def _secret_key(arn: str, key: str) -> str:
    """Return the reference to one JSON key of a secret, at its current version.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
    """
    return f"{arn}:{key}::"


def database_of(definition: Mapping[str, Any]) -> str:
    """Return the database instance of a definition (canonical or not); empty if it names none."""
    for container in definition.get("containerDefinitions", []):
        environment = container.get("environment") or {}
        pairs = (
            environment if isinstance(environment, Mapping) else {item["name"]: item["value"] for item in environment}
        )
        if name := pairs.get("DATABASE_INSTANCE"):
            return str(name)
    return ""


def tags(image: Image, environment: str) -> list[dict[str, str]]:
    """Return the tags of a revision: a copy of the ledger for people in the console."""
    values = {"version": image.version, "digest": image.digest, "environment": environment}
    if image.schema_head:
        values["schema_head"] = image.schema_head
    return [{"key": key, "value": value} for key, value in values.items()]
