"""Which Docker engine a run speaks to: the one answer for checks, builds, the local cloud and messages.

The order is that of the docker command: DOCKER_HOST, DOCKER_CONTEXT, the current context of the user's configuration,
the socket of this machine. An environment may require an engine; then another choice is refused.
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
#: No logins, credential helpers or proxies. A folder without the file would not do: clients fall back to ~/.docker.
_NO_CONFIGURATION = ROLES / "image_build/files/docker_config"


@dataclass(frozen=True)
class DockerHost:
    """`address` as DOCKER_HOST takes it. `origin` says who chose it, `undo` is the command that takes the choice back.

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
        """Environment variables by which every client speaks to this engine, without a configuration of the user's."""
        chosen = {"DOCKER_HOST": self.address, "DOCKER_CONFIG": str(_NO_CONFIGURATION)}
        if self.certificates is not None and not self.address.startswith("unix://"):
            chosen["DOCKER_CERT_PATH"] = str(self.certificates)
            chosen |= {"DOCKER_TLS_VERIFY": "1"} if self.verify else {"DOCKER_TLS_VERIFY": ""}
        return chosen

    def adopt(self) -> None:
        """Make this process, and what it starts, speak to this engine only. A worker process has one task."""
        for name in [name for name in os.environ if name.startswith("DOCKER_")]:
            del os.environ[name]
        os.environ.update(self.variables())


def find(environment: Mapping[str, str], required: str = "") -> DockerHost:
    """The engine that `environment` chooses, else the one that is `required` (an address). No request is sent.

    Raises ProblemError when another one than that is chosen, or a context that does not exist.
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
    """The JSON object in `path`; empty when there is none, as the docker command takes it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _identity(address: str) -> str:
    """What tells two engines apart; of a socket the file, because /var/run is a link to /run."""
    return os.path.realpath(address.removeprefix("unix://")) if address.startswith("unix://") else address
