from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto import mock_aws

from fargate_ops.core.problem import ProblemError
from fargate_ops.state.bucket import Bucket, ensure

WANTED = Bucket(
    name="settlement-terraform-123456789012-ap-northeast-2",
    region="ap-northeast-2",
    account_id="123456789012",  # moto's
    kms_key="",
    noncurrent_days=365,
    noncurrent_versions=0,  # moto forgets any other number
    locks_prefix="locks/",
    tags={"Application": "settlement"},
)
HERE = {"Bucket": WANTED.name}
ALL = ["public access block", "object ownership", "versioning", "encryption", "policy", "lifecycle", "tags"]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("s3", region_name=WANTED.region)


@pytest.fixture
def stub() -> Iterator[Stubber]:
    client = boto3.client("s3", region_name=WANTED.region, aws_access_key_id="k", aws_secret_access_key="s")
    with Stubber(client) as stubber:
        yield stubber


def create(s3: Any) -> None:
    s3.create_bucket(**HERE, CreateBucketConfiguration={"LocationConstraint": WANTED.region})


def test_a_missing_bucket_is_made_whole_and_a_second_run_changes_nothing(s3: Any) -> None:
    changes = ensure(s3, WANTED, preview=False)

    assert changes[0] == "bucket"
    assert set(changes[1:]) <= set(ALL)
    assert ensure(s3, WANTED, preview=False) == []
    assert s3.get_bucket_versioning(**HERE)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(**HERE)["PublicAccessBlockConfiguration"].values())
    statement = json.loads(s3.get_bucket_policy(**HERE)["Policy"])["Statement"][0]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    keep, infrequent, locks = s3.get_bucket_lifecycle_configuration(**HERE)["Rules"]
    assert infrequent["Transitions"] == [{"Days": 30, "StorageClass": "STANDARD_IA"}]
    assert keep["NoncurrentVersionExpiration"] == {"NoncurrentDays": 365}
    assert (locks["Filter"], locks["NoncurrentVersionExpiration"]) == ({"Prefix": "locks/"}, {"NoncurrentDays": 1})


def test_a_check_makes_nothing(s3: Any) -> None:
    assert ensure(s3, WANTED, preview=True) == ["bucket"]
    assert s3.list_buckets()["Buckets"] == []
    create(s3)
    assert set(ensure(s3, WANTED, preview=True)) <= set(ALL)
    assert "Status" not in s3.get_bucket_versioning(**HERE)


