"""Check that the public address answers with the released version, and with nothing else.

A proxy, an allow-list or a sign-in page between this machine and the service may answer instead, which says nothing
about the service. So the probe distinguishes who answered:

- the application: by its version document, or because it returns the request's trace identifier. A load balancer
  keeps the Root of ``X-Amzn-Trace-Id``, and the application puts it into ``X-Request-Id``
  (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html);
- the load balancer: by ``Server: awselb/2.0``. 502 and 504 mean that a task's answer was missing or broken. All others
  (a web ACL's 403, a sign-in, no target) say nothing about the version
  (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html);
- anybody else, or nobody: this counts as no answer.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import secrets
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fargate_ops.core import trust


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The expected version document. ``revision`` is the number of the task definition's revision."""

    git_hash: str
    image_digest: str
    revision: int

    def mismatch(self, body: Mapping[str, Any]) -> str:
        """Return how an answer differs; empty if it does not. Null, which means unknown, is no mismatch."""
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
    """The result of a probe. ``in_a_row`` counts the right answers since the last wrong one.

    ``other_version_in_a_row`` counts consecutive answers with another version. ``faults`` counts these and the
    application's errors since the last right answer.
    """

    in_a_row: int = 0
    other_version_in_a_row: int = 0
    faults: int = 0
    attempts: int = 0
    others: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def summary(self) -> str:
        seen = ", ".join(f"{count} x {what}" for what, count in self.others.most_common(5))
        return f"{self.in_a_row} right in a row of {self.attempts} answers" + (f" (before: {seen})" if seen else "")


class Answer(NamedTuple):
    """One HTTP answer. ``server`` is its header of that name; ``traced``: it returned the request's identifier."""

    status: int
    body: bytes = b""
    server: str = ""
    traced: bool = False


Fetch = Callable[[str], Answer]


def fetch(url: str, timeout_seconds: float = 5.0, header: tuple[str, str] | None = None) -> Answer:
    """GET a URL on a new connection, which may reach another target. ``header`` is sent too.

    A proxy from the environment is used, except for an address of this machine.

    Raises:
        OSError: nothing answered.
    """
    identifier = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    headers = {"Connection": "close", "Cache-Control": "no-cache", "X-Amzn-Trace-Id": f"Root={identifier}"}
    headers |= dict([header] if header else [])
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - from the inventory

    try:
        proxies = [urllib.request.ProxyHandler({})] if _is_loopback(url) else []
        try:
            answer = trust.opener(url, *proxies).open(request, timeout=timeout_seconds)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            traced = answer.headers.get("X-Request-Id") == identifier
            return Answer(int(answer.status), answer.read(), answer.headers.get("Server") or "", traced)
    except http.client.HTTPException as error:
        raise OSError(f"a broken answer: {error!r}") from error


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def probe_version(
    url: str,
    expected: Expected,
    *,
    in_a_row: int,
    limit_seconds: float,
    pause_seconds: float = 0.1,
    get: Fetch = fetch,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """GET the version document at ``url`` until it is right ``in_a_row`` times in a row, or the time is over.

    Another version so many times in a row also ends the probe: it must not be exposed for longer.
    """
    started = clock()
    result = Result()
    while True:
        result.attempts += 1
        kind, wrong = judged(url, expected, get)
        result.other_version_in_a_row = result.other_version_in_a_row + 1 if kind is Kind.OTHER_VERSION else 0
        result.seconds = clock() - started
        if wrong:
            result.in_a_row = 0
            result.faults += kind is not Kind.NONE
            result.others[wrong] += 1
        else:
            result.in_a_row += 1
            result.faults = 0
        if max(result.in_a_row, result.other_version_in_a_row) >= in_a_row or result.seconds > limit_seconds:
            return result
        if wrong:
            sleep(pause_seconds)


class Kind(Enum):
    """What an answer shows about the service."""

    RIGHT = auto()
    OTHER_VERSION = auto()
    ERROR = auto()
    #: There was no answer, or it was from neither the load balancer nor the application.
    NONE = auto()


def judged(url: str, expected: Expected, get: Fetch) -> tuple[Kind, str]:
    """Return what one answer shows, and what is wrong with it; empty if nothing is."""
    try:
        answer = get(url)
    except OSError as error:
        return Kind.NONE, _no_answer(error)
    said = _version(answer)
    if said is not None and (answer.traced or "git_hash" in said):
        mismatch = expected.mismatch(said)
        return (Kind.OTHER_VERSION if mismatch else Kind.RIGHT), mismatch
    what = f"HTTP {answer.status}" if answer.status != 200 else "an answer that is no version"
    if answer.traced:
        return Kind.ERROR, what
    if answer.server.startswith("awselb"):
        return (Kind.ERROR if answer.status in (502, 504) else Kind.NONE), f"{what} of the load balancer"
    return Kind.NONE, f"{what} of neither the load balancer nor the application"


def _version(answer: Answer) -> Mapping[str, Any] | None:
    """Return the version document of an answer; None if it is none."""
    if answer.status != 200:
        return None
    try:
        said = json.loads(answer.body)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _no_answer(error: OSError) -> str:
    return f"no answer ({getattr(error, 'reason', error)})"


@dataclass(frozen=True)
class Readiness:
    """Why the readiness path does not return 200; empty if it does. ``unreachable``: nothing answered."""

    reason: str = ""
    unreachable: bool = False


def readiness(url: str, get: Fetch = fetch, *, attempts: int = 3) -> Readiness:
    """GET the readiness path, after the version document was right. Repeat it if nothing answers."""
    found = Readiness(unreachable=True)
    for _ in range(attempts):
        try:
            answer = get(url)
        except OSError as error:
            found = Readiness(_no_answer(error), unreachable=True)
            continue
        if answer.status == 200:
            return Readiness()
        return Readiness(f"HTTP {answer.status}: {answer.body.decode(errors='replace')[:200]}")
    return found
