"""Idle load balancers, NAT gateways and interface endpoints, by their metrics; and unattached resources.

Missing data has two meanings. Load balancers and PrivateLink publish no data without traffic. A NAT gateway publishes
zeros, so no data means "not enough data". Resources younger than the window are not judged.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-cloudwatch-metrics.html
https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway-cloudwatch.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from fargate_ops.cost.api import Scope, everything
from fargate_ops.cost.money import exact, usd
from fargate_ops.cost.recommendations import REMOVAL, Recommendation, tags_of

SOURCE = "CloudWatch"
#: The maximum number of metrics in one GetMetricData.
_BATCH = 500
_GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A resource that may be idle: it is if all ``metrics`` sum to zero. ``silent``: missing data counts as zero."""

    kind: str
    name: str
    arn: str
    created: datetime | None
    namespace: str
    metrics: tuple[str, ...]
    dimensions: Mapping[str, str]
    silent: bool
    use: str
    saving: Decimal | None
    command: str
    tags: Mapping[str, str]


def read_idle(scope: Scope, today: date, days: int) -> list[Recommendation]:
    """Recommend removal of resources that were idle for `days` complete days before `today`."""
    end = datetime.combine(today, time(), UTC)
    start = end - timedelta(days=days)
    found = _candidates(scope)
    old = [item for item in found if item.created is None or item.created <= start]
    if young := sorted(item.name for item in found if item not in old):
        scope.gap(
            "idle resources",
            "not_enough_data",
            f"not enough data: younger than {days} days: {', '.join(young[:5])}{' …' if len(young) > 5 else ''}",
            f"the same command in {days} days",
        )
    sums = _sums(scope, old, start, end)
    idle = []
    for item in old:
        values = [sums.get((item.arn, metric)) for metric in item.metrics]
        if any(value is not None and value > 0 for value in values):
            continue
        if scope.misses("CloudWatch metrics"):
            continue  # the gap is already reported, once for all
        if not item.silent and any(value is None for value in values):
            why = "not enough data: no metric in CloudWatch"
            scope.gap(f"use of {item.name}", "not_enough_data", why, "the same command tomorrow")
            continue
        idle.append(_idle(scope, item, days))
    return idle


def _idle(scope: Scope, item: _Candidate, days: int) -> Recommendation:
    return Recommendation(
        account=scope.account,
        region=scope.region,
        kind=item.kind,
        source=SOURCE,
        resource=item.name,
        arn=item.arn,
        problem=f"{item.use} in {days} days",
        command=item.command,
        aspect=REMOVAL,
        saving=item.saving,
        tags=item.tags,
    )


def _candidates(scope: Scope) -> list[_Candidate]:
    return [
        *scope.all_of("load balancers", _load_balancers(scope)),
        *scope.all_of("NAT gateways", _nat_gateways(scope)),
        *scope.all_of("VPC endpoints", _endpoints(scope)),
    ]


def _load_balancers(scope: Scope) -> Iterator[_Candidate]:
    families = {
        "application": ("AWS/ApplicationELB", "RequestCount", "no request"),
        "network": ("AWS/NetworkELB", "ProcessedBytes", "no byte"),
    }
    for item in everything(scope.client("elbv2"), "describe_load_balancers", "LoadBalancers"):
        if item["Type"] not in families:
            continue
        namespace, metric, use = families[item["Type"]]
        arn = item["LoadBalancerArn"]
        yield _Candidate(
            kind="idle-load-balancer",
            name=item["LoadBalancerName"],
            arn=arn,
            created=_aware(item.get("CreatedTime")),
            namespace=namespace,
            metrics=(metric,),
            dimensions={"LoadBalancer": arn.partition(":loadbalancer/")[2]},
            silent=True,
            use=f"{item['Type']} load balancer: {use}",
            saving=scope.prices.hourly("load_balancer_hour"),
            command=f"aws elbv2 delete-load-balancer --load-balancer-arn {arn}",
            tags={},
        )


def _nat_gateways(scope: Scope) -> Iterator[_Candidate]:
    there = [{"Name": "state", "Values": ["available"]}]
    for item in everything(scope.client("ec2"), "describe_nat_gateways", "NatGateways", Filters=there):
        name = item["NatGatewayId"]
        yield _Candidate(
            kind="idle-nat-gateway",
            name=name,
            arn=f"arn:aws:ec2:{scope.region}:{scope.account}:natgateway/{name}",
            created=_aware(item.get("CreateTime")),
            namespace="AWS/NATGateway",
            metrics=("BytesOutToDestination", "BytesInFromDestination"),
            dimensions={"NatGatewayId": name},
            silent=False,
            use="NAT gateway: no byte",
            saving=scope.prices.hourly("nat_gateway_hour"),
            command=f"aws ec2 delete-nat-gateway --nat-gateway-id {name}",
            tags=tags_of(item.get("Tags")),
        )


