"""Compute Optimizer: over-provisioned and idle resources, and resources without enough data.

https://docs.aws.amazon.com/compute-optimizer/latest/APIReference/API_Operations.html
An account that is not enrolled gets no recommendations, nor does a resource without enough metrics: both are gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fargate_ops.cost.api import ENROL, Scope, everything, pages
from fargate_ops.cost.money import exact
from fargate_ops.cost.recommendations import REMOVAL, Change, Recommendation, tags_of

SOURCE = "Compute Optimizer"
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One operation of Compute Optimizer, and the resources that it should cover."""

    what: str
    operation: str
    key: str
    recommendations: Callable[[Scope, Mapping[str, Any]], Iterable[Recommendation]]
    arn: str
    existing: Callable[[Scope], Iterable[str]]


def read_optimizer(scope: Scope) -> list[Recommendation]:
    client = scope.client("compute-optimizer")
    enrolment = scope.one("Compute Optimizer", client.get_enrollment_status)
    if enrolment is None:
        return []
    if enrolment["status"] != "Active":
        reason = enrolment.get("statusReason") or enrolment["status"]
        scope.gap("Compute Optimizer", "not_enrolled", f"the account is not enrolled: {reason}", ENROL)
        return []
    found: list[Recommendation] = []
    for kind in KINDS:
        found += _recommended(scope, kind, getattr(client, kind.operation))
    idle = (
        item
        for page in _pages(scope, "idle resources", client.get_idle_recommendations)
        for item in page.get("idleRecommendations", [])
    )
    return found + scope.all_of(f"{SOURCE}: idle resources", (_idle(scope, item) for item in idle))


def _recommended(scope: Scope, kind: _Kind, call: Callable[..., dict[str, Any]]) -> list[Recommendation]:
    what = f"{SOURCE}: {kind.what}"
    judged: set[str] = set()

    def items() -> Iterator[Mapping[str, Any]]:
        for page in _pages(scope, kind.what, call):
            yield from page.get(kind.key, [])

    def recommendations() -> Iterator[Recommendation]:
        for item in items():
            # "Unavailable": the function has too few metrics.
            if str(item.get("finding", "")).lower() == "unavailable":
                continue
            judged.add(str(item[kind.arn]))
            yield from kind.recommendations(scope, item)

    found = scope.all_of(what, recommendations())
    if not scope.misses(what):
        names = {arn.rsplit(":", 1)[-1] for arn in judged}
        there = scope.all_of(f"list of {kind.what}", kind.existing(scope))
        missing = sorted(arn for arn in there if arn not in judged and arn.rsplit(":", 1)[-1] not in names)
        if missing:
            shown = ", ".join(_name(arn) for arn in missing[:_NAMED])
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            scope.gap(
                what,
                "not_enough_data",
                f"not enough data: {len(missing)} of {len(there)} have no recommendation yet: {shown}{more}",
                "the same command after they have run for 14 days",
            )
    return found


