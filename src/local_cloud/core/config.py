"""The configuration of one local cloud, which the role writes.

It is one JSON object with the fields of :class:`CloudConfig`; ``database`` has the fields of :class:`DatabaseConfig`.
An unknown key, a missing key or a value of the wrong type raises a :class:`ConfigError` that names the key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


class ConfigError(ValueError):
    """The configuration file cannot be used; the message names the key."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatabaseConfig:
    """How the emulator runs RDS instances as PostgreSQL containers."""

    base_port: int = 15432
    """First host port that an instance's container is published on."""
    persist: bool = True
    """Whether an instance's data is in a Docker volume, so that a reboot keeps it, as on RDS."""
    memory_limit_mib: int = 512
    """Size in MiB of the tmpfs that holds the data when ``persist`` is false."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloudConfig:
    """One local cloud. Paths are absolute; ports are TCP ports of this machine."""

    instance: str
    """Value of the Docker label ``fargate.local`` on every container, network and volume."""
    region: str
    """The region of requests that name none."""
    account_id: str
    """The account (12 digits) of requests that name none."""
    work_dir: Path
    """Directory for the pid file, the log, the state and HAProxy's configuration."""
    network_name: str
    """Docker network that tasks, databases and the load balancer join; it must exist."""
    gateway_address: str
    """The host's address on that network: containers reach the emulator there."""
    loopback_address: str = "127.0.0.1"
    """The address for this machine's programs, and the only one on which ports are published."""
    api_port: int = 4566
    """Port of the emulator's API, bound on the loopback and the gateway address."""
    autoscaling_port: int = 4567
    """Port of the APIs of Application Auto Scaling and Cost Explorer, bound on the loopback address."""
    load_balancer_port: int = 8080
    """Port of the load balancer's listener on port 80, published on the loopback address."""
    load_balancer_https_port: int | None = None
    """Port of its listener on port 443; null: that listener is not published."""
    load_balancer_image: str | None = "local-cloud/haproxy:latest"
    """Image with ``haproxy`` on its PATH; null for a cloud without a load balancer."""
    helper_image: str | None = None
    """Image with ``python3`` on its PATH, for the helpers that set the rules of security groups; null: none are set."""
    image_prefix: str = "local-cloud"
    """Prefix of the images of managed services: ``<prefix>/postgres:17-alpine``."""
    persist_state: bool = True
    """Save the emulator's state below ``work_dir`` at SIGTERM and load it at the next start."""
    log_level: str = "INFO"
    """Level of the log: DEBUG, INFO, WARNING or ERROR."""
    call_log: Path | None = None
    """File to which every AWS call is appended, see ``call_log.py``; null: calls are not logged."""
    weather: int | None = None
    """Seed of an unreliable cloud, see ``weather.py``; null: reads are consistent and no call is throttled."""
    minute_seconds: int = 60
    """How many seconds a minute of alarms and scaling takes at the start, see ``pace.py``."""
    oidc_keys: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The keys (JWKS) of OIDC issuers, by the issuer's URL. STS does not download them."""
    hosted_zones: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The domain of each Route 53 hosted zone of the account, by its ID."""
    database: DatabaseConfig = DatabaseConfig()
    """Settings of the RDS emulation."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further environment variables of the emulator, read by MiniStack itself."""

    @property
    def pid_file(self) -> Path:
        return self.work_dir / "cloud.pid"

    @property
    def log_file(self) -> Path:
        return self.work_dir / "cloud.log"

    @property
    def state_dir(self) -> Path:
        return self.work_dir / "state"

    @property
    def load_balancer_dir(self) -> Path:
        return self.work_dir / "load_balancer"

    @property
    def api_url(self) -> str:
        return f"http://{self.loopback_address}:{self.api_port}"

    @property
    def container_api_url(self) -> str:
        """The address of the emulator's API for containers."""
        return f"http://{self.gateway_address}:{self.api_port}"

    @property
    def api_ports(self) -> dict[str, int]:
        """The ports on which the daemon itself listens, by the names of their settings."""
        return {"api": self.api_port, "autoscaling": self.autoscaling_port}

    @property
    def load_balancer_ports(self) -> dict[str, int]:
        """The published ports of the load balancer's container, by the names of their settings."""
        ports = {"load_balancer": self.load_balancer_port, "load_balancer_https": self.load_balancer_https_port}
        return {name: port for name, port in ports.items() if port is not None}

    @property
    def ports(self) -> dict[str, int]:
        """Every port of this machine that the cloud uses, besides the databases'."""
        return self.api_ports | self.load_balancer_ports

    @property
    def listener_ports(self) -> dict[int, int]:
        """The port of this machine for each published port of a listener."""
        ports = {80: self.load_balancer_port, 443: self.load_balancer_https_port}
        return {listener: port for listener, port in ports.items() if port is not None}

    @property
    def labels(self) -> dict[str, str]:
        """Docker labels of everything that this cloud starts."""
        return {"fargate.local": self.instance}

    @property
    def digest(self) -> str:
        """Short fingerprint of every setting and of this package's code.

        A running cloud with another fingerprint must be restarted.
        """
        document = json.dumps(dataclasses.asdict(self), sort_keys=True, default=str)
        fingerprint = hashlib.sha256(document.encode())
        for path in sorted(Path(__file__).parents[1].rglob("*.py")):
            fingerprint.update(path.read_bytes())
        return fingerprint.hexdigest()[:12]

    @classmethod
    def from_mapping(cls, document: Mapping[str, Any]) -> Self:
        """Build the configuration from parsed JSON.

        Raises:
            ConfigError: a key is unknown, missing, of a wrong type or has an impossible value.
        """
        values = dict(document)
        database = values.pop("database", {})
        if not isinstance(database, Mapping):
            raise ConfigError("database: expected an object")
        _check_fields(DatabaseConfig, database, prefix="database.")
        _check_fields(cls, values)
        values["work_dir"] = Path(values["work_dir"])
        values["call_log"] = Path(values["call_log"]) if values.get("call_log") else None
        config = cls(**values, database=DatabaseConfig(**database))
        config._check_values()
        return config

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the configuration from a JSON file.

        Raises:
            ConfigError: the file cannot be read, is not JSON, or does not describe a cloud.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read the configuration {path}: {error}") from error
        if not isinstance(document, dict):
            raise ConfigError(f"{path}: expected one JSON object")
        try:
            return cls.from_mapping(document)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def _check_values(self) -> None:
        if not self.work_dir.is_absolute():
            raise ConfigError(f"work_dir: expected an absolute path, got {self.work_dir}")
        if not (self.account_id.isdigit() and len(self.account_id) == 12):
            raise ConfigError(f"account_id: expected 12 digits, got {self.account_id!r}")
        if not 1 <= self.minute_seconds <= 60:
            raise ConfigError(f"minute_seconds: expected 1 to 60, got {self.minute_seconds}")
        for name in ("gateway_address", "loopback_address"):
            try:
                ipaddress.ip_address(getattr(self, name))
            except ValueError as error:
                raise ConfigError(f"{name}: {error}") from error
        ports = list(self.ports.values())
        if len(set(ports)) != len(ports) or not all(0 < port < 65536 for port in ports):
            raise ConfigError(f"ports: expected different ports in 1-65535, got {ports}")


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int": (int,),
    "int | None": (int, type(None)),
    "bool": (bool,),
    "Path": (str,),
    "Mapping[str, str]": (dict,),
    "Mapping[str, Any]": (dict,),
}


def _check_fields(cls: type[Any], values: Mapping[str, Any], *, prefix: str = "") -> None:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name, value in values.items():
        if name not in fields:
            raise ConfigError(f"{prefix}{name}: unknown key; known are {', '.join(sorted(fields))}")
        expected = _JSON_TYPES.get(str(fields[name].type))
        # In Python a bool is an int; in the file it is not.
        wrong_bool = isinstance(value, bool) and expected is not None and bool not in expected
        if expected is not None and (wrong_bool or not isinstance(value, expected)):
            raise ConfigError(f"{prefix}{name}: expected {fields[name].type}, got {value!r}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{prefix}{name}: required")
