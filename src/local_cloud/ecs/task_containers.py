"""A task's containers run as the task definition says.

What AWS does (Fargate): entry point, working directory, user, read-only root file system, memory limits, capabilities
and the init process of a container definition are honoured
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html). A volume without a host path
is an empty volume of the task, owned by root with mode 0755, unless the image declares that very path as a VOLUME: then
it has the image's files and owner (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html).
Without this patch: the emulator does none of that, and does not mount such a volume. It also gives containers addresses
that they cannot reach.

Credentials: an SDK accepts a task role's credentials only from 169.254.170.2, which does not exist here, and refuses
any other plain-HTTP address. So they are environment variables, which every SDK reads first. CPU is not limited: a
quarter of a core would only make local deployments slower.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud

logger = logging.getLogger(__name__)

_MEBIBYTE = 1024 * 1024
_VOLUME_PREFIX = "ministack-ecs-"


def apply(cloud: Cloud) -> None:
    handlers, reaper = Handlers(cloud.config), emulator.core("container_reaper")
    install(handlers)
    reaper.reap_all = functools.partial(handlers.reap_all, reaper.reap_all)


class Handlers:
    """Creates and removes a task's containers and volumes."""

    def __init__(self, config: CloudConfig) -> None:
        self._ecs = emulator.service("ecs")
        self._config = config

    @extends("ecs", "_register_metadata")
    def register_metadata(self, register: Handler, *arguments: Any) -> Any:
        # The last argument is the emulator's address as containers reach it, which the emulator does not know.
        token = register(*arguments[:-1], self._config.gateway_address)
        environment = arguments[5]
        environment.pop("AWS_CONTAINER_CREDENTIALS_FULL_URI", None)
        environment.pop("AWS_CONTAINER_AUTHORIZATION_TOKEN", None)
        environment["AWS_ENDPOINT_URL"] = self._config.container_api_url
        for name, value in {
            "AWS_REGION": self._ecs.get_region(),
            "AWS_DEFAULT_REGION": self._ecs.get_region(),
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            "AWS_ACCESS_KEY_ID": self._ecs.get_account_id(),
            "AWS_SECRET_ACCESS_KEY": "local",
        }.items():
            environment.setdefault(name, value)
        return token

    @extends("ecs", "_build_run_kwargs")
    def build_run_kwargs(
        self, build: Handler, definition: dict[str, Any], task_definition: dict[str, Any], *rest: Any
    ) -> Any:
        arguments = build(definition, task_definition, *rest)
        host_mode, task_id, task_arn = rest[3], rest[4], rest[5]
        if not host_mode:
            arguments["network"] = self._config.network_name
            arguments.pop("extra_hosts", None)
        arguments["ports"] = {
            port: (self._config.loopback_address, host_port)
            for port, host_port in (arguments.get("ports") or {}).items()
        } or None
        arguments.update(container_arguments(definition, task_definition))
        task = self._ecs._tasks.get(task_arn) or {}
        mounts = _mounts(self._config, self._ecs, definition, task_definition, task_id, task)
        if mounts:
            arguments["mounts"] = mounts
        return arguments

    @extends("ecs", "_cleanup_task_resources")
    def cleanup_task_resources(self, cleanup: Handler, task: dict[str, Any], client: Any, extra: Any = None) -> None:
        cleanup(task, client, extra)
        _remove_volumes(task, client)

    def reap_all(self, reap: Handler, client: Any, *arguments: Any, **options: Any) -> Any:
        # At the start and the end of a cloud no task runs, so every task volume is left over.
        count = reap(client, *arguments, **options)
        if client is not None:
            labels = [f"{name}={value}" for name, value in self._config.labels.items()]
            for volume in client.volumes.list(filters={"label": labels, "name": _VOLUME_PREFIX}):
                _remove_volume(client, volume.name)
        return count


def container_arguments(definition: dict[str, Any], task_definition: dict[str, Any]) -> dict[str, Any]:
    """Return Docker's arguments for the fields of a container definition that the emulator drops."""
    arguments: dict[str, Any] = {}
    if definition.get("entryPoint"):
        arguments["entrypoint"] = definition["entryPoint"]
    if definition.get("workingDirectory"):
        arguments["working_dir"] = definition["workingDirectory"]
    if definition.get("user"):
        arguments["user"] = definition["user"]
    if definition.get("readonlyRootFilesystem"):
        arguments["read_only"] = True
    if definition.get("dockerLabels"):
        logger.debug("dockerLabels are not applied: labels are the local cloud's")
    linux = definition.get("linuxParameters") or {}
    if linux.get("initProcessEnabled"):
        arguments["init"] = True
    dropped = (linux.get("capabilities") or {}).get("drop")
    if dropped:
        arguments["cap_drop"] = dropped
    # A container may use the task's whole memory, unless it has its own limit.
    memory = definition.get("memory") or task_definition.get("memory")
    if memory:
        arguments["mem_limit"] = int(memory) * _MEBIBYTE
        arguments["memswap_limit"] = int(memory) * _MEBIBYTE
    if definition.get("memoryReservation"):
        arguments["mem_reservation"] = int(definition["memoryReservation"]) * _MEBIBYTE
    return arguments


def _mounts(
    config: CloudConfig,
    ecs: Any,
    definition: dict[str, Any],
    task_definition: dict[str, Any],
    task_id: str,
    task: dict[str, Any],
) -> list[Any]:
    """Return Docker volumes for the mount points of volumes without a host path."""
    import docker

    hosted = {
        volume["name"]
        for volume in task_definition.get("volumes") or []
        if (volume.get("host") or {}).get("sourcePath")
    }
    points = [
        point
        for point in definition.get("mountPoints") or []
        if point.get("sourceVolume") and point["sourceVolume"] not in hosted
    ]
    if not points:
        return []
    client = ecs._get_docker()
    try:
        declared = _declared_volumes(client, definition["image"])
    except docker.errors.APIError as error:
        raise ecs._ImagePullError(str(error)) from error
    names = task.setdefault("_volumes", [])
    mounts = []
    for point in points:
        name = f"{_VOLUME_PREFIX}{task_id}-{point['sourceVolume']}"
        if name not in names:
            client.volumes.create(name, labels=config.labels)
            names.append(name)
        mounts.append(
            docker.types.Mount(
                target=point["containerPath"],
                source=name,
                type="volume",
                read_only=bool(point.get("readOnly")),
                no_copy=point["containerPath"] not in declared,
            )
        )
    return mounts


def _declared_volumes(client: Any, image: str) -> set[str]:
    """Return the VOLUME paths of an image, after pulling it if necessary. They decide how a volume is mounted."""
    import docker

    try:
        found = client.images.get(image)
    except docker.errors.ImageNotFound:
        found = client.images.pull(image)
    return set((found.attrs["Config"] or {}).get("Volumes") or {})


def _remove_volumes(task: dict[str, Any], client: Any) -> None:
    for name in task.pop("_volumes", []):
        _remove_volume(client, name)


def _remove_volume(client: Any, name: str) -> None:
    import docker

    try:
        client.volumes.get(name).remove(force=True)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        logger.warning("cannot remove volume %s: %s", name, error)
