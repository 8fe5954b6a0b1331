"""Tell errors of AWS apart by their codes."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

#: What S3 answers where there is no such object or bucket; ``404`` if the answer has no body.
NO_OBJECT = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


def error_code(error: ClientError | BotoCoreError) -> str:
    """Return AWS's code of a refused call; for a call without an answer, the name of botocore's exception."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
