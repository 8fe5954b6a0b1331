"""Make what Terraform would have made, and write its outputs: ``environment.py <outputs.json> <public url>``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import boto3

PATH, PUBLIC_URL = sys.argv[1:]
NAME, ACCOUNT, REGION = "settlement-molecule", "000000000000", "ap-northeast-2"

s3, ecs, elbv2, logs, secrets, iam = (
    boto3.client(name) for name in ("s3", "ecs", "elbv2", "logs", "secretsmanager", "iam")
)
s3.create_bucket(Bucket="state", CreateBucketConfiguration={"LocationConstraint": REGION})
group = elbv2.create_target_group(Name=NAME, Protocol="HTTP", Port=8000, VpcId="vpc-1", TargetType="ip")["TargetGroups"]
logs.create_log_group(logGroupName=f"/ecs/{NAME}")
trust = json.dumps({"Version": "2012-10-17", "Statement": []})
roles = {
    name: iam.create_role(RoleName=f"{NAME}-{name}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    for name in ("execution", "task", "admin-execution", "admin-task")
}
ecs.create_cluster(clusterName=NAME)
placeholder = ecs.register_task_definition(
    family=f"{NAME}-placeholder", containerDefinitions=[{"name": "api", "image": "none"}]
)["taskDefinition"]["taskDefinitionArn"]
ecs.create_service(
    cluster=NAME,
    serviceName=NAME,
    taskDefinition=placeholder,
    desiredCount=0,
    launchType="FARGATE",
    deploymentConfiguration={
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    },
)
outputs = {
    "name_prefix": NAME,
    "region": REGION,
    "account_id": ACCOUNT,
    "cluster_name": NAME,
    "service_name": NAME,
    "service_family": NAME,
    "admin_family": f"{NAME}-admin",
    "container_name": "api",
    "container_port": 8000,
    "execution_role_arn": roles["execution"],
    "task_role_arn": roles["task"],
    "admin_execution_role_arn": roles["admin-execution"],
    "admin_task_role_arn": roles["admin-task"],
    "log_group_name": f"/ecs/{NAME}",
    "admin_log_group_name": f"/ecs/{NAME}",
    "target_group_arn": group[0]["TargetGroupArn"],
    "public_url": PUBLIC_URL,
    "private_subnet_ids": ["subnet-1"],
    "service_security_group_ids": ["sg-1"],
    "admin_security_group_ids": ["sg-2"],
    "database": {
        "host": "database",
        "port": 5432,
        "name": "settlement",
        "master_secret_arn": secrets.create_secret(Name="master", SecretString="{}")["ARN"],
        "max_connections": 100,
        "instance_identifier": NAME,
    },
    "app_database_secret_arn": secrets.create_secret(Name="app", SecretString="{}")["ARN"],
    "scalable_target": {
        "resource_id": f"service/{NAME}/{NAME}",
        "service_namespace": "ecs",
        "scalable_dimension": "ecs:service:DesiredCount",
        "min_capacity": 2,
        "max_capacity": 4,
    },
    "cpu_architecture": "X86_64",
}
Path(PATH).write_text(json.dumps(outputs))
