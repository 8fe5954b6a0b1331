"""Create what Terraform would create, and write its outputs; push an image, and write the fact of image_build.

Usage: ``environment.py <empty or serving> <outputs.json> <public url>``, with ``image.json`` beside the outputs;
``serving`` also makes a first release of two tasks, with its entry in the ledger.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3

from fargate_ops.release.journal import incarnation
from fargate_ops.state.ledger import Event, Ledger, Outcome, release_id

SERVICE, PATH, PUBLIC_URL = sys.argv[1:]
NAME, ACCOUNT, REGION = "storefront-molecule", "000000000000", "ap-northeast-2"
VERSION, SCHEMA_HEAD, ARCHITECTURE = "0123456789ab", "0001", "X86_64"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def send(method: str, url: str, body: bytes = b"", content_type: str = "application/octet-stream") -> str:
    """Send one step of a push; return the location of the next one."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.headers["Location"])


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_image() -> dict[str, Any]:
    """Push an image without layers: nothing runs it, only its configuration is read.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
    """
    boto3.client("ecr").create_repository(repositoryName="storefront")
    registry = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
    repository = f"http://{registry}/v2/storefront"
    configuration = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {}}}).encode()
    upload = urlsplit(send("POST", f"{repository}/blobs/uploads/")).path
    send("PUT", f"http://{registry}{upload}?digest={digest_of(configuration)}", configuration)
    config = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "digest": digest_of(configuration),
        "size": len(configuration),
    }
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": []}).encode()
    send("PUT", f"{repository}/manifests/{VERSION}", manifest, MANIFEST_TYPE)
    return {
        "version": VERSION,
        "digest": digest_of(manifest),
        "image": f"{registry}/storefront@{digest_of(manifest)}",
        "schema_head": SCHEMA_HEAD,
        "architecture": ARCHITECTURE,
    }


image = push_image()
s3, ecs, elbv2, logs, secrets, iam = (
    boto3.client(name) for name in ("s3", "ecs", "elbv2", "logs", "secretsmanager", "iam")
)
s3.create_bucket(Bucket="state", CreateBucketConfiguration={"LocationConstraint": REGION})
group = elbv2.create_target_group(Name=NAME, Protocol="HTTP", Port=8000, VpcId="vpc-1", TargetType="ip")["TargetGroups"]
logs.create_log_group(logGroupName=f"/ecs/{NAME}")
allow = {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
trust = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
credentials = json.dumps({"username": "storefront", "password": "value-of-the-secret"})
roles = {
    name: iam.create_role(RoleName=f"{NAME}-{name}", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    for name in ("execution", "task", "admin-execution", "admin-task")
}
read = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
for name in ("execution", "admin-execution"):
    policy = json.dumps({"Version": "2012-10-17", "Statement": [read]})
    iam.put_role_policy(RoleName=f"{NAME}-{name}", PolicyName="read-secrets", PolicyDocument=policy)
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
    loadBalancers=[{"targetGroupArn": group[0]["TargetGroupArn"], "containerName": "api", "containerPort": 8000}],
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
        "name": "storefront",
        "master_secret_arn": secrets.create_secret(Name="master", SecretString=credentials)["ARN"],
        "max_connections": 100,
        "instance_identifier": NAME,
    },
    "app_database_secret_arn": secrets.create_secret(Name="app", SecretString=credentials)["ARN"],
    "scalable_target": {
        "resource_id": f"service/{NAME}/{NAME}",
        "service_namespace": "ecs",
        "scalable_dimension": "ecs:service:DesiredCount",
        "min_capacity": 2,
        "max_capacity": 4,
        "timezone": "Asia/Seoul",
        "scheduled_actions": [],
    },
    "cpu_architecture": ARCHITECTURE,
}


def register(family: str) -> str:
    log = {"awslogs-group": f"/ecs/{NAME}", "awslogs-region": REGION, "awslogs-stream-prefix": "api"}
    answer = ecs.register_task_definition(
        family=family,
        containerDefinitions=[
            {
                "name": "api",
                "image": image["image"],
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
    """Make a first release of two tasks, recorded as a success."""
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
        digest=image["digest"],
        revision=revision,
        by="molecule",
        at=now,
    )
    Ledger(s3, "state", "molecule").append(event)


if SERVICE == "serving":
    serve()
Path(PATH).with_name("image.json").write_text(json.dumps(image))
Path(PATH).write_text(json.dumps(outputs))