def _endpoints(scope: Scope) -> Iterator[_Candidate]:
    interfaces = [{"Name": "vpc-endpoint-type", "Values": ["Interface"]}]
    for item in everything(scope.client("ec2"), "describe_vpc_endpoints", "VpcEndpoints", Filters=interfaces):
        if item.get("VpcEndpointType") != "Interface":
            continue
        name, service = item["VpcEndpointId"], item["ServiceName"]
        yield _Candidate(
            kind="idle-endpoint",
            name=name,
            arn=f"arn:aws:ec2:{scope.region}:{scope.account}:vpc-endpoint/{name}",
            created=_aware(item.get("CreationTimestamp")),
            namespace="AWS/PrivateLinkEndpoints",
            metrics=("BytesProcessed",),
            dimensions={
                "Endpoint Type": "Interface",
                "Service Name": service,
                "VPC Endpoint Id": name,
                "VPC Id": item["VpcId"],
            },
            silent=True,
            use=f"interface endpoint of {service.rsplit('.', 1)[-1]}: no byte",
            saving=scope.prices.hourly("endpoint_zone_hour", max(len(item.get("SubnetIds", [])), 1)),
            command=f"aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {name}",
            tags=tags_of(item.get("Tags")),
        )


def _sums(
    scope: Scope, items: Sequence[_Candidate], start: datetime, end: datetime
) -> dict[tuple[str, str], Decimal | None]:
    """Return the sum of each metric of each item, by (arn, metric); None where CloudWatch has no data."""
    wanted = [(item, metric) for item in items for metric in item.metrics]
    sums: dict[tuple[str, str], Decimal | None] = {}
    for first in range(0, len(wanted), _BATCH):
        batch = wanted[first : first + _BATCH]
        queries = [
            {
                "Id": f"m{number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": item.namespace,
                        "MetricName": metric,
                        "Dimensions": [{"Name": key, "Value": value} for key, value in item.dimensions.items()],
                    },
                    "Period": 86400,
                    "Stat": "Sum",
                },
            }
            for number, (item, metric) in enumerate(batch)
        ]
        for result in scope.all_of("CloudWatch metrics", metric_data(scope, queries, start, end)):
            item, metric = batch[int(result["Id"][1:])]
            if result["Values"]:
                known = sums.get((item.arn, metric)) or Decimal(0)
                sums[item.arn, metric] = known + sum((exact(value) for value in result["Values"]), Decimal(0))
    return sums


def metric_data(scope: Scope, queries: Sequence[Any], start: datetime, end: datetime) -> Iterator[Any]:
    """Return the results of `queries`, which the meter counts."""
    scope.meter.metrics(len(queries))
    client = scope.client("cloudwatch")
    yield from everything(
        client, "get_metric_data", "MetricDataResults", MetricDataQueries=list(queries), StartTime=start, EndTime=end
    )


def read_unattached(scope: Scope) -> list[Recommendation]:
    """Recommend changes of unattached volumes and addresses, and of log groups that never expire."""
    return [
        *scope.all_of("unattached volumes", _unattached_volumes(scope)),
        *scope.all_of("addresses", _addresses(scope)),
        *scope.all_of("log groups", _log_groups(scope)),
    ]


def _unattached_volumes(scope: Scope) -> Iterator[Recommendation]:
    free = [{"Name": "status", "Values": ["available"]}]
    for item in everything(scope.client("ec2"), "describe_volumes", "Volumes", Filters=free):
        name, size = item["VolumeId"], int(item["Size"])
        yield Recommendation(
            account=scope.account,
            region=scope.region,
            kind="unattached-volume",
            source="EC2",
            resource=name,
            arn=f"arn:aws:ec2:{scope.region}:{scope.account}:volume/{name}",
            problem=f"{size} GiB of {item['VolumeType']} are not attached",
            command=f"aws ec2 create-snapshot --volume-id {name}; aws ec2 delete-volume --volume-id {name}",
            aspect=REMOVAL,
            saving=scope.prices.per_gb(f"volume_{item['VolumeType']}_gb", size),
            tags=tags_of(item.get("Tags")),
        )


def _addresses(scope: Scope) -> Iterator[Recommendation]:
    for item in scope.client("ec2").describe_addresses()["Addresses"]:  # has no pages
        if item.get("AssociationId") or item.get("InstanceId") or item.get("NetworkInterfaceId"):
            continue
        name = item["AllocationId"]
        yield Recommendation(
            account=scope.account,
            region=scope.region,
            kind="unattached-address",
            source="EC2",
            resource=f"{item['PublicIp']} ({name})",
            arn=f"arn:aws:ec2:{scope.region}:{scope.account}:elastic-ip/{name}",
            problem="the address is not attached",
            command=f"aws ec2 release-address --allocation-id {name}",
            aspect=REMOVAL,
            saving=scope.prices.hourly("address_hour"),
            tags=tags_of(item.get("Tags")),
        )


def _log_groups(scope: Scope) -> Iterator[Recommendation]:
    """Report what log groups cost today; the effect of a retention is unknown, so no saving counts."""
    for item in everything(scope.client("logs"), "describe_log_groups", "logGroups"):
        if item.get("retentionInDays"):
            continue
        name, stored = item["logGroupName"], exact(item.get("storedBytes", 0)) / _GIB
        cost = scope.prices.per_gb("logs_gb", stored)
        today = f", {usd(cost)} USD a month today and growing" if cost is not None else ""
        yield Recommendation(
            account=scope.account,
            region=scope.region,
            kind="log-group",
            source="CloudWatch Logs",
            resource=name,
            arn=str(item["arn"]).removesuffix(":*"),
            problem=f"never expires: {stored:.2f} GiB{today}",
            command=f"aws logs put-retention-policy --log-group-name {name} --retention-in-days 30",
            aspect="retention",
            saving=None,
        )


def _aware(moment: Any) -> datetime | None:
    """Return AWS's timestamp with its zone, UTC; some come without one."""
    if not isinstance(moment, datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
