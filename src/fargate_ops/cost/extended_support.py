"""EKS clusters and RDS instances on extended support, or soon to be, and the surcharge.

Dates come from AWS (DescribeClusterVersions, DescribeDBMajorEngineVersions), vCPUs from EC2's instance types. RDS also
charges for the standby, from the day after the end of standard support, and more from the third year on:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/extended-support-charges.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fargate_ops.cost.api import Scope, everything
from fargate_ops.cost.money import usd
from fargate_ops.cost.recommendations import Recommendation, tags_of

_EXTENDED = "open-source-rds-extended-support"
_STANDARD = "open-source-rds-standard-support"
_YEAR_3 = timedelta(days=2 * 365)


@dataclass(frozen=True, kw_only=True)
class _Versioned:
    """A cluster or an instance, and when its version leaves standard support."""

    kind: str
    source: str
    name: str
    arn: str
    version: str
    until: date
    surcharge: Decimal | None
    command: str
    tags: Mapping[str, str]


def read_extended_support(scope: Scope, today: date, near_days: int) -> list[Recommendation]:
    """Report versions from `near_days` days before the end of their standard support."""
    horizon = today + timedelta(days=near_days)
    found: list[_Versioned] = []
    if clusters := scope.all_of("EKS clusters", _clusters(scope)):
        found += scope.all_of("support of EKS versions", _of_clusters(scope, clusters, horizon))
    databases = everything(scope.client("rds"), "describe_db_instances", "DBInstances")
    if instances := scope.all_of("RDS instances", databases):
        found += scope.all_of("support of RDS versions", _of_databases(scope, instances, today, horizon))
    return [_recommendation(scope, item, today) for item in found]


def _recommendation(scope: Scope, item: _Versioned, today: date) -> Recommendation:
    is_charged = item.until < today
    price = "" if item.surcharge is None else f"{usd(item.surcharge)} USD a month"
    if is_charged:
        problem = f"version {item.version} is on extended support since {item.until}: {price or 'a surcharge'} extra"
    else:
        cost = price or "a surcharge"
        problem = f"version {item.version} leaves standard support on {item.until}: {cost} from then on"
    return Recommendation(
        account=scope.account,
        region=scope.region,
        kind=item.kind,
        source=item.source,
        resource=item.name,
        arn=item.arn,
        problem=problem,
        command=item.command,
        aspect="version",
        saving=item.surcharge if is_charged else None,
        tags=item.tags,
    )


def _clusters(scope: Scope) -> Iterator[Any]:
    client = scope.client("eks")
    for name in everything(client, "list_clusters", "clusters"):
        yield client.describe_cluster(name=name)["cluster"]


def _of_clusters(scope: Scope, clusters: list[Any], horizon: date) -> Iterator[_Versioned]:
    versions = {
        item["clusterVersion"]: _day(item["endOfStandardSupportDate"])
        for item in everything(scope.client("eks"), "describe_cluster_versions", "clusterVersions", includeAll=True)
        if item.get("endOfStandardSupportDate")
    }
    for cluster in clusters:
        name, version = cluster["name"], cluster["version"]
        # STANDARD: EKS upgrades it at the end of standard support, without a charge.
        if cluster.get("upgradePolicy", {}).get("supportType") == "STANDARD":
            continue
        if version not in versions:
            scope.gap(f"support of the EKS cluster {name}", "missing", f"AWS has no date for version {version}")
            continue
        if versions[version] > horizon:
            continue
        yield _Versioned(
            kind="eks-support",
            source="EKS",
            name=name,
            arn=cluster["arn"],
            version=version,
            until=versions[version],
            surcharge=scope.prices.hourly("eks_extended_hour"),
            command=f"aws eks update-cluster-version --name {name} --kubernetes-version <next>",
            tags=cluster.get("tags") or {},
        )


def _of_databases(scope: Scope, instances: list[Any], today: date, horizon: date) -> Iterator[_Versioned]:
    lifecycles: dict[tuple[str, str], dict[str, Any]] = {}
    for item in everything(scope.client("rds"), "describe_db_major_engine_versions", "DBMajorEngineVersions"):
        lifecycles[item["Engine"], item["MajorEngineVersion"]] = {
            life["LifecycleSupportName"]: life for life in item.get("SupportedEngineLifecycles", [])
        }
    for instance in instances:
        # Disabled: RDS upgrades it at the end of standard support, without a charge.
        if instance.get("EngineLifecycleSupport", _EXTENDED) != _EXTENDED:
            continue
        lifecycle = _lifecycle(lifecycles, instance["Engine"], instance["EngineVersion"])
        if _STANDARD not in lifecycle:
            continue  # an engine without extended support, such as Oracle
        until = _day(lifecycle[_STANDARD]["LifecycleSupportEndDate"])
        if until > horizon:
            continue
        name = instance["DBInstanceIdentifier"]
        extended = lifecycle.get(_EXTENDED, {}).get("LifecycleSupportStartDate")
        is_third_year = extended is not None and _day(extended) + _YEAR_3 <= today
        yield _Versioned(
            kind="rds-support",
            source="RDS",
            name=name,
            arn=instance["DBInstanceArn"],
            version=f"{instance['Engine']} {instance['EngineVersion']}",
            until=until,
            surcharge=_surcharge(scope, instance, is_third_year=is_third_year),
            command=f"aws rds modify-db-instance --db-instance-identifier {name} --engine-version <next> "
            "--allow-major-version-upgrade",
            tags=tags_of(instance.get("TagList")),
        )


def _lifecycle(known: Mapping[tuple[str, str], dict[str, Any]], engine: str, version: str) -> dict[str, Any]:
    """Return the lifecycle of the longest major version that `version` begins with: 13 for 13.14, 8.0 for 8.0.35."""
    fits = [major for name, major in known if name == engine and (version == major or version.startswith(f"{major}."))]
    return known[engine, max(fits, key=len)] if fits else {}


def _surcharge(scope: Scope, instance: Mapping[str, Any], *, is_third_year: bool) -> Decimal | None:
    kind = str(instance["DBInstanceClass"]).removeprefix("db.")
    answer = scope.one(
        f"vCPUs of {instance['DBInstanceClass']}",
        lambda: scope.client("ec2").describe_instance_types(InstanceTypes=[kind])["InstanceTypes"],
    )
    if not answer:
        return None
    cpus = int(answer[0]["VCpuInfo"]["DefaultVCpus"]) * (2 if instance.get("MultiAZ") else 1)
    return scope.prices.hourly("rds_extended_year_3_vcpu_hour" if is_third_year else "rds_extended_vcpu_hour", cpus)


def _day(moment: datetime | date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment
