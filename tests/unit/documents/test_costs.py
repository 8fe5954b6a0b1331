"""The costs in docs/costs.md, and the shipped environments' budgets and database limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from docs.costs import Part, inventory, parts, saving_of_arm, tasks, total
from tests.e2e.documents import REPOSITORY

#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.DBInstanceClass.Summary.html, GiB.
CLASS_GIB = {"db.t4g.micro": 1, "db.t4g.small": 2, "db.t4g.medium": 4, "db.t4g.large": 8}
#: DBInstanceClassMemory is 5 to 12 % less; memory per connection as in AWS's default of max_connections.
#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections
LEFT_BY_RDS, SHARED_BUFFERS, CONNECTION_BYTES = 0.88, 0.25, 9531392
MIB = 1024**2

ENVIRONMENTS = pytest.mark.parametrize("environment", ["staging", "production"])


@ENVIRONMENTS
def test_the_budget_is_about_what_the_environment_costs(environment: str) -> None:
    values = inventory(REPOSITORY, environment)
    assert Decimal("1.25") <= values["budget_monthly_usd"] / total(values) <= Decimal("1.35")


@ENVIRONMENTS
def test_the_database_s_numbers_fit_its_class(environment: str) -> None:
    values = inventory(REPOSITORY, environment)
    memory = CLASS_GIB[values["database_instance_class"]] * 1024
    usable = memory * LEFT_BY_RDS * (1 - SHARED_BUFFERS)
    connections = values["database_max_connections"] * CONNECTION_BYTES / MIB
    assert usable - connections >= values["database_free_memory_minimum_mb"]
    assert 0.08 <= values["database_free_memory_minimum_mb"] / memory <= 0.12


def test_the_parts_of_a_bill() -> None:
    values: dict[str, Any] = {
        "app_min_tasks": 2,
        "app_peak_min_tasks": 99,
        "app_scheduled_scaling": False,
        "app_cpu": 1024,
        "app_memory": 2048,
        "app_cpu_architecture": "X86_64",
        "network_availability_zones": {"a": {}, "b": {}},
        "network_nat_gateways": "per_az",
        "network_flow_logs": False,
        "database_multi_az": True,
        "database_allocated_storage_gb": 10,
        "database_instance_class": "db.t4g.micro",
    }
    bill = {part.name: part.usd for part in parts(values)}
    assert bill["Fargate"] == 2 * (Decimal("0.04656") + 2 * Decimal("0.00511")) * 730
    assert bill["RDS PostgreSQL"] == 2 * (Decimal("0.025") * 730 + 10 * Decimal("0.131"))
    assert bill["NAT"] == 2 * Decimal("0.059") * 730 + 50 * Decimal("0.059")
    assert bill["Public IPv4 addresses"] == 4 * Decimal("0.005") * 730
    assert total(values) == sum(bill.values())


def test_the_month_s_end_is_five_days_and_arm_costs_a_fifth_less() -> None:
    values = inventory(REPOSITORY, "production")
    always = values | {"app_scheduled_scaling": False}
    with_peak, usual = tasks(values, "X86_64"), tasks(always, "X86_64")
    assert isinstance(usual, Part)
    assert with_peak.usd - usual.usd == pytest.approx(usual.usd * 5 / Decimal("30.4"))  # twice the tasks
    assert saving_of_arm(values) / with_peak.usd == pytest.approx(Decimal("0.2"), abs=Decimal("0.001"))