def test_a_bucket_that_exists_is_adopted_and_what_others_set_stays(s3: Any) -> None:
    create(s3)
    other = {"Sid": "Audit", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetBucketAcl", "Resource": "*"}
    stale = {"Sid": "DenyPlainHttp", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "*"}
    s3.put_bucket_policy(**HERE, Policy=json.dumps({"Version": "2012-10-17", "Statement": [other, stale]}))
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    s3.put_bucket_lifecycle_configuration(**HERE, LifecycleConfiguration={"Rules": [rule]})
    s3.put_bucket_tagging(**HERE, Tagging={"TagSet": [{"Key": "Owner", "Value": "platform"}]})

    ensure(s3, WANTED, preview=False)

    statements = json.loads(s3.get_bucket_policy(**HERE)["Policy"])["Statement"]
    assert [statement["Sid"] for statement in statements] == ["Audit", "DenyPlainHttp"]
    assert statements[1]["Action"] == "s3:*"
    rules = s3.get_bucket_lifecycle_configuration(**HERE)["Rules"]
    assert [found["ID"] for found in rules] == [
        "theirs",
        "keep-noncurrent-versions",
        "infrequent-access",
        "forget-old-locks",
    ]
    assert len(s3.get_bucket_tagging(**HERE)["TagSet"]) == 2
    assert ensure(s3, WANTED, preview=False) == []


def test_the_newest_old_versions_can_stay_for_ever(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr(s3, "put_bucket_lifecycle_configuration", lambda **arguments: written.append(arguments))
    ensure(s3, replace(WANTED, noncurrent_versions=100), preview=False)
    assert written[0]["LifecycleConfiguration"]["Rules"][0]["NoncurrentVersionExpiration"] == {
        "NoncurrentDays": 365,
        "NewerNoncurrentVersions": 100,
    }


def test_a_service_may_deliver_for_this_account_alone(s3: Any) -> None:
    bucket = replace(WANTED, locks_prefix="", writer="config.amazonaws.com")
    ensure(s3, bucket, preview=False)
    assert ensure(s3, bucket, preview=False) == []
    tls, look, write = json.loads(s3.get_bucket_policy(**HERE)["Policy"])["Statement"]
    assert tls["Effect"] == "Deny"
    assert (look["Resource"], write["Resource"]) == (
        f"arn:aws:s3:::{WANTED.name}",
        f"arn:aws:s3:::{WANTED.name}/AWSLogs/123456789012/*",
    )
    for statement in (look, write):
        assert statement["Principal"] == {"Service": "config.amazonaws.com"}
        assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
    rules = s3.get_bucket_lifecycle_configuration(**HERE)["Rules"]
    assert [rule["ID"] for rule in rules] == ["keep-noncurrent-versions", "infrequent-access"]


def test_only_what_differs_is_written(s3: Any) -> None:
    ensure(s3, WANTED, preview=False)
    s3.put_bucket_versioning(**HERE, VersioningConfiguration={"Status": "Suspended"})
    assert ensure(s3, WANTED, preview=False) == ["versioning"]


def test_a_key_of_kms_is_set_and_kept(s3: Any) -> None:
    ensure(s3, WANTED, preview=False)
    with_key = replace(WANTED, kms_key="arn:aws:kms:ap-northeast-2:123456789012:key/1")
    assert ensure(s3, with_key, preview=False) == ["encryption"]
    assert ensure(s3, with_key, preview=False) == []
    rule = s3.get_bucket_encryption(**HERE)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["BucketKeyEnabled"]


def test_the_filter_of_everything_may_be_answered_as_nothing(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(s3, WANTED, preview=False)
    answer = copy.deepcopy(s3.get_bucket_lifecycle_configuration(**HERE))
    answer["Rules"][0]["Filter"] = {}
    monkeypatch.setattr(s3, "get_bucket_lifecycle_configuration", lambda **_: answer)
    assert ensure(s3, WANTED, preview=False) == []


@pytest.mark.parametrize(
    ("status", "message"), [(403, "belongs to another account"), (301, "in another region"), (400, "in another region")]
)
def test_a_bucket_that_cannot_be_used(stub: Stubber, status: int, message: str) -> None:
    stub.add_client_error("head_bucket", str(status), http_status_code=status)
    with pytest.raises(ProblemError, match=message):
        ensure(stub.client, WANTED, preview=False)


def test_a_name_that_somebody_else_has(stub: Stubber) -> None:
    stub.add_client_error("head_bucket", "404", http_status_code=404)
    stub.add_client_error("create_bucket", "BucketAlreadyExists", http_status_code=409)
    with pytest.raises(ProblemError, match="belongs to another account"):
        ensure(stub.client, WANTED, preview=False)


def test_another_run_that_was_faster(stub: Stubber) -> None:
    stub.add_client_error("head_bucket", "404", http_status_code=404)
    stub.add_client_error("create_bucket", "BucketAlreadyOwnedByYou", http_status_code=409)
    stub.add_client_error("get_public_access_block", "SlowDown", "Please reduce your request rate")
    with pytest.raises(ProblemError, match="GetPublicAccessBlock: Please reduce"):
        ensure(stub.client, WANTED, preview=False)


@pytest.mark.parametrize(("operation", "code"), [("head_bucket", "500"), ("create_bucket", "AccessDenied")])
def test_other_refusals_are_told_in_s3s_words(stub: Stubber, operation: str, code: str) -> None:
    if operation == "create_bucket":
        stub.add_client_error("head_bucket", "404", http_status_code=404)
    stub.add_client_error(operation, code, "it is so", http_status_code=500)
    with pytest.raises(ProblemError, match="it is so"):
        ensure(stub.client, WANTED, preview=False)


def test_the_default_region_is_not_named_as_a_location(stub: Stubber) -> None:
    stub.add_client_error("head_bucket", "404", http_status_code=404)
    stub.add_response("create_bucket", {}, HERE)
    stub.add_response("head_bucket", {"ResponseMetadata": {"HTTPStatusCode": 200}}, HERE)
    stub.add_client_error("get_public_access_block", "Stop")
    with pytest.raises(ProblemError, match="Stop"):
        ensure(stub.client, replace(WANTED, region="us-east-1"), preview=False)


def test_no_answer() -> None:
    class Silent:
        def head_bucket(self, **_: str) -> None:
            raise EndpointConnectionError(endpoint_url="https://s3")

    with pytest.raises(ProblemError, match="S3 does not answer"):
        ensure(Silent(), WANTED, preview=False)
