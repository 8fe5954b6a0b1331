"""Waiting on through failures of AWS that pass: throttling, its own errors, a connection that broke.

A client retries each call a few times by itself. A wait makes hundreds of calls, and under heavy throttling one of them
fails in spite of that: it says nothing about what is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

T = TypeVar("T")

#: So many looks in a row may fail, each after its client's own retries, before the wait gives up.
FAILURES_IN_A_ROW = 5

#: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html, beside what is named Throttl…
_THROTTLED = frozenset({"RequestLimitExceeded", "RequestTimeout", "SlowDown", "TooManyRequestsException"})


def is_transient(error: Exception) -> bool:
    """Whether the same call may well succeed a moment later."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response["Error"]["Code"])
        return status >= 500 or status == 429 or "Throttl" in code or code in _THROTTLED
    return isinstance(error, ConnectionError | HTTPClientError)


class Patience:
    """Counts the failures of one wait. A success starts the count anew."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._failures = 0

    def look(self, call: Callable[[], T]) -> T | None:
        """What `call` returns, or None when it failed in a way that passes.

        Raises what `call` raises when that does not pass, or came too often in a row.
        """
        try:
            result = call()
        except Exception as error:
            self._failures += 1
            if not is_transient(error) or self._failures > FAILURES_IN_A_ROW:
                raise
            self._say(f"  AWS did not answer ({error}); looking again, {self._failures} of {FAILURES_IN_A_ROW}")
            return None
        self._failures = 0
        return result
