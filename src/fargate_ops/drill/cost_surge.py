"""Synthetic billing data for the local cloud's cost APIs, with a known report, exact to the cent.

The day of the report is fixed: 24 November 2026, with 23 complete days. October cost 30.00 USD on each of its 31 days.
In November, Fargate's cost doubled on the 15th, when a savings plan expired; a second database ran on the 18th.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

TODAY = date(2026, 11, 24)
FARGATE = "Amazon Elastic Container Service"
DATABASE = "Amazon Relational Database Service"
BUDGET = "drill-cost-surge"
BUDGET_USD = "1000.00"

#: The expected report. USD as text with two decimals.
EXPECTED: Mapping[str, str] = {
    "month_to_date": "986.09",
    "same_days_before": "690.00",
    "last_month": "930.00",
    "forecast": "1377.51",
    "over_last_month": "48.1",
    "over_budget": "37.8",
    "top_day": "2026-11-18",
    "top_day_usd": "134.01",
    "top_day_rise": "104.01",
    "top_service_rise": "216.09",
    "top_usage_type": "APN2-Fargate-vCPU-Hours:perCPU",
    "top_usage_type_rise": "171.05",
    "coverage_before": "80.0",
    "coverage_now": "50.0",
    "coverage_lost": "180.00",
}

#: The expected monthly saving of each recommendation, by its kind.
SAVINGS: Mapping[str, str] = {
    "eks-support": "360.00",
    "ec2-size": "60.12",
    "rds-class": "48.96",
    "idle": "42.48",
    "fargate-size": "35.04",
    "ebs-volume": "4.56",
    "rds-storage": "3.10",
    "lambda-memory": "1.23",
}


def document(account: str, region: str, *, page_size: int = 25) -> dict[str, Any]:
    """Return the body of ``PUT /_costs`` (local_cloud.moto_server.costs). Pages are small, to test pagination."""
    return {
        "costs": list(_costs()),
        "forecast": "391.415",
        "savings_plans": {
            FARGATE: {
                "2026-10": {"covered": "480.00", "on_demand": "120.00"},
                "2026-11": {"covered": "300.00", "on_demand": "300.00"},
            }
        },
        "reservations": {
            DATABASE: {
                "2026-10": {"reserved_hours": "700", "on_demand_hours": "44", "on_demand_cost": "4.49"},
                "2026-11": {"reserved_hours": "552", "on_demand_hours": "0", "on_demand_cost": "0"},
            }
        },
        "page_size": page_size,
        "optimizer": _optimizer(account, region),
        "clusters": [
            {
                "name": "drill-old",
                "arn": f"arn:aws:eks:{region}:{account}:cluster/drill-old",
                "version": "1.30",
                "upgradePolicy": {"supportType": "EXTENDED"},
                "tags": {"Owner": "drill"},
            },
            {
                "name": "drill-new",
                "arn": f"arn:aws:eks:{region}:{account}:cluster/drill-new",
                "version": "1.34",
                "upgradePolicy": {"supportType": "EXTENDED"},
            },
        ],
        "cluster_versions": [
            {"clusterVersion": "1.34", "endOfStandardSupportDate": "2027-03-01T00:00:00Z"},
            {"clusterVersion": "1.30", "endOfStandardSupportDate": "2025-07-23T00:00:00Z"},
        ],
    }


def _costs() -> Iterator[dict[str, str]]:
    day = date(2026, 10, 1)
    while day < TODAY:
        for service, usage_type, amount in _of_day(day):
            yield {"date": day.isoformat(), "service": service, "usage_type": usage_type, "amount": amount}
        day += timedelta(days=1)
    # A credit: the report leaves it out.
    yield {
        "date": "2026-11-10",
        "service": DATABASE,
        "usage_type": "Credit",
        "amount": "-500.00",
        "record_type": "Credit",
    }


def _of_day(day: date) -> Iterator[tuple[str, str, str]]:
    has_risen = day >= date(2026, 11, 15)
    # Two amounts with half cents: rounding each would change the sum.
    yield FARGATE, "APN2-Fargate-vCPU-Hours:perCPU", "34.005" if has_risen else "15.00"
    yield FARGATE, "APN2-Fargate-GB-Hours", "10.005" if has_risen else "5.00"
    yield DATABASE, "APN2-InstanceUsage:db.t4g.medium", "10.00"
    if day == date(2026, 11, 18):
        yield DATABASE, "APN2-InstanceUsage:db.r7g.2xl", "80.00"


def _optimizer(account: str, region: str) -> dict[str, Any]:
    def arn(service: str, name: str) -> str:
        return f"arn:aws:{service}:{region}:{account}:{name}"

    owned = [{"key": "Owner", "value": "drill"}]
    return {
        "status": "Active",
        "instanceRecommendations": [
            {
                "instanceArn": arn("ec2", "instance/i-0d1a2b3c4d5e6f708"),
                "currentInstanceType": "m7i.xlarge",
                "finding": "OVER_PROVISIONED",
                "recommendationOptions": [
                    {"instanceType": "m7i.large", "rank": 2, **_saves("45.00")},
                    {"instanceType": "m7g.large", "rank": 1, **_saves(SAVINGS["ec2-size"])},
                ],
                "tags": owned,
            }
        ],
        "volumeRecommendations": [
            {
                "volumeArn": arn("ec2", "volume/vol-0d1a2b3c4d5e6f708"),
                "currentConfiguration": {"volumeType": "gp2", "volumeSize": 200},
                "finding": "NotOptimized",
                "volumeRecommendationOptions": [
                    {
                        "configuration": {"volumeType": "gp3", "volumeSize": 200},
                        "rank": 1,
                        **_saves(SAVINGS["ebs-volume"]),
                    }
                ],
            }
        ],
        "lambdaFunctionRecommendations": [
            {
                "functionArn": arn("lambda", "function:drill-import:$LATEST"),
                "currentMemorySize": 1024,
                "finding": "NotOptimized",
                "memorySizeRecommendationOptions": [{"memorySize": 512, "rank": 1, **_saves(SAVINGS["lambda-memory"])}],
            }
        ],
        "ecsServiceRecommendations": [
            {
                "serviceArn": arn("ecs", "service/drill/drill"),
                "currentServiceConfiguration": {"cpu": 1024, "memory": 4096},
                "launchType": "Fargate",
                "finding": "Overprovisioned",
                "serviceRecommendationOptions": [
                    {
                        "cpu": 512,
                        "memory": 2048,
                        **_saves("41.00"),
                        # The saving after the account's discounts has precedence.
                        "savingsOpportunityAfterDiscounts": _saves(SAVINGS["fargate-size"])["savingsOpportunity"],
                    }
                ],
            }
        ],
        "rdsDBRecommendations": [
            {
                "resourceArn": arn("rds", "db:drill-database"),
                "currentDBInstanceClass": "db.t4g.large",
                "instanceFinding": "Overprovisioned",
                "instanceRecommendationOptions": [
                    {"dbInstanceClass": "db.t4g.medium", "rank": 1, **_saves(SAVINGS["rds-class"])}
                ],
                "currentStorageConfiguration": {"storageType": "io1"},
                "storageRecommendationOptions": [
                    {"storageConfiguration": {"storageType": "gp3"}, "rank": 1, **_saves(SAVINGS["rds-storage"])}
                ],
            }
        ],
        "idleRecommendations": [
            {
                "resourceArn": arn("ec2", "natgateway/nat-0d1a2b3c4d5e6f708"),
                "resourceId": "nat-0d1a2b3c4d5e6f708",
                "resourceType": "NatGateway",
                "finding": "Unattached",
                "findingDescription": "no route leads there",
                **_saves(SAVINGS["idle"]),
            }
        ],
    }


def _saves(amount: str) -> dict[str, Any]:
    # A JSON number, as Compute Optimizer sends it.
    return {"savingsOpportunity": {"estimatedMonthlySavings": {"currency": "USD", "value": float(amount)}}}
