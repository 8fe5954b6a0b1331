"""Tolerate transient AWS errors while polling: throttling, errors of AWS itself, a broken connection.

A client retries each call a few times by itself. A wait makes hundreds of calls, and under heavy throttling one of them
still fails. That says nothing about the state that the wait is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

T = TypeVar("T")

#: So many calls in a row may fail, each after its client's own retries, before the wait gives up.
FAILURES_IN_A_ROW = 5

#: Beside the codes that contain Throttl: https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_THROTTLED = frozenset({"RequestLimitExceeded", "RequestTimeout", "SlowDown", "TooManyRequestsException"})


def is_transient(error: Exception) -> bool:
    """Return whether the same call may succeed a moment later."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response["Error"]["Code"])
        return status >= 500 or status == 429 or "Throttl" in code or code in _THROTTLED
    return isinstance(error, ConnectionError | HTTPClientError)


class TransientErrors:
    """Counts the transient errors of one wait. A success resets the count."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._failures = 0

    def tolerate(self, call: Callable[[], T]) -> T | None:
        """Return the result of ``call``, or None after a transient error.

        Raises the error of ``call`` if it is not transient, or if it is one too many in a row.
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


def retry(call: Callable[[], T], say: Callable[[str], None], rest: Callable[[], None]) -> T:
    """Return the result of ``call``, repeated after each transient error and a ``rest``.

    Raises the error of ``call`` as `TransientErrors.tolerate` does.
    """
    errors = TransientErrors(say)
    while (result := errors.tolerate(call)) is None:
        rest()
    return result