def _pages(scope: Scope, what: str, call: Callable[..., dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for page in pages(call, "nextToken"):
        for error in page.get("errors", []):
            scope.gap(f"{SOURCE}: {what}", "failed", f"{error.get('identifier')}: {error.get('message')}")
        yield page


def _best(options: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the option that Compute Optimizer ranks first."""
    return min(options, key=lambda option: int(option.get("rank", 1)), default=None)


def _saving(option: Mapping[str, Any]) -> Decimal | None:
    """Return the saving in USD a month, after the account's discounts if Compute Optimizer knows them."""
    opportunity = option.get("savingsOpportunityAfterDiscounts") or option.get("savingsOpportunity") or {}
    amount = opportunity.get("estimatedMonthlySavings") or {}
    return exact(amount["value"]) if amount.get("currency") == "USD" else None


def _recommendation(
    scope: Scope,
    item: Mapping[str, Any],
    option: Mapping[str, Any],
    *,
    kind: str,
    arn: str,
    problem: str,
    changes: Iterable[Change],
    command: str,
    aspect: str,
) -> Iterator[Recommendation]:
    """Yield a recommendation, unless it changes nothing or saves nothing, such as a larger size."""
    differ = tuple(change for change in changes if change.before != change.after)
    saving = _saving(option)
    if not differ or (saving is not None and saving <= 0):
        return
    yield Recommendation(
        account=scope.account,
        region=scope.region,
        kind=kind,
        source=SOURCE,
        resource=_name(arn),
        arn=arn,
        problem=problem,
        command=command,
        aspect=aspect,
        saving=saving,
        changes=differ,
        tags=tags_of(item.get("tags")),
    )


def _name(arn: str) -> str:
    return arn.split(":", 5)[-1].split("/", 1)[-1].split(":")[-1] if arn.startswith("arn:") else arn


def _instance(scope: Scope, item: Mapping[str, Any]) -> Iterator[Recommendation]:
    option = _best(item.get("recommendationOptions", []))
    if option is None:
        return
    name, wanted = _name(item["instanceArn"]), str(option["instanceType"])
    yield from _recommendation(
        scope,
        item,
        option,
        kind="ec2-size",
        arn=item["instanceArn"],
        problem="EC2 instance is over-provisioned",
        changes=[Change(name="instance_type", before=str(item["currentInstanceType"]), after=wanted)],
        command=f"aws ec2 modify-instance-attribute --instance-id {name} --instance-type {wanted} (stopped)",
        aspect="size",
    )


def _volume(scope: Scope, item: Mapping[str, Any]) -> Iterator[Recommendation]:
    option = _best(item.get("volumeRecommendationOptions", []))
    if option is None:
        return
    now, wanted, name = item["currentConfiguration"], option["configuration"], _name(item["volumeArn"])
    names = {"volumeType": "type", "volumeSize": "size", "volumeBaselineIOPS": "iops"}
    changes = [
        Change(name=label, before=str(now[key]), after=str(wanted[key]))
        for key, label in names.items()
        if key in now and key in wanted
    ]
    yield from _recommendation(
        scope,
        item,
        option,
        kind="ebs-volume",
        arn=item["volumeArn"],
        problem="EBS volume costs more than it needs",
        changes=changes,
        command=f"aws ec2 modify-volume --volume-id {name} --volume-type {wanted.get('volumeType', '')}".rstrip(),
        aspect="volume type",
    )


def _function(scope: Scope, item: Mapping[str, Any]) -> Iterator[Recommendation]:
    option = _best(item.get("memorySizeRecommendationOptions", []))
    if option is None:
        return
    arn, wanted = _unversioned(str(item["functionArn"])), str(option["memorySize"])
    yield from _recommendation(
        scope,
        item,
        option,
        kind="lambda-memory",
        arn=arn,
        problem="Lambda function has more memory than it uses",
        changes=[Change(name="memory_size", before=str(item["currentMemorySize"]), after=wanted)],
        command=f"aws lambda update-function-configuration --function-name {_name(arn)} --memory-size {wanted}",
        aspect="size",
    )


def _unversioned(arn: str) -> str:
    """``arn:aws:lambda:…:function:name:$LATEST`` → ``arn:aws:lambda:…:function:name``."""
    return ":".join(arn.split(":")[:7])


def _service(scope: Scope, item: Mapping[str, Any]) -> Iterator[Recommendation]:
    option = _best(item.get("serviceRecommendationOptions", []))
    if option is None:
        return
    now, arn = item["currentServiceConfiguration"], str(item["serviceArn"])
    yield from _recommendation(
        scope,
        item,
        option,
        kind="fargate-size",
        arn=arn,
        problem="ECS service on Fargate is over-provisioned",
        changes=[
            Change(name=key, before=str(now[key]), after=str(option[key]))
            for key in ("cpu", "memory")
            if key in now and key in option
        ],
        command=f"register {_name(arn)}'s task definition with cpu {option.get('cpu')}, memory {option.get('memory')}",
        aspect="size",
    )


def _database(scope: Scope, item: Mapping[str, Any]) -> Iterator[Recommendation]:
    arn = str(item["resourceArn"])
    name = _name(arn)
    option = _best(item.get("instanceRecommendationOptions", []))
    if option is not None:
        wanted = str(option["dbInstanceClass"])
        yield from _recommendation(
            scope,
            item,
            option,
            kind="rds-class",
            arn=arn,
            problem="RDS instance is over-provisioned",
            changes=[Change(name="instance_class", before=str(item["currentDBInstanceClass"]), after=wanted)],
            command=f"aws rds modify-db-instance --db-instance-identifier {name} --db-instance-class {wanted}",
            aspect="size",
        )
    storage = _best(item.get("storageRecommendationOptions", []))
    if storage is not None:
        now, then = item.get("currentStorageConfiguration", {}), storage["storageConfiguration"]
        wanted = str(then.get("storageType", ""))
        yield from _recommendation(
            scope,
            item,
            storage,
            kind="rds-storage",
            arn=arn,
            problem="RDS storage costs more than it needs",
            changes=[Change(name="storage_type", before=str(now.get("storageType", "")), after=wanted)],
            command=f"aws rds modify-db-instance --db-instance-identifier {name} --storage-type {wanted}",
            aspect="storage",
        )


_REMOVE = {
    "EC2Instance": "aws ec2 terminate-instances --instance-ids {name}",
    "EBSVolume": "aws ec2 delete-volume --volume-id {name}",
    "NatGateway": "aws ec2 delete-nat-gateway --nat-gateway-id {name}",
    "RDSDBInstance": "aws rds delete-db-instance --db-instance-identifier {name}",
    "ECSService": "aws ecs delete-service --service {arn}",
    "AutoScalingGroup": "aws autoscaling delete-auto-scaling-group --auto-scaling-group-name {name}",
}


def _idle(scope: Scope, item: Mapping[str, Any]) -> Recommendation:
    arn, kind = str(item["resourceArn"]), str(item["resourceType"])
    name = str(item.get("resourceId") or _name(arn))
    return Recommendation(
        account=scope.account,
        region=scope.region,
        kind="idle",
        source=SOURCE,
        resource=name,
        arn=arn,
        problem=f"{kind} is {str(item['finding']).lower()}: {item.get('findingDescription') or 'no use was recorded'}",
        command=_REMOVE.get(kind, "remove {arn}").format(name=name, arn=arn),
        aspect=REMOVAL,
        saving=_saving(item),
        tags=tags_of(item.get("tags")),
    )


def _instances(scope: Scope) -> Iterator[str]:
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    for reservation in everything(scope.client("ec2"), "describe_instances", "Reservations", Filters=running):
        for instance in reservation["Instances"]:
            yield f"arn:aws:ec2:{scope.region}:{scope.account}:instance/{instance['InstanceId']}"


def _volumes(scope: Scope) -> Iterator[str]:
    attached = [{"Name": "status", "Values": ["in-use"]}]
    for volume in everything(scope.client("ec2"), "describe_volumes", "Volumes", Filters=attached):
        yield f"arn:aws:ec2:{scope.region}:{scope.account}:volume/{volume['VolumeId']}"


def _functions(scope: Scope) -> Iterator[str]:
    for function in everything(scope.client("lambda"), "list_functions", "Functions"):
        yield function["FunctionArn"]


def _services(scope: Scope) -> Iterator[str]:
    client = scope.client("ecs")
    for cluster in everything(client, "list_clusters", "clusterArns"):
        yield from everything(client, "list_services", "serviceArns", cluster=cluster)


def _databases(scope: Scope) -> Iterator[str]:
    for instance in everything(scope.client("rds"), "describe_db_instances", "DBInstances"):
        yield instance["DBInstanceArn"]


KINDS = (
    _Kind(
        what="EC2 instances",
        operation="get_ec2_instance_recommendations",
        key="instanceRecommendations",
        recommendations=_instance,
        arn="instanceArn",
        existing=_instances,
    ),
    _Kind(
        what="EBS volumes",
        operation="get_ebs_volume_recommendations",
        key="volumeRecommendations",
        recommendations=_volume,
        arn="volumeArn",
        existing=_volumes,
    ),
    _Kind(
        what="Lambda functions",
        operation="get_lambda_function_recommendations",
        key="lambdaFunctionRecommendations",
        recommendations=_function,
        arn="functionArn",
        existing=_functions,
    ),
    _Kind(
        what="ECS services on Fargate",
        operation="get_ecs_service_recommendations",
        key="ecsServiceRecommendations",
        recommendations=_service,
        arn="serviceArn",
        existing=_services,
    ),
    _Kind(
        what="RDS instances",
        operation="get_rds_database_recommendations",
        key="rdsDBRecommendations",
        recommendations=_database,
        arn="resourceArn",
        existing=_databases,
    ),
)
