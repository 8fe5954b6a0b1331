"""What a Terraform plan and a release change in a month's cost, from the table of `prices`.

Only what is billed by the hour, the month or the provisioned gigabyte has a price. A resource of a type that is billed
by use is named, and so is one whose type or size has no price here: neither counts as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fargate_ops.cost.money import usd
from fargate_ops.cost.prices import PRICES_OF, Prices

Values = Mapping[str, Any]
Price = Callable[[Values, Prices], Decimal | None]

#: Types without a charge of their own. The tasks of a service are priced from its task definition (`Tasks`).
FREE = frozenset(
    {
        "aws_acm_certificate",
        "aws_acm_certificate_validation",
        "aws_appautoscaling_policy",
        "aws_appautoscaling_scheduled_action",
        "aws_appautoscaling_target",
        "aws_cloudwatch_event_rule",
        "aws_cloudwatch_event_target",
        "aws_cloudwatch_log_resource_policy",
        "aws_cloudwatch_log_subscription_filter",
        "aws_db_parameter_group",
        "aws_db_proxy_default_target_group",
        "aws_db_proxy_target",
        "aws_db_subnet_group",
        "aws_default_security_group",
        "aws_ecs_service",
        "aws_ecs_task_definition",
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_internet_gateway",
        "aws_lambda_function_event_invoke_config",
        "aws_lambda_permission",
        "aws_lb_listener",
        "aws_lb_listener_rule",
        "aws_lb_target_group",
        "aws_route",
        "aws_route53_record",
        "aws_route_table",
        "aws_route_table_association",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_security_group",
        "aws_sns_topic_policy",
        "aws_sns_topic_subscription",
        "aws_subnet",
        "aws_vpc",
        "aws_vpc_security_group_egress_rule",
        "aws_vpc_security_group_ingress_rule",
    }
)

#: Types that are billed by use: requests, messages, bytes, metrics. The first three dashboards of an account are free.
BY_USE = frozenset(
    {
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_log_group",
        "aws_dynamodb_table",
        "aws_ecs_cluster",
        "aws_flow_log",
        "aws_lambda_function",
        "aws_s3_bucket",
        "aws_sns_topic",
        "aws_sqs_queue",
    }
)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource that a plan changes.

    ``before`` and ``after`` are its arguments, without those that only the apply determines; None: it does not exist.
    """

    address: str
    type: str
    before: Values | None
    after: Values | None


@dataclass(frozen=True)
class Tasks:
    """The tasks of a service, at the minimum number that auto scaling keeps: CPU units and MiB of each."""

    number: int
    cpu: int
    memory: int
    architecture: str

    def usd(self, prices: Prices) -> Decimal | None:
        name = f"fargate_{self.architecture.lower()}"
        cpu, memory = prices.hourly(f"{name}_vcpu_hour"), prices.hourly(f"{name}_gb_hour")
        if cpu is None or memory is None:
            return None
        return self.number * (cpu * self.cpu + memory * self.memory) / 1024

    def __str__(self) -> str:
        return f"{self.number} x {Decimal(self.cpu) / 1024} vCPU, {Decimal(self.memory) / 1024} GB"


@dataclass(frozen=True)
class Item:
    """A change of a month's cost. ``change`` is None if it is not known, for the reason ``why``."""

    name: str
    change: Decimal | None
    why: str = ""

    def to_fact(self) -> dict[str, str]:
        return {"name": self.name, "change": "" if self.change is None else str(self.change), "why": self.why}

    @classmethod
    def from_fact(cls, fact: Mapping[str, str]) -> Item:
        return cls(fact["name"], Decimal(fact["change"]) if fact["change"] else None, fact["why"])


def items(resources: Iterable[Resource], prices: Prices) -> list[Item]:
    """Return the changes of a month's cost; resources whose cost stays the same are left out."""
    found = [item for resource in resources for item in _items(resource, prices)]
    return [item for item in found if item.change != 0]


def of_tasks(before: Tasks | None, after: Tasks | None, prices: Prices) -> list[Item]:
    """Return the change of the cost of a service's tasks. None: no tasks."""
    if before == after:
        return []
    name = f"tasks, at their minimum: {before or 'none'} -> {after or 'none'}"
    was, would_be = (tasks.usd(prices) if tasks else Decimal() for tasks in (before, after))
    return [Item(name, None if was is None or would_be is None else would_be - was, "no price of its size")]


