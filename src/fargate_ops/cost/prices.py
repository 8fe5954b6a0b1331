"""Unit prices of the cost report's savings, of a plan's costs and of docs/costs.md. On demand, in USD.

Source: AWS's price list, https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/<offer>/current/ap-northeast-2/, as of
`PRICES_OF`, with its usage types (APN2 is Seoul) beside the prices. Without a price, a recommendation has no saving,
and a plan's resource no cost. `cost_report_prices` in the inventory adds regions and corrects prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from fargate_ops.cost.money import exact

#: A month of 30 days. AWS's calculator uses 730 hours; an invoice uses the actual hours.
HOURS_A_MONTH = 30 * 24

#: Each page of a Cost Explorer request: https://aws.amazon.com/aws-cost-management/pricing/ (2026-10).
COST_EXPLORER_PAGE = Decimal("0.01")
#: Each metric of GetMetricData: https://aws.amazon.com/cloudwatch/pricing/ (2026-10), 0.01 per thousand.
CLOUDWATCH_METRIC = Decimal("0.00001")

SEOUL = "ap-northeast-2"
PRICES_OF = "2026-10-01"

PRICES: Mapping[str, Mapping[str, Decimal]] = {
    SEOUL: {
        "fargate_x86_64_vcpu_hour": Decimal("0.04656"),  # AmazonECS APN2-Fargate-vCPU-Hours:perCPU
        "fargate_x86_64_gb_hour": Decimal("0.00511"),  # AmazonECS APN2-Fargate-GB-Hours
        "fargate_arm64_vcpu_hour": Decimal("0.03725"),  # AmazonECS APN2-Fargate-ARM-vCPU-Hours:perCPU
        "fargate_arm64_gb_hour": Decimal("0.00409"),  # AmazonECS APN2-Fargate-ARM-GB-Hours
        # PostgreSQL in one zone, AmazonRDS APN2-InstanceUsage:<class>; two zones cost twice as much
        "rds_db.t4g.micro_hour": Decimal("0.025"),
        "rds_db.t4g.small_hour": Decimal("0.051"),
        "rds_db.t4g.medium_hour": Decimal("0.102"),
        "rds_db.t4g.large_hour": Decimal("0.203"),
        "rds_gp3_gb": Decimal("0.131"),  # AmazonRDS APN2-RDS:GP3-Storage, in one zone
        "load_balancer_hour": Decimal("0.0225"),  # AWSELB LoadBalancerUsage, application and network
        "load_balancer_unit_hour": Decimal("0.008"),  # AWSELB LCUUsage of an application load balancer
        "nat_gateway_hour": Decimal("0.059"),  # AmazonEC2 APN2-NatGateway-Hours
        "nat_gateway_gb": Decimal("0.059"),  # AmazonEC2 APN2-NatGateway-Bytes
        "endpoint_zone_hour": Decimal("0.013"),  # AmazonVPC APN2-VpcEndpoint-Hours
        "address_hour": Decimal("0.005"),  # AmazonVPC APN2-PublicIPv4:IdleAddress
        "volume_gp2_gb": Decimal("0.114"),  # AmazonEC2 APN2-EBS:VolumeUsage.gp2
        "volume_gp3_gb": Decimal("0.0912"),  # AmazonEC2 APN2-EBS:VolumeUsage.gp3
        "volume_io1_gb": Decimal("0.1278"),  # AmazonEC2 APN2-EBS:VolumeUsage.piops, without its IOPS
        "volume_io2_gb": Decimal("0.1278"),  # AmazonEC2 APN2-EBS:VolumeUsage.io2, without its IOPS
        "volume_st1_gb": Decimal("0.051"),  # AmazonEC2 APN2-EBS:VolumeUsage.st1
        "alarm_metric_month": Decimal("0.10"),  # AmazonCloudWatch, by metric of an alarm
        "metric_month": Decimal("0.30"),  # AmazonCloudWatch, a custom metric, the first 10,000
        "secret_month": Decimal("0.40"),  # AWSSecretsManager
        "config_item": Decimal("0.003"),  # AWSConfig
        "registry_gb": Decimal("0.10"),  # AmazonECR
        "logs_in_gb": Decimal("0.76"),  # AmazonCloudWatch, ingested logs
        "logs_gb": Decimal("0.0314"),  # AmazonCloudWatch APN2-TimedStorage-ByteHrs
        "s3_standard_gb": Decimal("0.025"),  # AmazonS3 APN2-TimedStorage-ByteHrs, the first 50 TB
        "s3_infrequent_gb": Decimal("0.0138"),  # AmazonS3 APN2-TimedStorage-SIA-ByteHrs
        "rds_extended_vcpu_hour": Decimal("0.120"),  # AmazonRDS APN2-ExtendedSupport:Yr1-Yr2:PostgreSQL…
        "rds_extended_year_3_vcpu_hour": Decimal("0.240"),  # AmazonRDS APN2-ExtendedSupport:Yr3:PostgreSQL…
        "eks_extended_hour": Decimal("0.50"),  # AmazonEKS APN2-AmazonEKS-Hours:extendedSupport, on top of 0.10
    }
}


@dataclass(frozen=True)
class Prices:
    """The prices of one region; `None` for an unknown one."""

    region: str
    known: Mapping[str, Decimal]

    @classmethod
    def of(cls, region: str, more: Mapping[str, Mapping[str, str | float]]) -> Prices:
        """Return the table's prices, overridden by `more` (``{region: {name: USD}}``)."""
        own = {name: exact(price) for name, price in more.get(region, {}).items()}
        return cls(region, {**PRICES.get(region, {}), **own})

    def hourly(self, name: str, times: int = 1) -> Decimal | None:
        """Return the cost of `times` units in a month of 30 days."""
        price = self.known.get(name)
        return None if price is None else price * HOURS_A_MONTH * times

    def monthly(self, name: str, times: int = 1) -> Decimal | None:
        """Return the cost of `times` units that are billed by the month."""
        price = self.known.get(name)
        return None if price is None else price * times

    def per_gb(self, name: str, gigabytes: Decimal | int) -> Decimal | None:
        """Return the cost of `gigabytes` in a month."""
        price = self.known.get(name)
        return None if price is None else price * gigabytes
