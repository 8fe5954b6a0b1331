"""A root's outputs, from its state alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from roles.terraform_stack.python.outputs import NoState, read_outputs, state_etag

BUCKET, KEY = "state-bucket", "local/environment.tfstate"


def put(s3: Any, **state: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps({"version": 4, "outputs": {}, **state}).encode())


def test_values_are_read_whatever_their_type(s3: Any) -> None:
    put(s3, outputs={"url": {"value": "http://x", "type": "string"}, "subnets": {"value": ["a", "b"]}})
    assert read_outputs(s3, BUCKET, KEY) == {"url": "http://x", "subnets": ["a", "b"]}


def test_what_is_missing_is_named(s3: Any) -> None:
    with pytest.raises(NoState, match=f"no state at s3://{BUCKET}/{KEY}"):
        read_outputs(s3, BUCKET, KEY)
    with pytest.raises(NoState, match=f"no state at s3://gone/{KEY}"):
        read_outputs(s3, "gone", KEY)
    put(s3)
    with pytest.raises(NoState, match="no outputs yet"):
        read_outputs(s3, BUCKET, KEY)
    put(s3, version=5)
    with pytest.raises(NoState, match="format 5, not 4"):
        read_outputs(s3, BUCKET, KEY)


def test_a_refusal_is_no_missing_state(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    monkeypatch.setattr(s3, "get_object", refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        read_outputs(s3, BUCKET, KEY)


def test_each_write_of_the_state_has_an_etag_of_its_own(s3: Any) -> None:
    assert state_etag(s3, BUCKET, KEY) == ""
    put(s3)
    first = state_etag(s3, BUCKET, KEY)
    assert first
    put(s3, serial=2)
    assert state_etag(s3, BUCKET, KEY) not in ("", first)
