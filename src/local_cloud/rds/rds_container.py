"""An RDS for PostgreSQL instance is private, uses TLS with a lasting CA, and its master user is not a superuser.

What AWS does:
- The endpoint keeps its address, inside the VPC, for the lifetime of the instance. It uses the requested port (5432).
- The server's certificate names the endpoint and is signed by a CA in the clients' bundle
  (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html).
- The master user is a member of ``rds_superuser``; only RDS has the superuser
  (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html).
- Storage is deleted with the instance.

Without this patch: the emulator publishes the port on every interface of the machine, uses the next free address at
each start, signs with a CA that lasts only as long as the process, passes the password as an environment variable,
makes the master user a superuser, and keeps the data volume of a deleted instance.
"""

from __future__ import annotations

import contextvars
import ipaddress
import logging
import secrets
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from local_cloud.core import authority, emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.rds import postgres, rds_parameters

logger = logging.getLogger(__name__)

_ENTRYPOINT = ["sh", f"{postgres.DIRECTORY}/start.sh"]

restored_from: contextvars.ContextVar[Mapping[str, str] | None] = contextvars.ContextVar("restored_from", default=None)
"""The source of a restore, for the instance that is being created: environment variables of ``postgres.RESTORE``."""


def apply(cloud: Cloud) -> None:
    emulator.service("rds")._pg_ca = authority.ensure(cloud.config)
    install(Handlers(cloud))


class Handlers:
    """The emulator's functions that name, run and remove database containers."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._rds = emulator.service("rds")
        self._addresses = Addresses()

    # The emulator's names contain only account and region, which two local environments may share.
    @extends("rds", "_rds_docker_name")
    def container_name(
        self, container_name: Handler, identifier: str, account_id: str | None = None, region: str | None = None
    ) -> str:
        return f"{container_name(identifier, account_id, region)}-{self._cloud.config.instance}"

    @extends("rds", "_run_rds_container")
    def run(
        self,
        run_other: Handler,
        client: Any,
        engine: str,
        options: dict[str, Any],
        tls_names: Iterable[str] = (),
        tls_ips: Iterable[str] = (),
    ) -> Any:
        identifier = options["labels"].get("db_id")
        if engine != "postgres" or identifier is None:
            return run_other(client, engine, options, tls_names, tls_ips)
        return _run(self._cloud, self._rds, client, options, identifier, self._addresses)

    @extends("rds", "DeleteDBInstance")
    def delete_db_instance(self, delete: Handler, request: Mapping[str, Any]) -> Any:
        instance = self._rds._resolve_instance(self._rds._p(request, "DBInstanceIdentifier")) or {}
        answer = delete(request)
        volume = instance.get("_docker_volume_name")
        if answer[0] == 200 and volume:
            self._addresses.release(self._rds._rds_docker_name(instance["DBInstanceIdentifier"]))
            remove_volume(self._rds._get_docker(), volume)
        return answer


class Addresses:
    """Assigns fixed addresses to databases, from the part of the subnet that Docker does not assign by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, str] = {}

    def take(self, name: str, pool: Iterable[str], wanted: str | None = None) -> str:
        """Return the address of the container `name`: its current one, else `wanted` if free, else the first free one.

        Raises:
            RuntimeError: no address is free.
        """
        with self._lock:
            if name not in self._taken:
                others = set(self._taken.values())
                free = [address for address in pool if address not in others]
                if not free:
                    raise RuntimeError("no address is left for another database")
                self._taken[name] = wanted if wanted in free else free[0]
            return self._taken[name]

    def release(self, name: str) -> None:
        with self._lock:
            self._taken.pop(name, None)


def address_pool(subnet: str, automatic: str | None, gateway: str) -> list[str]:
    """Return the addresses that Docker does not assign by itself, from the top: Docker assigns from the bottom."""
    network = ipaddress.IPv4Network(subnet)
    range_ = ipaddress.IPv4Network(automatic) if automatic else None
    return [
        str(address)
        for address in reversed(list(network.hosts()))
        if str(address) != gateway and (range_ is None or address not in range_)
    ]


def backups_volume(cloud: Cloud) -> str:
    """Return the name of the volume with every backup of this cloud. Snapshots outlive their instance."""
    return f"ministack-rds-backups-{cloud.config.instance}"


