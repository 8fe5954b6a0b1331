"""The only module that imports the emulator, which has no types.

MiniStack reads its settings from the environment when it is imported, so :func:`configure` is called first, and no
other module imports ``ministack``.
"""

from __future__ import annotations

import importlib
import json
import os
from importlib import metadata
from typing import Any

from local_cloud.core.config import CloudConfig

SUPPORTED_VERSION = "1.5.33"
"""The patches replace private functions of exactly this version."""


class EmulatorError(RuntimeError):
    """The emulator is not installed, or not in the version of the patches."""


def settings(config: CloudConfig) -> dict[str, str]:
    """Return MiniStack's environment variables for this configuration."""
    persist = "1" if config.persist_state else "0"
    return {
        "GATEWAY_PORT": str(config.api_port),
        # The host in the addresses that it returns: containers and this machine both reach the gateway.
        "MINISTACK_HOST": config.gateway_address,
        "MINISTACK_REGION": config.region,
        "MINISTACK_ACCOUNT_ID": config.account_id,
        "MINISTACK_IMAGE_PREFIX": config.image_prefix,
        "DOCKER_NETWORK": config.network_name,
        # Seconds. On a busy machine the engine needs more than the default of ten to stop or remove a container.
        "MINISTACK_DOCKER_TIMEOUT": "120",
        "PERSIST_STATE": persist,
        "STATE_DIR": str(config.state_dir / "services"),
        "S3_PERSIST": persist,
        "S3_DATA_DIR": str(config.state_dir / "s3"),
        "RDS_BASE_PORT": str(config.database.base_port),
        "RDS_PERSIST": "1" if config.database.persist else "0",
        "RDS_TMPFS_SIZE": f"{config.database.memory_limit_mib}m",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": config.log_level,
        **config.environment,
    }


def configure(config: CloudConfig) -> None:
    """Set this process's environment before the first import.

    Raises:
        EmulatorError: MiniStack is not installed, or not in this version.
    """
    try:
        version = metadata.version("ministack")
    except metadata.PackageNotFoundError as error:
        raise EmulatorError(f"ministack is not installed; needed is ministack=={SUPPORTED_VERSION}") from error
    if version != SUPPORTED_VERSION:
        raise EmulatorError(f"ministack {version} is installed, the patches need ministack=={SUPPORTED_VERSION}")
    # A play's AWS_* variables point at this emulator. They must not set its credentials, nor reach the functions
    # that it starts.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(settings(config))


def service(name: str) -> Any:
    """Return the module ``ministack.services.<name>``."""
    return importlib.import_module(f"ministack.services.{name}")


def core(name: str) -> Any:
    """Return the module ``ministack.core.<name>``."""
    return importlib.import_module(f"ministack.core.{name}")


def application() -> Any:
    """Return the module ``ministack.app``; its ``app`` is the ASGI application."""
    return importlib.import_module("ministack.app")


def parse(body: bytes | str) -> dict[str, Any]:
    """Return the JSON object in the body that an emulator's handler returned."""
    document: dict[str, Any] = json.loads(body)
    return document
