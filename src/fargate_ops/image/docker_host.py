"""Choose the Docker engine of a run, for checks, builds, the local cloud and messages alike.

The order is that of the docker command: DOCKER_HOST, DOCKER_CONTEXT, the current context of the user's configuration,
the socket of this machine. An environment may require an engine, and then another choice is refused.
https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fargate_ops.core.problem import ProblemError
from fargate_ops.core.project import ROLES

LOCAL = "unix:///var/run/docker.sock"
#: No logins, credential helpers or proxies. The file must exist, or clients fall back to ~/.docker.
_NO_CONFIGURATION = ROLES / "image_build/files/docker_config"


@dataclass(frozen=True)
class DockerHost:
    """A Docker engine: `address` as in DOCKER_HOST; `origin` names what chose it; `undo` is the command to revert that.

    Both are empty for the default. `certificates` is a folder with ca.pem, cert.pem and key.pem, or None without TLS;
    `verify` says whether the engine's own certificate is verified.
    """

    address: str
    origin: str = ""
    undo: str = ""
    certificates: Path | None = None
    verify: bool = True

    def __str__(self) -> str:
        return f"{self.address} ({self.origin})" if self.origin else self.address

    def variables(self) -> dict[str, str]:
        """Environment variables that make every client use this engine, without the user's configuration."""
        chosen = {"DOCKER_HOST": self.address, "DOCKER_CONFIG": str(_NO_CONFIGURATION)}
        if self.certificates is not None and not self.address.startswith("unix://"):
            chosen["DOCKER_CERT_PATH"] = str(self.certificates)
            chosen |= {"DOCKER_TLS_VERIFY": "1"} if self.verify else {"DOCKER_TLS_VERIFY": ""}
        return chosen

    def adopt(self) -> None:
        """Make this process and its children use only this engine. A worker process has one task."""
        for name in [name for name in os.environ if name.startswith("DOCKER_")]:
            del os.environ[name]
        os.environ.update(self.variables())


def find(environment: Mapping[str, str], required: str = "") -> DockerHost:
    """Return the engine that `environment` chooses, else the `required` one (an address). Sends no request.

    Raises ProblemError if another engine than the required one is chosen, or a context that does not exist.
    """
    chosen = _chosen(environment)
    if not required:
        return chosen
    if chosen.origin and _identity(chosen.address) != _identity(required):
        raise ProblemError(
            f"{chosen.origin} is {chosen.address}, and this environment uses the engine of {required} only. "
            "Neither was asked.",
            "docker_host (inventory)",
            chosen.undo,
        )
    return DockerHost(required)


def _chosen(environment: Mapping[str, str]) -> DockerHost:
    home = environment.get("HOME") or os.path.expanduser("~")
    folder = Path(environment.get("DOCKER_CONFIG") or f"{home}/.docker")
    if address := environment.get("DOCKER_HOST"):
        certificates = Path(environment.get("DOCKER_CERT_PATH") or folder)
        verify = bool(environment.get("DOCKER_TLS_VERIFY"))
        tls = certificates if verify or environment.get("DOCKER_CERT_PATH") else None
        return DockerHost(address, "DOCKER_HOST", "unset DOCKER_HOST", tls, verify)
    if name := environment.get("DOCKER_CONTEXT"):
        undo = "unset DOCKER_CONTEXT"
    else:
        name, undo = str(_read(folder / "config.json").get("currentContext") or ""), "docker context use default"
    if name in ("", "default"):
        return DockerHost(LOCAL)
    identity = hashlib.sha256(name.encode()).hexdigest()
    endpoint = _read(folder / "contexts/meta" / identity / "meta.json").get("Endpoints", {}).get("docker")
    if endpoint is None:
        raise ProblemError(f"There is no Docker context {name}.", str(folder / "contexts"), undo)
    address = endpoint.get("Host") or LOCAL
    certificates = folder / "contexts/tls" / identity / "docker"
    tls = certificates if certificates.is_dir() else None
    return DockerHost(address, f"Docker context {name}", undo, tls, not endpoint.get("SkipTLSVerify"))


def _read(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`; empty if there is none, as for the docker command."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _identity(address: str) -> str:
    """Return the identity of an engine; for a socket its real file, because /var/run is a link to /run."""
    return os.path.realpath(address.removeprefix("unix://")) if address.startswith("unix://") else address
