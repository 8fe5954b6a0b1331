"""A root's outputs, from its state alone."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.terraform.outputs import NoState, read_outputs, state_etag

BUCKET, KEY = "state-bucket", "local/environment.tfstate"


def put(s3: Any, **state: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps({"version": 4, "outputs": {}, **state}).encode())


def test_values_are_read_whatever_their_type(s3: Any) -> None:
    put(s3, outputs={"url": {"value": "http://x", "type": "string"}, "subnets": {"value": ["a", "b"]}})
    assert read_outputs(s3, BUCKET, KEY) == ({"url": "http://x", "subnets": ["a", "b"]}, "")


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


@pytest.fixture
def versions(s3: Any) -> Iterator[None]:
    """Version the bucket during a test, as the state bucket always is."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield
    listed = s3.list_object_versions(Bucket=BUCKET)
    for item in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=BUCKET, Key=item["Key"], VersionId=item["VersionId"])
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


@pytest.mark.parametrize(
    "broken", [b"", b"not JSON", b"\xff\xfe", b"[]", b"{}", b'{"version": 4, "outputs": []}', b'{"version": 5}', None]
)
@pytest.mark.usefixtures("versions")
def test_a_broken_state_is_replaced_by_its_newest_readable_version(s3: Any, broken: bytes | None) -> None:
    put(s3, outputs={"url": {"value": "old"}})
    put(s3, outputs={"url": {"value": "new"}})
    s3.put_object(Bucket=BUCKET, Key=f"{KEY}.tflock", Body=b"{}")
    if broken is None:
        s3.delete_object(Bucket=BUCKET, Key=KEY)
    else:
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=broken)
    outputs, warning = read_outputs(s3, BUCKET, KEY)
    assert outputs == {"url": "new"}
    command = shlex.split(warning.partition("To put that back: aws s3api copy-object ")[2])
    options = dict(zip(command[::2], command[1::2], strict=True))
    s3.copy_object(Bucket=options["--bucket"], Key=options["--key"], CopySource=options["--copy-source"])
    assert read_outputs(s3, BUCKET, KEY) == ({"url": "new"}, "")


@pytest.mark.usefixtures("versions")
def test_what_was_destroyed_has_no_outputs_whatever_it_had(s3: Any) -> None:
    put(s3, outputs={"url": {"value": "old"}})
    put(s3)
    with pytest.raises(NoState, match="no outputs yet"):
        read_outputs(s3, BUCKET, KEY)


@pytest.mark.parametrize("broken", [b"", b"not JSON", b"[]", b"{}"])
def test_a_broken_state_without_another_version_is_named(s3: Any, broken: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=broken)
    with pytest.raises(NoState, match=f"s3://{BUCKET}/{KEY} is not a Terraform state"):
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
