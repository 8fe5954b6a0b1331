"""The monthly cost of an environment by component: the tables of docs/costs.md, from the inventories.

Prices of Seoul, on demand, before tax: src/fargate_ops/cost/prices.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fargate_ops.cost.prices import PRICES, SEOUL

PRICE = PRICES[SEOUL]
HOURS = 730
#: Average days of a month, and days of the month-end peak: from three days before the end through the 1st.
DAYS, PEAK_DAYS = Decimal("30.4"), 5

#: Assumptions that are not in the inventory: an environment with little traffic.
NAT_TRAFFIC_GB, LOG_GB, FLOW_LOG_GB = 50, 10, 10
ALARM_METRICS, INSIGHTS_METRICS = 28, 25
SECRETS, CONFIG_ITEMS, IMAGES_GB = 5, 300, 10


class Part(NamedTuple):
    """One line of the bill."""

    name: str
    what: str
    usd: Decimal


def inventory(root: Path, environment: str) -> dict[str, Any]:
    """Read an environment's variables as written."""
    files = sorted((root / "inventory" / environment / "group_vars/all").glob("*.yml"))
    return {key: value for file in files for key, value in yaml.safe_load(file.read_text(encoding="utf-8")).items()}


def tasks(values: Mapping[str, Any], architecture: str) -> Part:
    """Return the cost of the service's tasks, at the scheduled minimum."""
    usual, peak = values["app_min_tasks"], values["app_min_tasks"]
    if values["app_scheduled_scaling"]:
        peak = values["app_peak_min_tasks"]
    number = (usual * (DAYS - PEAK_DAYS) + peak * PEAK_DAYS) / DAYS
    cpu, memory = Decimal(values["app_cpu"]) / 1024, Decimal(values["app_memory"]) / 1024
    per_cpu, per_gb = (PRICE[f"fargate_{architecture.lower()}_{unit}_hour"] for unit in ("vcpu", "gb"))
    what = f"{usual} tasks, {peak} at month-end, with {cpu} vCPU and {memory} GB each, {architecture}"
    return Part("Fargate", what, number * (cpu * per_cpu + memory * per_gb) * HOURS)


def parts(values: Mapping[str, Any]) -> list[Part]:
    """Return the components of the environment, including its share of the account."""
    zones = len(values["network_availability_zones"])
    gateways = zones if values["network_nat_gateways"] == "per_az" else 1
    copies = 2 if values["database_multi_az"] else 1
    storage, kind = values["database_allocated_storage_gb"], values["database_instance_class"]
    logs = LOG_GB + (FLOW_LOG_GB if values["network_flow_logs"] else 0)
    return [
        tasks(values, values["app_cpu_architecture"]),
        Part(
            "RDS PostgreSQL",
            f"{kind}, {storage} GB, {'two zones' if copies == 2 else 'one zone'}",
            copies * (PRICE[f"rds_{kind}_hour"] * HOURS + storage * PRICE["rds_gp3_gb"]),
        ),
        Part(
            "NAT",
            f"{gateways} gateway{'s' if gateways > 1 else ''}, {NAT_TRAFFIC_GB} GB",
            gateways * PRICE["nat_gateway_hour"] * HOURS + NAT_TRAFFIC_GB * PRICE["nat_gateway_gb"],
        ),
        Part(
            "Load balancer",
            "one, with one capacity unit",
            (PRICE["load_balancer_hour"] + PRICE["load_balancer_unit_hour"]) * HOURS,
        ),
        Part(
            "Public IPv4 addresses",
            f"{zones} for the load balancer, {gateways} for NAT",
            (zones + gateways) * PRICE["address_hour"] * HOURS,
        ),
        Part(
            "CloudWatch",
            f"{logs} GB of logs, {ALARM_METRICS} alarm metrics, about {INSIGHTS_METRICS} Container Insights metrics",
            logs * PRICE["logs_in_gb"]
            + ALARM_METRICS * PRICE["alarm_metric_month"]
            + INSIGHTS_METRICS * PRICE["metric_month"],
        ),
        Part(
            "Secrets, registry, Config",
            f"{SECRETS} secrets, {IMAGES_GB} GB of images, {CONFIG_ITEMS} configuration items",
            SECRETS * PRICE["secret_month"] + IMAGES_GB * PRICE["registry_gb"] + CONFIG_ITEMS * PRICE["config_item"],
        ),
    ]


def total(values: Mapping[str, Any]) -> Decimal:
    """Return the monthly total in USD."""
    return sum((part.usd for part in parts(values)), Decimal())


def saving_of_arm(values: Mapping[str, Any]) -> Decimal:
    """Return the monthly saving of the tasks on ARM64, in USD."""
    return tasks(values, "X86_64").usd - tasks(values, "ARM64").usd


def document(root: Path, table: Any) -> str:
    """Return the tables of docs/costs.md."""
    sections = []
    for environment in ("staging", "production"):
        values = inventory(root, environment)
        rows = [(part.name, part.what, f"{part.usd:.0f}") for part in parts(values)]
        rows.append(("**total**", "", f"**{total(values):.0f}**"))
        budget = values["budget_monthly_usd"]
        sections.append(
            f"## {environment}\n\n{table(('component', 'quantity', 'USD a month'), rows)}\n\n"
            f"Budget {budget} USD; an alert goes to Slack at {budget * 1.3:.0f} USD, actual or forecast. "
            f"`ARM64` would save {saving_of_arm(values):.0f} USD."
        )
    return "\n\n".join(sections)
