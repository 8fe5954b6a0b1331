"""What unit tests of several packages need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest
from hypothesis import settings
from moto import mock_aws

STATE_BUCKET = "state-bucket"

# moto's EC2 is born with a thousand machine images: most of what a test with moto costs, and no test looks at one.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

# A busy machine is not a failure of what is tested.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="module")
def _s3_of_this_module() -> Iterator[Any]:
    """One client for all tests of a module: making one costs more than most tests."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", "ap-northeast-2")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        with mock_aws():
            client = boto3.client("s3")
            location = {"LocationConstraint": "ap-northeast-2"}
            client.create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=location)
            yield client


@pytest.fixture
def s3(_s3_of_this_module: Any) -> Iterator[Any]:
    """S3 in this process, with conditional writes; in it the empty bucket ``state-bucket``."""
    client = _s3_of_this_module
    yield client
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=STATE_BUCKET):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=STATE_BUCKET, Key=item["Key"])


@pytest.fixture
def s3_clock(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime, datetime], None]:
    """Set what S3 answers as the time at which an object was written, and as its own time."""
    get_object = s3.get_object

    def set_clock(written: datetime, now: datetime) -> None:
        def answer(**request: Any) -> Any:
            answer = get_object(**request) | {"LastModified": written}
            answer["ResponseMetadata"]["HTTPHeaders"]["date"] = f"{now:%a, %d %b %Y %H:%M:%S} GMT"
            return answer

        monkeypatch.setattr(s3, "get_object", answer)

    return set_clock


@pytest.fixture
def in_seoul(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine's clock show a time that is not UTC."""
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "Asia/Seoul")
        time.tzset()
        yield
    time.tzset()