def text(found: Sequence[Item], region: str) -> list[str]:
    """Return the lines for the screen: each change, the sum, and what has no price."""
    priced = [(item.name, item.change) for item in found if item.change is not None]
    total = sum((change for _, change in priced), Decimal())
    lines = [
        f"cost of a month of 30 days: {_signed(total)} USD ({region}, on demand, before tax, prices of {PRICES_OF})"
    ]
    lines += [f"  {_signed(change):>9}  {name}" for name, change in priced]
    rest: dict[str, list[str]] = {}
    for item in found:
        if item.change is None:
            rest.setdefault(item.why, []).append(item.name)
    for why, names in sorted(rest.items()):
        lines += [f"  not included, {why}:", *(f"    {name}" for name in names)]
    return lines


def _signed(amount: Decimal) -> str:
    return f"+{usd(amount)}" if amount >= 0 else usd(amount)


def _items(resource: Resource, prices: Prices) -> Iterator[Item]:
    if resource.type in FREE:
        return
    if resource.type in BY_USE:
        # An update of one that exists changes no price.
        if resource.before is None or resource.after is None:
            yield Item(resource.address, None, "billed by use")
        return
    if resource.type not in PRICED:
        yield Item(resource.address, None, f"no price of the type {resource.type}")
        return
    for part, price in PRICED[resource.type].items():
        name = f"{resource.address}, {part}" if part else resource.address
        before, after = (
            Decimal() if side is None else price(side, prices) for side in (resource.before, resource.after)
        )
        if before is None or after is None:
            yield Item(name, None, "no price of its size, or its size is known after the apply")
        else:
            yield Item(name, after - before)


# A price of one part of a resource; None without a price, or if an argument that it needs is not known.


def _per_hour(name: str) -> Price:
    return lambda _, prices: prices.hourly(name)


def _instance(values: Values, prices: Prices) -> Decimal | None:
    copies = _copies(values)
    return None if copies is None else prices.hourly(f"rds_{values.get('instance_class')}_hour", copies)


def _storage(values: Values, prices: Prices) -> Decimal | None:
    copies, size = _copies(values), values.get("allocated_storage")
    if copies is None or size is None or values.get("storage_type") != "gp3":
        return None
    return prices.per_gb("rds_gp3_gb", copies * int(size))


def _copies(values: Values) -> int | None:
    """Return in how many zones a database runs, each of which costs the same."""
    two: bool | None = values.get("multi_az")
    return None if two is None else 1 + two


def _master_secret(values: Values, prices: Prices) -> Decimal | None:
    return prices.monthly("secret_month", int(values.get("manage_master_user_password") or False))


def _public_addresses(values: Values, prices: Prices) -> Decimal | None:
    subnets = values.get("subnets")
    if values.get("internal"):
        return Decimal()
    return None if subnets is None else prices.hourly("address_hour", len(subnets))


def _endpoint(values: Values, prices: Prices) -> Decimal | None:
    if values.get("vpc_endpoint_type") == "Gateway":
        return Decimal()
    zones = values.get("subnet_ids")
    return None if zones is None else prices.hourly("endpoint_zone_hour", len(zones))


def _alarm(values: Values, prices: Prices) -> Decimal | None:
    queries = [query for query in values.get("metric_query") or [] if query.get("metric")]
    return prices.monthly("alarm_metric_month", len(queries) or 1)


PRICED: Mapping[str, Mapping[str, Price]] = {
    "aws_cloudwatch_metric_alarm": {"": _alarm},
    "aws_db_instance": {"instance": _instance, "storage": _storage, "master secret": _master_secret},
    "aws_eip": {"": _per_hour("address_hour")},
    "aws_lb": {"": _per_hour("load_balancer_hour"), "public addresses": _public_addresses},
    "aws_nat_gateway": {"": _per_hour("nat_gateway_hour")},
    "aws_secretsmanager_secret": {"": lambda _, prices: prices.monthly("secret_month")},
    "aws_vpc_endpoint": {"": _endpoint},
}
