"""The outputs of a root, read from its state: no Terraform, no init, no lock, so that a rollback can use it too.

State format 4, https://developer.hashicorp.com/terraform/internals/json-format ("outputs", each with "value").
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

STATE_VERSION = 4


class NoState(Exception):
    """There is no state to read outputs from; the message says which is missing."""


def read_outputs(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    """``{"public_url": "http://…", …}`` from ``s3://bucket/key``.

    Raises `NoState` when bucket, state or outputs do not exist, and botocore's errors when S3 does not answer.
    """
    try:
        state = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchBucket", "NoSuchKey", "404"}:
            raise NoState(f"there is no state at s3://{bucket}/{key}") from None
        raise
    if state.get("version") != STATE_VERSION:
        raise NoState(f"s3://{bucket}/{key} has format {state.get('version')}, not {STATE_VERSION}")
    outputs = {name: output["value"] for name, output in state["outputs"].items()}
    if not outputs:
        raise NoState(f"the state at s3://{bucket}/{key} has no outputs yet")
    return outputs


def state_etag(s3: Any, bucket: str, key: str) -> str:
    """The etag of the state's object, which each write changes; empty when there is none."""
    try:
        return str(s3.head_object(Bucket=bucket, Key=key)["ETag"])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return ""
        raise
