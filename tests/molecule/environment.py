"""Make what Terraform would have made, and write its outputs.

Usage: ``environment.py <empty or serving> <outputs.json> <public url>``; ``serving`` goes on to a first release of two
tasks, with its entry in the ledger.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from roles.ecs_release.python.release import incarnation
from roles.release_ledger.python.ledger import Event, Ledger, Outcome, release_id

SERVICE, PATH, PUBLIC_URL = sys.argv[1:]
NAME, ACCOUNT, REGION = "settlement-molecule", "000000000000", "ap-northeast-2"
VERSION, DIGEST = "0123456789ab", "sha256:" + "1".rjust(64, "0")

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


def register(family: str) -> str:
    log = {"awslogs-group": f"/ecs/{NAME}", "awslogs-region": REGION, "awslogs-stream-prefix": "api"}
    answer = ecs.register_task_definition(
        family=family,
        containerDefinitions=[
            {
                "name": "api",
                "image": f"registry/settlement@{DIGEST}",
                "logConfiguration": {"logDriver": "awslogs", "options": log},
            }
        ],
        tags=[{"key": "version", "value": VERSION}],
    )
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def service() -> dict[str, Any]:
    found: dict[str, Any] = ecs.describe_services(cluster=NAME, services=[NAME])["services"][0]
    return found


def serve() -> None:
    """A first release: two tasks, recorded as a success."""
    register(f"{NAME}-admin")
    revision = register(NAME)
    ecs.update_service(cluster=NAME, service=NAME, taskDefinition=revision, desiredCount=2)
    deadline = time.monotonic() + 30
    while service()["deployments"][0]["rolloutState"] != "COMPLETED":
        if time.monotonic() > deadline:
            raise TimeoutError(f"the first release did not complete: {service()['deployments']}")
        time.sleep(0.1)
    now = datetime.now(UTC)
    event = Event(
        release=release_id(VERSION, now),
        outcome=Outcome.SUCCEEDED,
        service=incarnation(service()),
        version=VERSION,
        digest=DIGEST,
        revision=revision,
        by="molecule",
        at=now,
    )
    Ledger(s3, "state", "molecule").append(event)


if SERVICE == "serving":
    serve()
Path(PATH).write_text(json.dumps(outputs))
