"""Check that a configured API endpoint answers, before a client retries for half a minute."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from fargate_ops.core.problem import ProblemError

_CONNECT_TIMEOUT_SECONDS = 2


def not_answering(environment: Mapping[str, str]) -> str:
    """Return why the endpoint of ``AWS_ENDPOINT_URL`` does not answer; empty if it does, or if none is set."""
    url = environment.get("AWS_ENDPOINT_URL", "")
    if not url:
        return ""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_TIMEOUT_SECONDS).close()
    except OSError as error:
        return f"{url} does not answer ({error.strerror or error})"
    return ""


def silence_problem(silence: str) -> ProblemError:
    """Return the error of a run that needs the endpoint."""
    return ProblemError(
        f"The AWS endpoint {silence}.",
        "AWS_ENDPOINT_URL in aws_environment (inventory)",
        "start what serves it (the local cloud: make up), then repeat the command",
    )
