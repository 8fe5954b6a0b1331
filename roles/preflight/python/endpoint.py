"""Whether a given API endpoint answers at all, asked before a client would retry for half a minute."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

_CONNECT_TIMEOUT_SECONDS = 2


def not_answering(environment: Mapping[str, str]) -> str:
    """Why the endpoint of ``AWS_ENDPOINT_URL`` cannot be asked; empty when it answers, or when AWS's own is used."""
    url = environment.get("AWS_ENDPOINT_URL", "")
    if not url:
        return ""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_TIMEOUT_SECONDS).close()
    except OSError as error:
        return f"{url} does not answer yet ({error.strerror or error})"
    return ""
