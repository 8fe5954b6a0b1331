"""src/local_cloud/core/call_log.py, written by both emulators."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import requests

from tests.local_cloud.conftest import RunningCloud
from tests.terraform.policies import Identity
from tests.terraform.rights import identity_of

pytestmark = pytest.mark.local_cloud

HERE = "ap-northeast-2:000000000000"


@pytest.fixture(scope="module")
def cloud(start_cloud: Callable[..., RunningCloud], tmp_path_factory: pytest.TempPathFactory) -> RunningCloud:
    return start_cloud(call_log=str(tmp_path_factory.mktemp("log") / "calls.jsonl"), load_balancer_image=None)


def written(cloud: RunningCloud, action: str) -> list[dict[str, Any]]:
    assert cloud.config.call_log
    lines = map(json.loads, cloud.config.call_log.read_text().splitlines())
    return [line for line in lines if line["action"] == action]


def test_a_call_says_who_which_action_on_what(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Environment", "Value": "local"}]}]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")
    (made,), (within,) = written(cloud, "ec2:CreateVpc"), written(cloud, "ec2:CreateSubnet")
    assert (made["key"], made["principal"], made["request_tags"]) == ("test", None, {"Environment": "local"})
    assert made["tags"] == {}
    assert (within["parameters"], within["tags"]) == ({"VpcId": [vpc]}, {vpc: {"Environment": "local"}})


def test_no_secrets_value_is_written(cloud: RunningCloud) -> None:
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name="kept", SecretString="hunter2")["ARN"]
    secrets.get_secret_value(SecretId="kept")
    assert cloud.config.call_log
    assert "hunter2" not in cloud.config.call_log.read_text()
    (read,) = written(cloud, "secretsmanager:GetSecretValue")
    assert read["resource"] == arn


def test_actions_are_named_as_iam_names_them(cloud: RunningCloud) -> None:
    s3, functions = cloud.client("s3"), cloud.client("lambda")
    s3.create_bucket(Bucket="one", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
    s3.list_objects_v2(Bucket="one")
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.put_function_event_invoke_config(FunctionName="none", MaximumRetryAttempts=2)
    assert written(cloud, "s3:ListBucket")[0]["resource"] == "arn:aws:s3:::one"
    (refused,) = written(cloud, "lambda:PutFunctionEventInvokeConfig")
    assert refused["resource"] == f"arn:aws:lambda:{HERE}:function:none"
    arc = cloud.client("arc-zonal-shift")
    balancer = f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/none/1"
    with pytest.raises(arc.exceptions.ResourceNotFoundException):
        arc.get_managed_resource(resourceIdentifier=balancer)
    assert written(cloud, "arc-zonal-shift:GetManagedResource")[0]["resource"] == balancer


def test_a_roles_session_is_named(cloud: RunningCloud) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
    role = cloud.client("iam").create_role(RoleName="plan", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    given = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="one")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], "ap-northeast-2")
    session.client("sqs", endpoint_url=cloud.config.api_url).list_queues()
    scaling = f"http://127.0.0.1:{cloud.config.autoscaling_port}"
    session.client("application-autoscaling", endpoint_url=scaling).describe_scalable_targets(ServiceNamespace="ecs")
    for action in ("sqs:ListQueues", "application-autoscaling:DescribeScalableTargets"):
        (call,) = written(cloud, action)
        assert call["key"] == given["AccessKeyId"]
        assert call["principal"] == "arn:aws:sts::000000000000:assumed-role/plan/one"


def test_a_roles_rights_are_read_as_iam_has_them(cloud: RunningCloud) -> None:
    iam = cloud.client("iam")
    documents = [
        {"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]} for action in ("s3:*", "ecs:*")
    ]
    arns = [
        iam.create_policy(PolicyName=f"rights-{number}", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        for number, document in enumerate(documents)
    ]
    trust = {"Statement": []}
    iam.create_role(RoleName="bound", AssumeRolePolicyDocument=json.dumps(trust), PermissionsBoundary=arns[1])
    iam.attach_role_policy(RoleName="bound", PolicyArn=arns[0])
    assert identity_of(iam, "bound") == Identity(trust, [documents[0]], documents[1])


def test_a_scalable_target_is_named_by_its_arn_and_has_its_tags(cloud: RunningCloud) -> None:
    scaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/one/one",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    limits = {"MinCapacity": 1, "MaxCapacity": 2}
    made = scaling.register_scalable_target(**target, **limits, Tags={"Environment": "local"})["ScalableTargetARN"]
    scaling.register_scalable_target(**target, **limits)
    first, second = written(cloud, "application-autoscaling:RegisterScalableTarget")
    assert (first["resource"], first["request_tags"], first["tags"]) == ("*", {"Environment": "local"}, {})
    assert (second["resource"], second["tags"]) == (made, {made: {"Environment": "local"}})


def test_a_push_is_its_callers(cloud: RunningCloud) -> None:
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="images")
    ecr.get_authorization_token()
    requests.post(f"{cloud.config.api_url}/v2/images/blobs/uploads/", timeout=60)
    (push,) = written(cloud, "ecr:InitiateLayerUpload")
    assert (push["key"], push["resource"]) == ("test", f"arn:aws:ecr:{HERE}:repository/images")