def backups_directory(container: str) -> str:
    """Return the directory with the automated backups of the container of this name."""
    return f"{postgres.BACKUPS}/instances/{container}"


def _run(cloud: Cloud, rds: Any, client: Any, options: dict[str, Any], identifier: str, addresses: Addresses) -> Any:
    """Create the container, copy its files and start it. The data volume is new unless the instance already exists."""
    from docker.types import EndpointConfig

    config = cloud.config
    instance = rds._instances.get(identifier)
    name = options["name"]
    ipam = client.networks.get(config.network_name).attrs["IPAM"]["Config"][0]
    pool = address_pool(ipam["Subnet"], ipam.get("IPRange"), config.gateway_address)
    address = addresses.take(name, pool, (instance or {}).get("Endpoint", {}).get("Address"))
    environment = dict(options["environment"])
    for volume in options.get("volumes", {}):
        if instance is None:
            remove_volume(client, volume)  # left by an instance that a killed emulator did not save
        client.volumes.create(volume, labels=config.labels)

    creation = {
        key: value
        for key, value in options.items()
        if key not in ("ports", "network", "environment", "labels", "detach", "volumes")
    }
    backups = backups_volume(cloud)
    client.volumes.create(backups, labels=config.labels)
    container = client.containers.create(
        **creation,
        labels={**options["labels"], **config.labels},
        environment={
            "POSTGRES_USER": postgres.SUPERUSER,
            "POSTGRES_DB": environment["POSTGRES_DB"],
            "POSTGRES_PASSWORD_FILE": f"{postgres.DIRECTORY}/superuser-password",
            "RDS_MASTER_USERNAME": environment["POSTGRES_USER"],
            "RDS_BACKUPS": backups_directory(name),
            **(restored_from.get() or {}),
        },
        volumes={**options.get("volumes", {}), backups: {"bind": postgres.BACKUPS, "mode": "rw"}},
        user="0:0",
        entrypoint=_ENTRYPOINT,
        command=[
            "-c",
            f"config_file={postgres.DIRECTORY}/postgresql.conf",
            "-c",
            "ssl=on",
            "-c",
            f"ssl_cert_file={postgres.DIRECTORY}/server.crt",
            "-c",
            f"ssl_key_file={postgres.DIRECTORY}/server.key",
        ],
        network=config.network_name,
        networking_config={config.network_name: EndpointConfig(client.api._version, ipv4_address=address)},
        # PostgreSQL's fast shutdown; after SIGTERM it would wait for every client to disconnect.
        stop_signal="SIGINT",
        # Parallel queries share memory there; Docker's default of 64 MiB is too small for them.
        shm_size="256m",
    )
    try:
        certificate, key = rds._pg_server_material([name, "localhost"], [address, "127.0.0.1"])
        parameters = rds_parameters.for_start(rds, identifier)
        files = {
            **rds_parameters.files(parameters),
            f"{postgres.DIRECTORY}/server.crt": certificate,
            f"{postgres.DIRECTORY}/server.key": key,
            f"{postgres.DIRECTORY}/superuser-password": secrets.token_urlsafe(32),
            f"{postgres.DIRECTORY}/master-password": environment["POSTGRES_PASSWORD"],
            f"{postgres.DIRECTORY}/start.sh": postgres.START,
            f"{postgres.DIRECTORY}/archive.sh": postgres.ARCHIVE,
            f"{postgres.DIRECTORY}/restore.sh": postgres.RESTORE,
            f"{postgres.DIRECTORY}/restored.sql": postgres.RESTORED_SQL,
            "/docker-entrypoint-initdb.d/10-rds-roles.sql": postgres.MASTER_ROLE_SQL,
        }
        container.put_archive("/", postgres.archive(files))
        container.start()
    except BaseException:
        container.remove(force=True, v=True)
        addresses.release(name)
        raise
    logger.info("RDS instance %s: container %s at %s", identifier, name, address)
    return container


def remove_volume(client: Any, name: str) -> None:
    from docker.errors import NotFound

    try:
        client.volumes.get(name).remove(force=True)
    except NotFound:
        return
