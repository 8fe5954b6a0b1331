"""What a plan changes in a month's cost: each priced part, and everything that has no price by name."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.cost.plan_cost import BY_USE, FREE, PRICED, Item, Resource, Tasks, items, of_tasks, text
from fargate_ops.cost.prices import PRICES, PRICES_OF, SEOUL, Prices

SEOUL_PRICES, ELSEWHERE = Prices.of(SEOUL, {}), Prices.of("eu-north-1", {})
P = PRICES[SEOUL]
HOURS = 720
DATABASE = {
    "instance_class": "db.t4g.small",
    "multi_az": False,
    "allocated_storage": 20,
    "storage_type": "gp3",
    "manage_master_user_password": True,
}


def changes(type_: str, before: Any, after: Any, prices: Prices = SEOUL_PRICES) -> dict[str, Decimal | None]:
    found = items([Resource(address=f"{type_}.this", type=type_, before=before, after=after)], prices)
    return {item.name.removeprefix(f"{type_}.this").removeprefix(", "): item.change for item in found}


def test_a_database_costs_its_class_its_storage_and_its_secret() -> None:
    whole = {
        "instance": P["rds_db.t4g.small_hour"] * HOURS,
        "storage": 20 * P["rds_gp3_gb"],
        "master secret": P["secret_month"],
    }
    assert changes("aws_db_instance", None, DATABASE) == whole
    assert changes("aws_db_instance", DATABASE, None) == {name: -usd for name, usd in whole.items()}


def test_only_what_differs_is_listed() -> None:
    larger = DATABASE | {"allocated_storage": 50, "backup_retention_period": 7}
    assert changes("aws_db_instance", DATABASE, larger) == {"storage": 30 * P["rds_gp3_gb"]}
    twice = {"instance": P["rds_db.t4g.small_hour"] * HOURS, "storage": 20 * P["rds_gp3_gb"]}
    assert changes("aws_db_instance", DATABASE, DATABASE | {"multi_az": True}) == twice
    assert changes("aws_db_instance", DATABASE, DATABASE | {"backup_retention_period": 7}) == {}


@pytest.mark.parametrize(
    ("changed", "unknown"),
    [
        ({"instance_class": "db.r9.huge"}, ["instance"]),
        ({"storage_type": "io2"}, ["storage"]),
        ({"allocated_storage": None}, ["storage"]),
        ({"multi_az": None}, ["instance", "storage"]),
    ],
)
def test_a_size_without_a_price_is_never_zero(changed: dict[str, Any], unknown: list[str]) -> None:
    assert changes("aws_db_instance", DATABASE, DATABASE | changed) == dict.fromkeys(unknown)


@pytest.mark.parametrize(
    ("type_", "after", "expected"),
    [
        ("aws_nat_gateway", {}, {"": P["nat_gateway_hour"] * HOURS}),
        ("aws_eip", {}, {"": P["address_hour"] * HOURS}),
        ("aws_secretsmanager_secret", {}, {"": P["secret_month"]}),
        ("aws_lb", {"internal": True}, {"": P["load_balancer_hour"] * HOURS}),
        (
            "aws_lb",
            {"internal": False, "subnets": ["a", "b"]},
            {"": P["load_balancer_hour"] * HOURS, "public addresses": 2 * P["address_hour"] * HOURS},
        ),
        ("aws_lb", {"internal": False}, {"": P["load_balancer_hour"] * HOURS, "public addresses": None}),
        (
            "aws_vpc_endpoint",
            {"vpc_endpoint_type": "Interface", "subnet_ids": ["a", "b", "c"]},
            {"": 3 * P["endpoint_zone_hour"] * HOURS},
        ),
        ("aws_vpc_endpoint", {"vpc_endpoint_type": "Interface"}, {"": None}),
        ("aws_vpc_endpoint", {"vpc_endpoint_type": "Gateway"}, {}),
        ("aws_cloudwatch_metric_alarm", {"metric_query": []}, {"": P["alarm_metric_month"]}),
        (
            "aws_cloudwatch_metric_alarm",
            {"metric_query": [{"metric": [{}]}, {"metric": [{}]}, {"metric": []}]},
            {"": 2 * P["alarm_metric_month"]},
        ),
    ],
)
def test_what_a_new_resource_costs(type_: str, after: dict[str, Any], expected: dict[str, Decimal | None]) -> None:
    assert changes(type_, None, after) == expected


def test_a_region_without_prices_is_never_zero() -> None:
    assert changes("aws_nat_gateway", None, {}, ELSEWHERE) == {"": None}
    assert of_tasks(None, Tasks(1, 256, 512, "X86_64"), ELSEWHERE)[0].change is None


def test_types_billed_by_use_and_unknown_types_are_named() -> None:
    assert changes("aws_lambda_function", None, {}) == {"": None}
    assert changes("aws_lambda_function", {}, {"timeout": 3}) == {}
    assert changes("aws_quantum_computer", {}, {"qubits": 3}) == {"": None}
    assert changes("aws_subnet", None, {}) == {}


def test_every_type_of_the_root_is_priced_free_billed_by_use_or_known_as_unpriced() -> None:
    files = [path for path in Path("terraform").rglob("*.tf") if not {"account", "github", "cost"} & set(path.parts)]
    types = set(re.findall(r'^resource "(aws_\w+)"', "\n".join(map(Path.read_text, files)), re.MULTILINE))
    of_the_account = {type_ for type_ in types if type_.startswith(("aws_config_", "aws_ecr_"))}
    assert types - of_the_account - FREE - BY_USE - set(PRICED) == {"aws_db_proxy"}
    assert not FREE & BY_USE
    assert not (FREE | BY_USE) & set(PRICED)


def test_tasks_cost_their_size_times_their_minimum() -> None:
    before, after = Tasks(2, 256, 512, "X86_64"), Tasks(3, 512, 1024, "ARM64")
    was = 2 * HOURS * (P["fargate_x86_64_vcpu_hour"] / 4 + P["fargate_x86_64_gb_hour"] / 2)
    would_be = 3 * HOURS * (P["fargate_arm64_vcpu_hour"] / 2 + P["fargate_arm64_gb_hour"])
    name = "tasks, at their minimum: 2 x 0.25 vCPU, 0.5 GB -> 3 x 0.5 vCPU, 1 GB"
    assert of_tasks(before, after, SEOUL_PRICES) == [Item(name, would_be - was, "no price of its size")]
    assert of_tasks(None, before, SEOUL_PRICES)[0].change == was
    assert of_tasks(before, before, SEOUL_PRICES) == []


def test_the_screen_shows_the_sum_and_what_is_not_in_it() -> None:
    found = [
        Item("aws_eip.a", Decimal("3.6")),
        Item("aws_lb.b", Decimal("-16.2")),
        Item("aws_db_proxy.c", None, "no price of the type aws_db_proxy"),
        Item("aws_sqs_queue.d", None, "billed by use"),
        Item("aws_sqs_queue.e", None, "billed by use"),
    ]
    assert text(found, SEOUL) == [
        f"cost of a month of 30 days: -12.60 USD (ap-northeast-2, on demand, before tax, prices of {PRICES_OF})",
        "      +3.60  aws_eip.a",
        "     -16.20  aws_lb.b",
        "  not included, billed by use:",
        "    aws_sqs_queue.d",
        "    aws_sqs_queue.e",
        "  not included, no price of the type aws_db_proxy:",
        "    aws_db_proxy.c",
    ]
    assert [Item.from_fact(item.to_fact()) for item in found] == found
