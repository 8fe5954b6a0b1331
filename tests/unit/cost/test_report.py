"""The report on synthetic billing data, exact to the cent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fargate_ops.cost.accounts import Target
from fargate_ops.cost.recommendations import Recommendation
from fargate_ops.cost.report import Report, judge
from fargate_ops.cost.spending import Budget, Month, Spending
from fargate_ops.cost.summary import summary, text
from fargate_ops.drill import cost_surge
from tests.unit.cost.conftest import ACCOUNT, REGION, Cloud

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def found(report: Report, kind: str) -> list[Recommendation]:
    return [item for item in report.recommendations if item.kind == kind]


def why(report: Report, what: str) -> str:
    return next((f"{gap.kind}: {gap.why}" for gap in report.gaps if gap.what == what), "no such gap")


def test_the_month_to_the_cent(cloud: Cloud) -> None:
    cloud.budget()
    report = cloud.report()
    assert report.gaps == ()
    (account,) = report.accounts
    day, service = account.days[0], account.services[0]
    coverage = account.coverage[0]
    assert {
        "month_to_date": str(account.month_to_date),
        "same_days_before": str(account.same_days_before),
        "last_month": str(account.last_month),
        "forecast": str(account.forecast),
        "over_last_month": str(account.over_last_month),
        "over_budget": str(account.over_budget),
        "top_day": str(day.day),
        "top_day_usd": str(day.amount),
        "top_day_rise": str(day.rise),
        "top_service_rise": str(service.rise),
        "top_usage_type": service.parts[0].name,
        "top_usage_type_rise": str(service.parts[0].rise),
        "coverage_before": str(coverage.before),
        "coverage_now": str(coverage.now),
        "coverage_lost": str(coverage.lost),
    } == dict(cost_surge.EXPECTED)
    assert [part.name for part in day.parts] == [cost_surge.DATABASE, cost_surge.FARGATE]
    assert [item.fell for item in account.coverage] == [True, False]  # the reservation's share rose
    assert report.verdict.after == Decimal("822.02")
    assert report.verdict.is_under
    assert not report.verdict.was_under
    assert report.verdict.still == Decimal("129.61")  # 7 of 30 days of 555.49


def spending(account: str, forecast: str | None) -> Spending:
    nothing: dict[str, Any] = dict.fromkeys(("days", "services", "coverage"), ())
    amounts = {name: Decimal(value) for name, value in (("month_to_date", "7"), ("same_days_before", "5"))}
    return Spending(
        account=account,
        last_month=Decimal("100"),
        forecast=None if forecast is None else Decimal(forecast),
        budget=Budget(name="b", limit=Decimal("200")),
        daily={},
        complete=True,
        **amounts,
        **nothing,
    )


def test_a_total_is_forecast_only_when_each_account_is() -> None:
    month, saving = Month(NOON.date()), Decimal("30")
    both = judge([spending("1", "110"), spending("2", "220")], saving, month)
    assert (both.forecast, both.after, both.limit) == (Decimal("330"), Decimal("300"), Decimal("400"))
    one = judge([spending("1", "110"), spending("2", None)], saving, month)
    assert (one.forecast, one.after, one.limit) == (None, None, Decimal("400"))
    assert one.sentence.startswith("This month's forecast is not known.")


def test_each_type_of_recommendation_and_the_surcharge_of_eks(cloud: Cloud) -> None:
    report = cloud.report()
    assert {item.kind: str(item.saving) for item in report.recommendations} == dict(cost_surge.SAVINGS)
    assert report.verdict.saving == Decimal("555.49")
    (cluster,) = found(report, "eks-support")  # not the cluster on a version in standard support
    assert cluster.saving == Decimal("360.00")
    assert (cluster.resource, cluster.owner) == ("drill-old", "drill")
    (instance,) = found(report, "ec2-size")
    assert "--instance-type m7g.large" in instance.change  # by rank, not by position


def test_every_page_is_followed_and_counted(cloud: Cloud) -> None:
    whole = cloud.report()
    assert whole.paid["pages"] == 16
    assert whole.paid["usd"] == Decimal("0.16")
    cloud.seed(page_size=7)
    small = cloud.report(pages_max=100)
    assert small.paid["pages"] > 30
    assert small.accounts == whole.accounts
    assert small.recommendations == whole.recommendations
    cloud.seed(page_size=1000)
    assert cloud.report().accounts == whole.accounts


def test_paid_pages_stop_at_the_limit_and_what_is_missing_is_said(cloud: Cloud) -> None:
    report = cloud.report(pages_max=3)
    assert report.paid["pages"] == 3
    assert not report.accounts[0].complete
    assert report.accounts[0].forecast is None  # a partial sum is not a forecast
    assert report.verdict.is_under is None
    assert why(report, "costs by day and service: incomplete") == (
        "limit: the limit of 3 paid pages of Cost Explorer was reached"
    )
    assert any("-e cost_report_paid_pages_max=<more>" in gap.next for gap in report.gaps)


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("GetCostAndUsage", "costs by day and service"),
        ("GetCostForecast", "forecast"),
        ("GetSavingsPlansCoverage", "savings-plan coverage"),
        ("GetReservationCoverage", f"reservation coverage of {cost_surge.DATABASE}"),
        ("GetEnrollmentStatus", "Compute Optimizer"),
        ("GetEC2InstanceRecommendations", "Compute Optimizer: EC2 instances"),
        ("GetIdleRecommendations", "Compute Optimizer: idle resources"),
        ("ListClusters", "EKS clusters"),
        ("DescribeClusterVersions", "support of EKS versions"),
    ],
)
def test_an_api_that_is_denied_is_a_named_gap(cloud: Cloud, operation: str, what: str) -> None:
    cloud.seed(refused={operation: "AccessDeniedException"})
    report = cloud.report()
    assert why(report, what) == f"denied: {operation} was denied: not for you: {operation}"
    assert {gap.next for gap in report.gaps if gap.kind == "denied"} == {
        "give the role the policy roles/cost_report/files/policy.json"
    }
    assert f"? {what}" in text(report, "p")
    assert len(report.recommendations) > 0  # the other sources are unaffected


def test_not_enrolled_and_not_enough_data_are_never_fine(cloud: Cloud) -> None:
    cloud.seed(optimizer={"status": "Inactive"}, forecast=None)
    report = cloud.report()
    assert why(report, "Compute Optimizer") == "not_enrolled: the account is not enrolled: Inactive"
    assert why(report, "forecast").startswith("not_enough_data: not enough data: Insufficient amount")
    assert report.verdict.sentence.startswith("This month's forecast is not known.")
    assert "Not known: " in summary(report, "p").text


def test_a_cost_explorer_that_was_never_opened_is_said_with_how_long_to_wait(cloud: Cloud) -> None:
    cloud.seed(cost_explorer_enabled=False)
    report = cloud.report()
    assert why(report, "costs by day and service") == "not_enrolled: Cost Explorer is not enabled in this account"
    (next_step,) = {gap.next for gap in report.gaps if gap.why.startswith("Cost Explorer is not enabled")}
    assert "wait 24 h, then the same command" in next_step


def test_what_compute_optimizer_has_not_judged_is_named(cloud: Cloud) -> None:
    (volume,) = cloud.client("ec2").run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"]
    assert why(cloud.report(), "Compute Optimizer: EC2 instances") == (
        f"not_enough_data: not enough data: 1 of 1 have no recommendation yet: {volume['InstanceId']}"
    )


def test_a_gp2_volume_that_nothing_holds_counts_once(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "owner", "Value": "ann"}]}]
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=100, VolumeType="gp2", TagSpecifications=tags)
    report = cloud.report()
    (removal,), (gp3,) = found(report, "unattached-volume"), found(report, "gp2-volume")
    assert (removal.resource, removal.owner) == (volume["VolumeId"], "ann")
    assert (removal.saving, removal.counted) == (Decimal("11.40"), True)
    assert (gp3.saving, gp3.counted) == (Decimal("2.28"), False)
    assert report.verdict.saving == Decimal("566.89")


def test_addresses_log_groups_and_buckets(cloud: Cloud) -> None:
    address = cloud.client("ec2").allocate_address(Domain="vpc")["AllocationId"]
    logs, s3 = cloud.client("logs"), cloud.client("s3")
    for name in ("for-ever", "a-month"):
        logs.create_log_group(logGroupName=name)
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    logs.put_retention_policy(logGroupName="a-month", retentionInDays=30)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket="a-month", LifecycleConfiguration={"Rules": [rule]})
    measured(cloud, "AWS/S3", "BucketSizeBytes", 100 * 1024**3, BucketName="for-ever", StorageType="StandardStorage")
    report = cloud.report()
    assert [item.saving for item in found(report, "unattached-address")] == [Decimal("3.60")]
    assert address in found(report, "unattached-address")[0].resource
    assert [item.resource for item in found(report, "log-group")] == ["for-ever"]
    (bucket,) = found(report, "bucket-lifecycle")
    assert bucket.problem == (
        "the bucket has no lifecycle: 100.00 GiB in STANDARD; "
        "in STANDARD_IA after 30 days at most 1.12 USD a month less"
    )
    assert (bucket.saving, bucket.counted) == (None, False)


def measured(cloud: Cloud, namespace: str, name: str, value: float, at: datetime = NOON, **dimensions: str) -> None:
    pairs = [{"Name": key, "Value": text} for key, text in dimensions.items()]
    metric = {"MetricName": name, "Dimensions": pairs, "Timestamp": at + timedelta(days=3), "Value": value}
    cloud.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[metric])


def network(cloud: Cloud) -> tuple[Any, str, list[str]]:
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/18")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for n, zone in ((1, "a"), (2, "b"))
    ]
    return ec2, vpc, subnets


def test_idle_by_requests_and_bytes(cloud: Cloud) -> None:
    ec2, vpc, subnets = network(cloud)
    elbv2 = cloud.client("elbv2")
    arns = {
        name: elbv2.create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        for name in ("busy", "quiet")
    }
    nats = [
        ec2.create_nat_gateway(SubnetId=subnets[0], ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        for _ in range(3)
    ]
    service = f"com.amazonaws.{REGION}.logs"
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, VpcEndpointType="Interface", SubnetIds=subnets)[
        "VpcEndpoint"
    ]["VpcEndpointId"]
    # The report's day is a month from now, so that all resources are old enough.
    today = datetime.now(UTC).date() + timedelta(days=30)
    at = datetime.combine(today, datetime.min.time(), UTC) - timedelta(days=5)
    busy = arns["busy"].partition(":loadbalancer/")[2]
    measured(cloud, "AWS/ApplicationELB", "RequestCount", 1, at, LoadBalancer=busy)
    for metric in ("BytesOutToDestination", "BytesInFromDestination"):
        measured(cloud, "AWS/NATGateway", metric, 0, at, NatGatewayId=nats[0])
        measured(cloud, "AWS/NATGateway", metric, 4096, at, NatGatewayId=nats[1])
    report = cloud.report(today=today)
    idle = {item.resource: str(item.saving) for item in report.recommendations if item.kind.startswith("idle-")}
    # 0.0225, 0.059 and, in two zones, 0.013 an hour.
    assert idle == {"quiet": "16.20", nats[0]: "42.48", endpoint: "18.72"}
    assert why(report, f"use of {nats[2]}") == "not_enough_data: not enough data: no metric in CloudWatch"
    assert report.paid["metrics"] == 9
    young = cloud.report(today=datetime.now(UTC).date())
    assert not any(item.kind.startswith("idle-") for item in young.recommendations)
    assert why(young, "idle resources").startswith("not_enough_data: not enough data: younger than 14 days: busy, ")


def test_rds_on_extended_support_and_near_it(cloud: Cloud) -> None:
    rds = cloud.client("rds")
    for name, version, more in (
        ("third-year", "12.20", {}),
        ("first-year", "13.14", {"MultiAZ": True}),
        ("current", "17.2", {}),
    ):
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            Engine="postgres",
            EngineVersion=version,
            DBInstanceClass="db.t4g.medium",
            MasterUsername="master",
            ManageMasterUserPassword=True,
            AllocatedStorage=20,
            **more,
        )
    surcharges = {item.resource: str(item.saving) for item in found(cloud.report(), "rds-support")}
    # Two vCPUs: 0.24 each in the third year, 0.12 each, of two instances, in the first.
    assert surcharges == {"third-year": "345.60", "first-year": "345.60"}
    (near,) = [item for item in found(cloud.report(support_days=1300), "rds-support") if item.resource == "current"]
    assert near.saving is None
    assert "leaves standard support on 2030-02-28: 172.80 USD a month from then on" in near.problem


def test_a_resource_of_ours_has_its_address_and_the_variable_to_set(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": REGION})
    instance = {"attributes": {"arn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db:drill-database", "id": "db-1"}}
    service = {"attributes": {"arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/drill/drill"}, "index_key": 0}
    nat = {"attributes": {"id": "nat-0d1a2b3c4d5e6f708"}, "index_key": f"{REGION}a"}
    state = {
        "version": 4,
        "resources": [
            {
                "mode": "managed",
                "module": module,
                "type": kind,
                "name": "this",
                "instances": [one],
            }
            for module, kind, one in (
                ("module.rds[0]", "aws_db_instance", instance),
                ("module.ecs", "aws_ecs_service", service),
                ("module.vpc", "aws_nat_gateway", nat),
            )
        ],
    }
    s3.put_object(Bucket="states", Key="staging.tfstate", Body=json.dumps(state).encode())
    states = [{"bucket": "states", "key": key} for key in ("staging.tfstate", "account.tfstate")]
    report = cloud.report(states=states)
    changes = {item.kind: (item.address, item.change) for item in report.recommendations if item.address}
    assert changes == {
        "rds-class": (
            "module.rds[0].aws_db_instance.this",
            "# inventory/staging/group_vars/all/database.yml\n"
            "- database_instance_class: db.t4g.large\n+ database_instance_class: db.t4g.medium",
        ),
        "rds-storage": (
            "module.rds[0].aws_db_instance.this",
            "# module.rds[0].aws_db_instance.this (Terraform)\n- storage_type = io1\n+ storage_type = gp3",
        ),
        "fargate-size": (
            "module.ecs.aws_ecs_service.this[0]",
            "# inventory/staging/group_vars/all/app.yml\n"
            "- app_cpu: 1024\n+ app_cpu: 512\n- app_memory: 4096\n+ app_memory: 2048",
        ),
        "idle": (
            f'module.vpc.aws_nat_gateway.this["{REGION}a"]',
            f'# Terraform, then make infra ENV=staging\n- module.vpc.aws_nat_gateway.this["{REGION}a"]',
        ),
    }
    assert why(report, "Terraform addresses of s3://states/account.tfstate").startswith(
        "failed: GetObject failed: NoSuchKey"
    )


def test_several_accounts_and_regions(cloud: Cloud) -> None:
    cloud.budget()
    cloud.client("ec2").allocate_address(Domain="vpc")
    other = Target(account_id="210987654321", regions=("us-east-1",), role_arn="arn:aws:iam::210987654321:role/report")
    own = Target(account_id=ACCOUNT, regions=(REGION, "eu-west-1"))
    report = cloud.report(own, other)
    assert ("STS", "AssumeRole") in cloud.calls
    assert [account.account for account in report.accounts] == [ACCOUNT, "210987654321"]
    assert report.verdict.month_to_date == 2 * Decimal("986.09")
    assert {(item.account, item.region) for item in report.recommendations} == {
        (ACCOUNT, REGION),
        (ACCOUNT, "eu-west-1"),
        ("210987654321", "us-east-1"),
    }
    # One of them has no budget: the limit is last month, not half a budget.
    assert not report.verdict.limit_is_budget
    assert report.verdict.limit == Decimal("1860.00")


def test_the_first_day_of_a_month_has_no_days_to_compare(cloud: Cloud) -> None:
    report = cloud.report(today=cost_surge.TODAY.replace(day=1))
    (account,) = report.accounts
    assert (account.month_to_date, account.same_days_before) == (Decimal("0.00"), Decimal("0.00"))
    assert account.last_month == Decimal("930.00")
    assert account.days == ()


def test_a_budget_must_be_named_where_there_are_several(cloud: Cloud) -> None:
    cloud.budget("a", "100.00")
    cloud.budget("b", "2000.00")
    assert why(cloud.report(), "budget") == "missing: several monthly budgets: a, b"
    named = cloud.report(budget_name="b")
    assert named.verdict.limit == Decimal("2000.00")
    assert named.verdict.was_under
    assert ":large_green_circle:" in summary(named, "p").text


def test_the_json_has_money_as_text(cloud: Cloud) -> None:
    row = json.loads(json.dumps(cloud.report().as_row()))
    assert row["verdict"]["saving"] == "555.49"
    (account,) = row["accounts"]
    assert account["days"][0]["amount"] == "134.01"
    assert account["services"][0]["rise"] == "216.09"
    assert account["services"][0]["parts"][0]["rise"] == "171.05"
    assert account["coverage"][0]["fell"] is True
    assert row["findings"][0]["saving"] == "360.00"
    assert row["paid"]["usd"] == "0.16"


def test_slack_can_be_neither_linked_nor_mentioned(cloud: Cloud) -> None:
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Owner", "Value": "<!channel>"}]}]
    cloud.client("ec2").create_volume(
        AvailabilityZone=f"{REGION}a", Size=9000, VolumeType="gp3", TagSpecifications=tags
    )
    said = summary(cloud.report(), "p").text
    assert "&lt;!channel&gt;" in said
    assert "<!channel>" not in said
