"""Create and configure a bucket that must exist before Terraform runs.

It holds the states, the ledger and the locks, or the deliveries of AWS Config. It is versioned, encrypted and private,
and refuses requests without TLS. Only settings that differ are written; policy statements, lifecycle rules and tags of
others stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core.problem import ProblemError

_TLS_STATEMENT = "DenyPlainHttp"
_LOOK_STATEMENT = "ServiceLooks"
_WRITE_STATEMENT = "ServiceWrites"
_KEEP_RULE = "keep-noncurrent-versions"
_INFREQUENT_RULE = "infrequent-access"
_LOCKS_RULE = "forget-old-locks"
_LOCKS_DAYS = 1
_INFREQUENT_DAYS = 30  # requirement H4; S3 leaves objects below 128 KiB where they are
_MULTIPART_DAYS = 7


@dataclass(frozen=True)
class Bucket:
    """The required settings of a bucket.

    `kms_key` is empty for S3's own key. `locks_prefix` is the prefix of short-lived locks, empty if there are none.
    `writer` is the AWS service that may write into the bucket, or empty.
    """

    name: str
    region: str
    account_id: str
    kms_key: str
    noncurrent_days: int
    noncurrent_versions: int
    locks_prefix: str
    tags: Mapping[str, str]
    writer: str = ""


@dataclass(frozen=True)
class _Setting:
    """One setting: how to `read` its present value, derive the `wanted` one from that, and `write` it."""

    name: str
    read: Callable[[], Any]
    wanted: Callable[[Any], Any]
    write: Callable[[Any], Any]


def ensure(s3: Any, bucket: Bucket, *, preview: bool) -> list[str]:
    """Create or correct the bucket. Return what was changed (in `preview`: would be); empty if nothing was.

    Raises ProblemError if the name belongs to another account, or if permissions are missing.
    """
    where = f"s3://{bucket.name}"
    try:
        changes = []
        if not _exists(s3, bucket):
            changes.append("bucket")
            if preview:
                return changes
            _create(s3, bucket)
        for setting in _settings(s3, bucket):
            present = setting.read()
            wanted = setting.wanted(present)
            if wanted != present:
                changes.append(setting.name)
                if not preview:
                    setting.write(wanted)
        return changes
    except ClientError as error:
        raise ProblemError(
            f"S3 refuses {error.operation_name}: {error.response['Error'].get('Message') or error}",
            where,
            "run bootstrap with credentials that may administer this bucket",
        ) from error
    except BotoCoreError as error:
        raise ProblemError(f"S3 does not answer: {error}", where, "check the network and the region") from error


def _exists(s3: Any, bucket: Bucket) -> bool:
    try:
        s3.head_bucket(Bucket=bucket.name, ExpectedBucketOwner=bucket.account_id)
    except ClientError as error:
        # A HEAD has no body, so there is a status and no message.
        match error.response["ResponseMetadata"]["HTTPStatusCode"]:
            case 404:
                return False
            case 403:
                raise _not_ours(bucket) from error
            case 301 | 400:
                raise ProblemError(
                    f"The bucket {bucket.name} is in another region than {bucket.region}.",
                    "aws_region and state_bucket (inventory)",
                    f"aws s3api get-bucket-location --bucket {bucket.name}; then correct one of the two",
                ) from error
        raise
    return True


def _create(s3: Any, bucket: Bucket) -> None:
    # us-east-1 is S3's default, and S3 refuses it as a location.
    location = {"CreateBucketConfiguration": {"LocationConstraint": bucket.region}}
    try:
        s3.create_bucket(Bucket=bucket.name, **({} if bucket.region == "us-east-1" else location))
        s3.get_waiter("bucket_exists").wait(Bucket=bucket.name)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "BucketAlreadyOwnedByYou":  # another run was faster
                return
            case "BucketAlreadyExists":
                raise _not_ours(bucket) from error
        raise


def _not_ours(bucket: Bucket) -> ProblemError:
    return ProblemError(
        f"The bucket {bucket.name} belongs to another account than {bucket.account_id}, or may not be seen.",
        "state_bucket (inventory)",
        "choose another name for state_bucket, or use credentials that may administer the bucket",
    )


def _settings(s3: Any, bucket: Bucket) -> list[_Setting]:
    here = {"Bucket": bucket.name, "ExpectedBucketOwner": bucket.account_id}
    return [
        _Setting(
            "public access block",
            lambda: _read(
                s3.get_public_access_block,
                here,
                "PublicAccessBlockConfiguration",
                "NoSuchPublicAccessBlockConfiguration",
            ),
            lambda _: dict.fromkeys(
                ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
            ),
            lambda wanted: s3.put_public_access_block(**here, PublicAccessBlockConfiguration=wanted),
        ),
        _Setting(
            "object ownership",  # no ACLs: the bucket's owner owns every object
            lambda: _read(
                s3.get_bucket_ownership_controls, here, "OwnershipControls", "OwnershipControlsNotFoundError"
            ),
            lambda _: {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            lambda wanted: s3.put_bucket_ownership_controls(**here, OwnershipControls=wanted),
        ),
        _Setting(
            "versioning",
            lambda: s3.get_bucket_versioning(**here).get("Status"),
            lambda _: "Enabled",
            lambda wanted: s3.put_bucket_versioning(**here, VersioningConfiguration={"Status": wanted}),
        ),
        _Setting(
            "encryption",
            lambda: _present_encryption(s3, here),
            lambda _: _encryption(bucket.kms_key),
            lambda wanted: s3.put_bucket_encryption(
                **here,
                ServerSideEncryptionConfiguration={
                    # A bucket key spares a request to KMS for each object.
                    "Rules": [{"ApplyServerSideEncryptionByDefault": wanted, "BucketKeyEnabled": bool(bucket.kms_key)}]
                },
            ),
        ),
        _Setting(
            "policy",
            lambda: json.loads(_read(s3.get_bucket_policy, here, "Policy", "NoSuchBucketPolicy") or "null"),
            lambda present: _policy(present, bucket),
            lambda wanted: s3.put_bucket_policy(**here, Policy=json.dumps(wanted)),
        ),
        _Setting(
            "lifecycle",
            lambda: _read(s3.get_bucket_lifecycle_configuration, here, "Rules", "NoSuchLifecycleConfiguration"),
            lambda present: _lifecycle(present or [], bucket),
            lambda wanted: s3.put_bucket_lifecycle_configuration(**here, LifecycleConfiguration={"Rules": wanted}),
        ),
        _Setting(
            "tags",
            lambda: {
                tag["Key"]: tag["Value"] for tag in _read(s3.get_bucket_tagging, here, "TagSet", "NoSuchTagSet") or []
            },
            lambda present: present | dict(bucket.tags),
            lambda wanted: s3.put_bucket_tagging(
                **here, Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in sorted(wanted.items())]}
            ),
        ),
    ]


def _read(call: Callable[..., Any], here: Mapping[str, str], key: str, absent: str) -> Any:
    """Return the part `key` of an answer; None if S3 returns the error `absent`, which means that it was never set."""
    try:
        return call(**here).get(key)
    except ClientError as error:
        if error.response["Error"]["Code"] == absent:
            return None
        raise


def _present_encryption(s3: Any, here: Mapping[str, str]) -> dict[str, str] | None:
    """Return the algorithm and the key of the default encryption."""
    found = _read(
        s3.get_bucket_encryption,
        here,
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    )
    return dict(found["Rules"][0]["ApplyServerSideEncryptionByDefault"]) if found else None


def _encryption(kms_key: str) -> dict[str, str]:
    return {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key} if kms_key else {"SSEAlgorithm": "AES256"}


def _policy(present: dict[str, Any] | None, bucket: Bucket) -> dict[str, Any]:
    """Return the policy with our statements: it refuses requests without TLS, as AWS recommends. Others stay."""
    arn = f"arn:aws:s3:::{bucket.name}"
    ours: list[dict[str, Any]] = [
        {
            "Sid": _TLS_STATEMENT,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if bucket.writer:
        # https://docs.aws.amazon.com/config/latest/developerguide/s3-bucket-policy.html
        account = {"aws:SourceAccount": bucket.account_id}
        service = {"Effect": "Allow", "Principal": {"Service": bucket.writer}}
        ours += [
            service
            | {
                "Sid": _LOOK_STATEMENT,
                "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
                "Resource": arn,
                "Condition": {"StringEquals": account},
            },
            service
            | {
                "Sid": _WRITE_STATEMENT,
                "Action": "s3:PutObject",
                "Resource": f"{arn}/AWSLogs/{bucket.account_id}/*",
                "Condition": {"StringEquals": account | {"s3:x-amz-acl": "bucket-owner-full-control"}},
            },
        ]
    present = present or {"Version": "2012-10-17", "Statement": []}
    if all(statement in present["Statement"] for statement in ours):
        return present
    names = {statement["Sid"] for statement in ours}
    others = [statement for statement in present["Statement"] if statement.get("Sid") not in names]
    return present | {"Statement": [*others, *ours]}


def _lifecycle(present: list[dict[str, Any]], bucket: Bucket) -> list[dict[str, Any]]:
    """Return the lifecycle rules. Old versions expire late, the newest of them never, those of a lock after a day."""
    # S3 accepts 1 to 100; for none, the field has to be absent.
    newest = {"NewerNoncurrentVersions": bucket.noncurrent_versions} if bucket.noncurrent_versions else {}
    ours: list[dict[str, Any]] = [
        {
            "ID": _KEEP_RULE,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": bucket.noncurrent_days, **newest},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _MULTIPART_DAYS},
        },
        {
            "ID": _INFREQUENT_RULE,
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Transitions": [{"Days": _INFREQUENT_DAYS, "StorageClass": "STANDARD_IA"}],
        },
    ]
    if bucket.locks_prefix:
        ours.append(
            {
                # Renewed every few seconds while a playbook runs: each renewal leaves a version behind.
                "ID": _LOCKS_RULE,
                "Status": "Enabled",
                "Filter": {"Prefix": bucket.locks_prefix},
                "NoncurrentVersionExpiration": {"NoncurrentDays": _LOCKS_DAYS},
            }
        )
    # S3 returns the filter "everything" in either of two forms.
    if all(rule in [found | {"Filter": found.get("Filter") or {"Prefix": ""}} for found in present] for rule in ours):
        return present
    return [rule for rule in present if rule.get("ID") not in (_KEEP_RULE, _INFREQUENT_RULE, _LOCKS_RULE)] + ours
