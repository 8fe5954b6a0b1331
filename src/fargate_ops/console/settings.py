"""What the console needs of an environment: written by its playbook into a file of this user, read by its process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fargate_ops.core.problem import OperationsError
from fargate_ops.plugin.environment import LOOPBACK, bypass_proxies, unset

#: Ports above those that need root; 0 takes a free one.
_PORTS = range(1024, 65536)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One environment: its state bucket, Terraform's outputs, and the variables by which the SDK reaches its account.

    ``direct_addresses`` are addresses of this machine that no proxy reaches.
    """

    environment: str
    region: str
    bucket: str
    stack: dict[str, Any]
    aws_environment: dict[str, str]
    direct_addresses: list[str]

    def write(self, path: Path) -> None:
        """Write a file that only this user can read: an inventory may hold access keys."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            json.dump(asdict(self), stream)

    @classmethod
    def read(cls, path: Path) -> Settings:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def apply(self, environ: MutableMapping[str, str]) -> None:
        """Set the variables in ``environ``, as a playbook does for its tasks."""
        unset(environ, credentials="AWS_ACCESS_KEY_ID" not in self.aws_environment)
        bypass_proxies(environ, [*LOOPBACK, *self.direct_addresses])
        environ.update(self.aws_environment)


def port_of(environ: Mapping[str, str]) -> int:
    """Return the port that ``PORT`` names; 0, a free one, without it.

    Raises:
        OperationsError: it is no port.
    """
    text = environ.get("PORT", "")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or int(text) not in _PORTS:
        raise OperationsError(
            f"PORT={text!r} is no port from {_PORTS[0]} to {_PORTS[-1]}. Next: make console PORT=8321"
        )
    return int(text)
