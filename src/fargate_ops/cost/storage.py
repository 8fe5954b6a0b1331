"""Recommendations for gp2 volumes and for buckets without a lifecycle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from botocore.exceptions import ClientError

from fargate_ops.cost.api import Scope, everything
from fargate_ops.cost.idle import metric_data
from fargate_ops.cost.money import exact, usd
from fargate_ops.cost.recommendations import Change, Recommendation, tags_of

#: The storage metric is published once a day, with a delay: https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
_METRIC_DAYS = 3
_GIB = 1024**3


def read_gp2(scope: Scope) -> list[Recommendation]:
    """Recommend gp3 for every gp2 volume: the same baseline at a lower price, changed without interruption."""
    return scope.all_of("gp2 volumes", _gp2(scope))


def _gp2(scope: Scope) -> Iterator[Recommendation]:
    older, newer = (scope.prices.per_gb(f"volume_{kind}_gb", 1) for kind in ("gp2", "gp3"))
    filters = [{"Name": "volume-type", "Values": ["gp2"]}]
    for item in everything(scope.client("ec2"), "describe_volumes", "Volumes", Filters=filters):
        name, size = item["VolumeId"], int(item["Size"])
        yield Recommendation(
            account=scope.account,
            region=scope.region,
            kind="gp2-volume",
            source="EC2",
            resource=name,
            arn=f"arn:aws:ec2:{scope.region}:{scope.account}:volume/{name}",
            problem=f"{size} GiB are still gp2",
            command=f"aws ec2 modify-volume --volume-id {name} --volume-type gp3",
            aspect="volume type",
            saving=None if older is None or newer is None else (older - newer) * size,
            changes=(Change(name="type", before="gp2", after="gp3"),),
            tags=tags_of(item.get("Tags")),
        )


def read_buckets(scope: Scope, today: date) -> list[Recommendation]:
    """Recommend a lifecycle for the region's buckets without one. Object ages are unknown: no saving counts."""
    return scope.all_of("buckets", _buckets(scope, today))


def _buckets(scope: Scope, today: date) -> Iterator[Recommendation]:
    client = scope.client("s3")
    for bucket in everything(client, "list_buckets", "Buckets", BucketRegion=scope.region):
        if bucket.get("BucketRegion", scope.region) != scope.region:
            continue
        name = bucket["Name"]
        # An error on one bucket must not hide the following ones.
        has_one = scope.one(f"lifecycle of the bucket {name}", lambda name=name: _has_lifecycle(client, name))  # type: ignore[misc]
        if has_one is not False:
            continue
        stored = _stored(scope, name, today)
        yield Recommendation(
            account=scope.account,
            region=scope.region,
            kind="bucket-lifecycle",
            source="S3",
            resource=name,
            arn=f"arn:aws:s3:::{name}",
            problem=f"the bucket has no lifecycle{_at_most(scope, stored)}",
            command=f"aws s3api put-bucket-lifecycle-configuration --bucket {name} (STANDARD_IA after 30 days)",
            aspect="lifecycle",
            saving=None,
        )


def _has_lifecycle(client: object, name: str) -> bool:
    try:
        client.get_bucket_lifecycle_configuration(Bucket=name)  # type: ignore[attr-defined]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
            return False
        raise
    return True


def _stored(scope: Scope, name: str, today: date) -> Decimal | None:
    """Return the GiB in storage class STANDARD, by the newest CloudWatch value."""
    end = datetime.combine(today, time(), UTC)
    dimensions = {"BucketName": name, "StorageType": "StandardStorage"}
    query = {
        "Id": "stored",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/S3",
                "MetricName": "BucketSizeBytes",
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": 86400,
            "Stat": "Average",
        },
    }
    results = scope.all_of(
        f"size of the bucket {name}", metric_data(scope, [query], end - timedelta(days=_METRIC_DAYS), end)
    )
    values = [value for result in results for value in result["Values"]]  # newest first
    return exact(values[0]) / _GIB if values else None


def _at_most(scope: Scope, stored: Decimal | None) -> str:
    standard, infrequent = (scope.prices.per_gb(name, stored or 0) for name in ("s3_standard_gb", "s3_infrequent_gb"))
    if stored is None or standard is None or infrequent is None:
        return ""
    less = usd(standard - infrequent)
    return f": {stored:.2f} GiB in STANDARD; in STANDARD_IA after 30 days at most {less} USD a month less"
