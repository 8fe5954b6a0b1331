"""src/local_cloud/account/reserved_names.py: names that AWS reserves are refused."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud

TRUST = '{"Version": "2012-10-17", "Statement": []}'
KEYED: dict[str, Any] = {
    "TableName": "reserved",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
}
RECORDER = {"roleARN": "arn:aws:iam::000000000000:role/config"}
LAMBDA: dict[str, Any] = {
    "FunctionName": "reserved",
    "Role": "arn:aws:iam::000000000000:role/bot",
    "Code": {"ZipFile": b"PK\x05\x06" + bytes(18)},  # an empty archive
    "Runtime": "python3.13",
    "Handler": "bot.handler",
}


def capital(key: str, value: str = "x") -> list[dict[str, str]]:
    return [{"Key": key, "Value": value}]


def small(key: str, value: str = "x") -> list[dict[str, str]]:
    return [{"key": key, "value": value}]


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("elbv2", "create_load_balancer", {"Name": "internal-x", "Subnets": ["subnet-1"]}, "ValidationError"),
        ("ec2", "create_security_group", {"GroupName": "sg-x", "Description": "x"}, "InvalidParameterValue"),
        ("logs", "create_log_group", {"logGroupName": "aws/x"}, "InvalidParameterException"),
        (
            "config",
            "put_configuration_recorder",
            {"ConfigurationRecorder": {"name": "AWSConfigurationRecorderForX", **RECORDER}},
            "InvalidConfigurationRecorderNameException",
        ),
        (
            "lambda",
            "create_function",
            {**LAMBDA, "Environment": {"Variables": {"AWS_REGION": "x"}}},
            "InvalidParameterValueException",
        ),
        ("s3", "create_bucket", {"Bucket": "sthree-x"}, "InvalidBucketName"),
        ("s3", "create_bucket", {"Bucket": "some--table-s3"}, "InvalidBucketName"),
        ("ecs", "create_cluster", {"clusterName": "x", "tags": small("Aws:x")}, "InvalidParameterException"),
        ("ecs", "create_cluster", {"clusterName": "x", "tags": small("x", "aws:x")}, "InvalidParameterException"),
        ("sns", "create_topic", {"Name": "x", "Tags": capital("aws:x")}, "InvalidParameter"),
        ("sqs", "create_queue", {"QueueName": "x", "tags": {"aws:x": "x"}}, "InvalidParameterValue"),
        (
            "ecr",
            "create_repository",
            {"repositoryName": "xx", "tags": capital("aws:x")},
            "InvalidTagParameterException",
        ),
        ("dynamodb", "create_table", {**KEYED, "Tags": capital("aws:x")}, "ValidationException"),
        (
            "ec2",
            "create_vpc",
            {"CidrBlock": "10.9.0.0/16", "TagSpecifications": [{"ResourceType": "vpc", "Tags": capital("aws:x")}]},
            "InvalidParameterValue",
        ),
        (
            "iam",
            "create_role",
            {"RoleName": "x", "AssumeRolePolicyDocument": TRUST, "Tags": capital("aws:x")},
            "InvalidInput",
        ),
        (
            "rds",
            "create_db_parameter_group",
            {
                "DBParameterGroupName": "x",
                "DBParameterGroupFamily": "postgres17",
                "Description": "x",
                "Tags": capital("x", "rds:x"),
            },
            "InvalidParameterValue",
        ),
    ],
)
def test_a_reserved_name_is_refused(
    cloud: RunningCloud, service: str, operation: str, arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(cloud.client(service), operation)(**arguments)
    assert refused.value.response["Error"]["Code"] == code


def test_names_that_only_look_reserved_are_taken(cloud: RunningCloud) -> None:
    elb, logs, sns, ec2 = (cloud.client(name) for name in ("elbv2", "logs", "sns", "ec2"))
    made = elb.create_load_balancer(Name="internals", Subnets=["subnet-1"], Tags=capital("from-aws:x", "aws:x"))
    elb.delete_load_balancer(LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"])
    group = elb.create_target_group(Name="internal-x", Port=80, Protocol="HTTP", TargetType="ip", VpcId="vpc-1")
    elb.delete_target_group(TargetGroupArn=group["TargetGroups"][0]["TargetGroupArn"])
    logs.create_log_group(logGroupName="/aws/reserved")
    logs.delete_log_group(logGroupName="/aws/reserved")
    sns.delete_topic(TopicArn=sns.create_topic(Name="reserved", Tags=capital("rds:x"))["TopicArn"])
    ec2.delete_tags(Resources=["vpc-00000001"], Tags=[{"Key": "aws:x"}])
