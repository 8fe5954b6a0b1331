"""Which errors are transient."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from fargate_ops.aws.retry import is_transient


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
