"""Which errors are transient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from fargate_ops.aws.retry import FAILURES_IN_A_ROW, TransientErrors, is_transient, retry


def refusal(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (refusal("ThrottlingException", 400), True),
        (refusal("Throttling", 400), True),
        (refusal("SlowDown", 503), True),
        (refusal("TooManyRequestsException", 429), True),
        (refusal("InternalFailure", 500), True),
        (refusal("AccessDeniedException", 400), False),
        (refusal("ClusterNotFoundException", 400), False),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1", error="refused"), True),
        (ConnectionClosedError(endpoint_url="http://127.0.0.1:1"), True),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1:1"), True),
        (NoCredentialsError(), False),
        (ValueError("not AWS's"), False),
    ],
)
def test_what_passes_and_what_does_not(error: Any, passes: bool) -> None:
    assert is_transient(error) is passes


def failing(times: int) -> Callable[[], str]:
    """Return a call that is throttled so many times, and then returns a result."""
    errors = iter([refusal("ThrottlingException", 400)] * times)

    def call() -> str:
        if error := next(errors, None):
            raise error
        return "answer"

    return call


def test_a_call_is_repeated_after_a_rest_until_it_is_answered() -> None:
    said: list[str] = []
    rests: list[None] = []
    assert retry(failing(FAILURES_IN_A_ROW), said.append, lambda: rests.append(None)) == "answer"
    assert len(rests) == FAILURES_IN_A_ROW
    assert said[0].endswith("looking again, 1 of 5")
    with pytest.raises(ClientError, match="ThrottlingException"):
        retry(failing(FAILURES_IN_A_ROW + 1), said.append, lambda: None)


def test_a_success_resets_the_count_of_failures() -> None:
    errors = TransientErrors(lambda _: None)
    for _ in range(2):
        call = failing(FAILURES_IN_A_ROW)
        assert [errors.tolerate(call) for _ in range(FAILURES_IN_A_ROW)] == [None] * FAILURES_IN_A_ROW
        assert errors.tolerate(call) == "answer"
