"""Whether the public address answers with the version that was released, and with nothing else."""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What ``/version`` has to say. ``revision`` is the number of the task definition's revision."""

    git_hash: str
    image_digest: str
    revision: int

    def mismatch(self, body: Mapping[str, Any]) -> str:
        """How an answer differs, or an empty string. Null is what the application does not know: no mismatch."""
        for name, wanted in (
            ("git_hash", self.git_hash),
            ("image_digest", self.image_digest),
            ("task_definition_revision", self.revision),
        ):
            said = body.get(name)
            if said != wanted and not (said is None and name != "git_hash"):
                return f"{name} is {said}"
        return ""


@dataclass(kw_only=True)
class Result:
    """What was asked and what came. ``in_a_row`` counts the right answers since the last other one.

    ``other_version_in_a_row`` counts the answers of another version since the last that was anything else.
    """

    in_a_row: int = 0
    other_version_in_a_row: int = 0
    attempts: int = 0
    others: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def summary(self) -> str:
        seen = ", ".join(f"{count} x {what}" for what, count in self.others.most_common(5))
        return f"{self.in_a_row} right in a row of {self.attempts} answers" + (f" (before: {seen})" if seen else "")


Fetch = Callable[[str], tuple[int, bytes]]


def fetch(url: str, timeout_seconds: float = 5.0) -> tuple[int, bytes]:
    """GET on a fresh connection: each has its own chance of another target.

    A proxy from the environment is used, but never for an address of this machine.

    Raises:
        OSError: nothing answered.
    """
    handlers = [urllib.request.ProxyHandler({})] if _is_loopback(url) else []
    request = urllib.request.Request(url, headers={"Connection": "close"})  # noqa: S310 - from the inventory
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout_seconds) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except http.client.HTTPException as error:
        raise OSError(f"a broken answer: {error!r}") from error


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ask_until_sure(
    base_url: str,
    expected: Expected,
    *,
    in_a_row: int,
    limit_seconds: float,
    pause_seconds: float = 0.1,
    get: Fetch = fetch,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Ask ``/version`` until it was right ``in_a_row`` times without a break, or the time is over.

    Another version so many times in a row is an answer too: what is exposed must not be exposed for longer.
    """
    started = clock()
    result = Result()
    while True:
        result.attempts += 1
        wrong, of_other_version = _wrong(base_url, expected, get)
        result.other_version_in_a_row = result.other_version_in_a_row + 1 if of_other_version else 0
        result.seconds = clock() - started
        if wrong:
            result.in_a_row = 0
            result.others[wrong] += 1
        else:
            result.in_a_row += 1
        if max(result.in_a_row, result.other_version_in_a_row) >= in_a_row or result.seconds > limit_seconds:
            return result
        if wrong:
            sleep(pause_seconds)


def _wrong(base_url: str, expected: Expected, get: Fetch) -> tuple[str, bool]:
    """What is wrong with one answer, or an empty string; and whether it is that of another version."""
    try:
        status, body = get(f"{base_url}/version")
    except OSError as error:
        return f"no answer ({getattr(error, 'reason', error)})", False
    if status != 200:
        return f"HTTP {status}", False
    try:
        said = json.loads(body)
    except ValueError:
        return "an answer that is not JSON", False
    if not isinstance(said, dict):
        return "an answer that is not an object", False
    mismatch = expected.mismatch(said)
    return mismatch, bool(mismatch)


def is_ready(base_url: str, get: Fetch = fetch) -> str:
    """Why ``/readyz`` is not 200, or an empty string."""
    try:
        status, body = get(f"{base_url}/readyz")
    except OSError as error:
        return f"no answer ({getattr(error, 'reason', error)})"
    return "" if status == 200 else f"HTTP {status}: {body.decode(errors='replace')[:200]}"
