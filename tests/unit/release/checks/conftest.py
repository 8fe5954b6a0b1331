"""A whole environment in this process: AWS emulated by moto, and a registry over HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from fargate_ops.core.application import Application
from fargate_ops.ecs.task_definition import Image, Settings, service_definition
from fargate_ops.release.checks.checks import CLIENTS, Wanted, check
from fargate_ops.release.checks.findings import Finding, Verdict
from fargate_ops.terraform.stack import Stack
from tests.terraform.policies import Call, allows
from tests.unit.release.conftest import APPLICATION

NAME, REGION = "settlement-test", "ap-northeast-2"
PASSWORD = "hunter2-never-shown"
SETTINGS = Settings(
    cpu=256,
    memory=512,
    workers=2,
    pool_size=10,
    max_overflow=0,
    environment={"LOG_LEVEL": "INFO"},
    secrets={},
    admin_environment={},
)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


class Refused:
    """A client that refuses some operations."""

    def __init__(self, client: Any, refused: dict[str, Exception]) -> None:
        self._client = client
        self._refused = refused

    def __getattr__(self, name: str) -> Any:
        error = self._refused.get(name)
        if error is None:
            return getattr(self._client, name)

        def refuse(*_: Any, **__: Any) -> None:
            raise error

        return refuse


class Simulating:
    """IAM with the one operation that moto lacks, evaluated on moto's inline policies."""

    def __init__(self, iam: Any) -> None:
        self._iam = iam

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iam, name)

    def simulate_principal_policy(
        self, *, PolicySourceArn: str, ActionNames: list[str], ResourceArns: list[str]
    ) -> dict[str, Any]:
        role = PolicySourceArn.rsplit("/", 1)[-1]
        names = self._iam.list_role_policies(RoleName=role)["PolicyNames"]
        policies = [self._iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        (action,), (resource,) = ActionNames, ResourceArns
        decision = "allowed" if allows(policies, Call(action, resource)) else "implicitDeny"
        return {"EvaluationResults": [{"EvalDecision": decision}]}


def client_error(code: str, operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@dataclass
class World:
    """What Terraform and a first release created. Tests change it through the clients, then run the checks."""

    outputs: dict[str, Any]
    image: Image | None
    configuration: dict[str, Any]
    refused: dict[str, Exception] = field(default_factory=dict)
    application: Application = APPLICATION
    settings: Settings = SETTINGS
    preview: bool = False
    slack: bool = False

    @property
    def stack(self) -> Stack:
        return Stack(self.outputs, "test")

    def client(self, name: str) -> Any:
        client = _client(name)
        return Refused(Simulating(client) if name == "iam" else client, self.refused)

    def look(self) -> list[Finding]:
        wanted = Wanted(
            environment="test",
            stack=self.stack,
            application=self.application,
            settings=self.settings,
            image=self.image,
            preview=self.preview,
            slack=self.slack,
        )
        return check(self, wanted)

    def of(self, group: str) -> list[tuple[Verdict, str]]:
        """Return verdict and reason of each finding of a group."""
        return [(finding.verdict, finding.reason) for finding in self.look() if finding.group == group]

    def only(self, verdict: Verdict) -> Finding:
        """Return the only finding with this verdict; all others must be OK."""
        others = [finding for finding in self.look() if finding.verdict is not Verdict.OK]
        assert [finding.verdict for finding in others] == [verdict], others
        return others[0]


_clients: dict[str, Any] = {}


def _client(name: str) -> Any:
    """Return one client for all tests: creating one takes longer than most tests."""
    if name not in _clients:
        _clients[name] = boto3.client(name, region_name=REGION, aws_access_key_id="k", aws_secret_access_key="s")
    return _clients[name]


@pytest.fixture
def registry() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the address of a registry with one image, and the image's configuration, which a test may change."""
    configuration: dict[str, Any] = {"architecture": "amd64", "config": {"Labels": {}}}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            manifest = {"config": {"digest": "sha256:configuration"}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(configuration if "/blobs/" in self.path else manifest).encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", configuration
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def world(registry: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = {name: _client(name) for name in (*CLIENTS, "ssm")}
        image = _push(made["ecr"], registry[0])
        world = World(outputs=_apply(made), image=image, configuration=registry[1])
        _release(made["ecs"], world.stack, image)
        yield world


def _push(ecr: Any, address: str) -> Image:
    ecr.create_repository(repositoryName="settlement")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"digest": "sha256:configuration"},
            "layers": [],
        }
    )
    ecr.put_image(repositoryName="settlement", imageManifest=manifest, imageTag="v1")
    digest = ecr.describe_images(repositoryName="settlement")["imageDetails"][0]["imageDigest"]
    return Image(version="v1", digest=digest, reference=f"{address}/settlement@{digest}", schema_head="0001")


def _apply(made: dict[str, Any]) -> dict[str, Any]:
    roles = {
        kind: made["iam"].create_role(RoleName=f"{NAME}-{kind}", AssumeRolePolicyDocument=json.dumps(TRUST))
        for kind in ("execution", "task", "admin-execution", "admin-task")
    }
    for group in (f"/ecs/{NAME}", f"/ecs/{NAME}-admin"):
        made["logs"].create_log_group(logGroupName=group)
    credentials = json.dumps({"username": "app", "password": PASSWORD})
    secrets = {
        kind: made["secretsmanager"].create_secret(Name=kind, SecretString=credentials)["ARN"]
        for kind in ("app", "master")
    }
    for kind, secret in (("execution", "app"), ("admin-execution", "master")):
        allow = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secrets[secret]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        made["iam"].put_role_policy(RoleName=f"{NAME}-{kind}", PolicyName="start-tasks", PolicyDocument=policy)
    vpc = _client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    group = made["elbv2"].create_target_group(Name=NAME, Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="ip")
    made["ecs"].create_cluster(clusterName=NAME)
    return {
        "name_prefix": NAME,
        "region": REGION,
        "cluster_name": NAME,
        "service_name": NAME,
        "service_family": NAME,
        "admin_family": f"{NAME}-admin",
        "container_name": "api",
        "container_port": 8000,
        "execution_role_arn": roles["execution"]["Role"]["Arn"],
        "task_role_arn": roles["task"]["Role"]["Arn"],
        "admin_execution_role_arn": roles["admin-execution"]["Role"]["Arn"],
        "admin_task_role_arn": roles["admin-task"]["Role"]["Arn"],
        "log_group_name": f"/ecs/{NAME}",
        "admin_log_group_name": f"/ecs/{NAME}-admin",
        "target_group_arn": group["TargetGroups"][0]["TargetGroupArn"],
        "database": {
            "host": "db",
            "port": 5432,
            "name": "settlement",
            "master_secret_arn": secrets["master"],
            "instance_identifier": "settlement-test",
        },
        "app_database_secret_arn": secrets["app"],
        "cpu_architecture": "X86_64",
    }


def _release(ecs: Any, stack: Stack, image: Image) -> None:
    definition = service_definition(stack, APPLICATION, SETTINGS, image)
    tags = [{"key": "version", "value": image.version}]
    revision = ecs.register_task_definition(**definition, tags=tags)["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(
        cluster=NAME,
        serviceName=NAME,
        taskDefinition=revision,
        desiredCount=0,
        loadBalancers=[
            {"targetGroupArn": stack.target_group_arn, "containerName": "api", "containerPort": 8000},
        ],
    )
