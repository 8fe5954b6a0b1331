"""The protocols and ciphers of each security policy of HTTPS listeners, from moto's copy of AWS's tables.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

from __future__ import annotations

import dataclasses
import functools
import runpy
from importlib import resources
from typing import Any


@dataclasses.dataclass(frozen=True)
class Policy:
    """Protocols as in ``TLSv1.2``, and OpenSSL's names of the ciphers, in the order of preference."""

    protocols: tuple[str, ...]
    ciphers: tuple[str, ...]

    @property
    def lowest(self) -> str:
        """The oldest protocol, as HAProxy names it."""
        return {"TLSv1": "TLSv1.0"}.get(min(self.protocols), min(self.protocols))

    @property
    def highest(self) -> str:
        return max(self.protocols)


@functools.cache
def find(name: str) -> Policy | None:
    """Return the policy of this name, or None if there is none."""
    found = _table().get(name)
    return Policy(tuple(found["ssl_protocols"]), tuple(found["ciphers"])) if found else None


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    # An import would run moto's whole emulation of EC2, which takes seconds.
    module = runpy.run_path(str(resources.files("moto") / "elbv2/ssl_policies.py"))
    table: dict[str, dict[str, Any]] = module["SSL_POLICIES"]
    return table
