"""The shipped policy allows exactly the calls of a report, and nothing that writes."""

from __future__ import annotations

import json
from pathlib import Path

from fargate_ops.cost.accounts import Target
from tests.unit.cost.conftest import ACCOUNT, REGION, Cloud
from tests.unit.cost.test_report import network

POLICY = Path("roles/cost_report/files/policy.json")

#: Service → prefix of its actions.
PREFIXES = {
    "Budgets": "budgets",
    "CloudWatch": "cloudwatch",
    "CloudWatch Logs": "logs",
    "Compute Optimizer": "compute-optimizer",
    "Cost Explorer": "ce",
    "EC2": "ec2",
    "ECS": "ecs",
    "EKS": "eks",
    "Elastic Load Balancing v2": "elasticloadbalancing",
    "Lambda": "lambda",
    "RDS": "rds",
    "Resource Groups Tagging API": "tag",
    "S3": "s3",
    "STS": "sts",
}
#: Operations with differently named actions: https://docs.aws.amazon.com/service-authorization/latest/reference/
ACTIONS = {
    ("Budgets", "DescribeBudgets"): {"budgets:ViewBudget"},
    ("S3", "ListBuckets"): {"s3:ListAllMyBuckets"},
    # Compute Optimizer reads with its caller's permissions, so these dependent actions are not recorded as calls.
    ("Compute Optimizer", "GetLambdaFunctionRecommendations"): {
        "compute-optimizer:GetLambdaFunctionRecommendations",
        "lambda:ListFunctions",
        "lambda:ListProvisionedConcurrencyConfigs",
    },
    ("Compute Optimizer", "GetRDSDatabaseRecommendations"): {
        "compute-optimizer:GetRDSDatabaseRecommendations",
        "rds:DescribeDBClusters",
        "rds:DescribeDBInstances",
    },
    ("S3", "GetBucketLifecycleConfiguration"): {"s3:GetLifecycleConfiguration"},
}
#: The Slack notifier's child process reads the secret; the plugin lists the ledger for the four keys.
NOT_CALLED_HERE = {"s3:ListBucket", "secretsmanager:GetSecretValue"}


def required(calls: set[tuple[str, str]]) -> set[str]:
    return {
        action
        for service, operation in calls
        for action in ACTIONS.get((service, operation), {f"{PREFIXES[service]}:{operation}"})
    }


def allowed() -> set[str]:
    statements = json.loads(POLICY.read_text(encoding="utf-8"))["Statement"]
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return {
        action
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def test_the_policy_is_what_the_report_calls(cloud: Cloud) -> None:
    # One resource of each type, so that every call is made.
    _, _, subnets = network(cloud)
    cloud.client("elbv2").create_load_balancer(Name="one", Subnets=subnets)
    cloud.client("ecs").create_cluster(clusterName="one")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="states", Key="one.tfstate", Body=b"{}")
    cloud.client("rds").create_db_instance(
        DBInstanceIdentifier="one",
        Engine="postgres",
        EngineVersion="12.20",
        DBInstanceClass="db.t4g.medium",
        MasterUsername="master",
        ManageMasterUserPassword=True,
        AllocatedStorage=20,
    )
    report = cloud.report(
        Target(account_id=ACCOUNT, regions=(REGION,)), states=[{"bucket": "states", "key": "one.tfstate"}], idle_days=0
    )
    assert {gap.kind for gap in report.gaps} <= {"missing", "not_enough_data"}, report.gaps
    assert required(cloud.calls) == allowed() - NOT_CALLED_HERE


def test_the_policy_reads_only() -> None:
    verbs = {action.partition(":")[2] for action in allowed()}
    assert {verb for verb in verbs if not verb.startswith(("Get", "List", "Describe", "View"))} == set()
    assert not any("*" in action for action in allowed())
