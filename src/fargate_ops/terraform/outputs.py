"""Read the outputs of a root from its state, without Terraform, init or lock, so that a rollback can do it too.

State format 4, https://developer.hashicorp.com/terraform/internals/json-format ("outputs", each with "value").
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from fargate_ops.aws.errors import NO_OBJECT
from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError

STATE_VERSION = 4
#: Maximum of versions to try if the state is unreadable, newest first.
_VERSIONS = 20


class NoState(OperationsError):
    """There is no state with outputs; the message names it."""

    kind = Kind.REFUSED


def read_outputs(s3: Any, bucket: str, key: str) -> tuple[dict[str, Any], str]:
    """Return the outputs in ``s3://bucket/key``, such as ``{"public_url": "http://…"}``, and a warning or "".

    If the state is unreadable or was deleted, its newest readable version is used.

    Raises:
        NoState: there is no such version, or it has no outputs.
        ClientError, BotoCoreError: S3 refuses or does not answer.
    """
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
        return _outputs(found["Body"].read(), f"s3://{bucket}/{key}"), ""
    except ClientError as error:
        if error.response["Error"]["Code"] not in NO_OBJECT:
            raise
        reason = NoState(f"there is no state at s3://{bucket}/{key}")
    except _Unreadable as error:
        reason = NoState(str(error))
    try:
        return _earlier(s3, bucket, key, str(reason))
    except ClientError:  # no such bucket, or no permission to list its versions
        raise reason from None


def state_etag(s3: Any, bucket: str, key: str) -> str:
    """Return the etag of the state's object, which each write changes; empty if there is none."""
    try:
        return str(s3.head_object(Bucket=bucket, Key=key)["ETag"])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return ""
        raise


class _Unreadable(Exception):
    """The object is not a state of the known format."""


def _earlier(s3: Any, bucket: str, key: str, reason: str) -> tuple[dict[str, Any], str]:
    listed = s3.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=_VERSIONS)
    for version in listed.get("Versions", []):
        if version["Key"] != key:
            continue
        found = s3.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
        try:
            outputs = _outputs(found["Body"].read(), f"s3://{bucket}/{key}")
        except _Unreadable:
            continue
        return outputs, (
            f"{reason}; its version of {version['LastModified']:%Y-%m-%d %H:%M:%S %Z} is used. To put that back: "
            f"aws s3api copy-object --bucket {bucket} --key {key} "
            f"--copy-source '{bucket}/{key}?versionId={version['VersionId']}'"
        )
    raise NoState(reason)


def _outputs(content: bytes, where: str) -> dict[str, Any]:
    try:
        state = json.loads(content)
        if state["version"] != STATE_VERSION:
            raise _Unreadable(f"{where} has format {state['version']}, not {STATE_VERSION}")
        outputs = {name: output["value"] for name, output in state["outputs"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _Unreadable(f"{where} is not a Terraform state") from None
    if not outputs:
        raise NoState(f"the state at {where} has no outputs yet")
    return outputs
