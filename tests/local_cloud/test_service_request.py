"""src/local_cloud/core/service_request.py: the patches see the same service, action and caller in a request.

The cloud of these tests has no containers and needs no Docker.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from local_cloud.core.weather import Answer, Weather
from tests.local_cloud.conftest import RunningCloud, configure

pytestmark = pytest.mark.local_cloud

ECS = {"X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters", "Content-Type": "application/x-amz-json-1.1"}


def seed_that_throttles(*actions: str) -> int:
    """Return a seed whose weather throttles the first call of each action."""

    async def ask() -> Answer:
        return 200, {}, b""

    def throttles(seed: int) -> bool:
        return all(asyncio.run(Weather(seed).answer(action, None, ask))[0] == 400 for action in actions)

    return next(seed for seed in count() if throttles(seed))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    work_dir = tmp_path_factory.mktemp("requests")
    cloud = configure(
        work_dir,
        instance=f"test-{work_dir.name}",
        network_name="none",
        gateway_address="127.0.0.2",
        load_balancer_image=None,
        call_log=str(work_dir / "calls.jsonl"),
        weather=seed_that_throttles("ecs:ListClusters", "iam:ListRoles"),
    )
    started = cloud.command("--detach")
    assert started.returncode == 0, started.stderr
    yield cloud
    assert cloud.command("--stop").returncode == 0


def written(cloud: RunningCloud, action: str) -> list[dict[str, Any]]:
    assert cloud.config.call_log
    lines = map(json.loads, cloud.config.call_log.read_text().splitlines())
    return [line for line in lines if line["action"] == action]


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (lambda client: client("ecr").describe_repositories(), "ecr:DescribeRepositories"),
        (lambda client: client("elbv2").describe_load_balancers(), "elasticloadbalancing:DescribeLoadBalancers"),
        (lambda client: client("ec2").describe_vpcs(), "ec2:DescribeVpcs"),
        (lambda client: client("lambda").list_functions(), "lambda:ListFunctions"),
        (lambda client: client("s3").list_buckets(), "s3:ListAllMyBuckets"),
    ],
    ids=["JSON", "form", "EC2's form", "REST", "S3"],
)
def test_each_protocols_action_is_found(cloud: RunningCloud, call: Callable[[Any], Any], action: str) -> None:
    call(cloud.client)
    (line,) = written(cloud, action)
    assert line["key"] == "test"


@pytest.mark.parametrize(
    ("service", "operation", "action", "code"),
    [
        ("ecs", "list_clusters", "ecs:ListClusters", "ThrottlingException"),
        ("iam", "list_roles", "iam:ListRoles", "Throttling"),
    ],
)
def test_weather_is_drawn_for_the_action(
    cloud: RunningCloud, service: str, operation: str, action: str, code: str
) -> None:
    unsigned = requests.post(cloud.config.api_url, headers=ECS, data="{}", timeout=60)
    assert unsigned.status_code == 200, "a request without a signature draws nothing"
    with pytest.raises(ClientError) as throttled:
        getattr(cloud.client(service), operation)()
    assert throttled.value.response["Error"]["Code"] == code
    (line,) = written(cloud, action)
    assert line["key"] == "test", "throttled calls are logged, unsigned ones are not"


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "action"),
    [
        ("sqs", "create_queue", {"QueueName": "x", "tags": {"aws:x": "x"}}, "sqs:CreateQueue"),
        ("sns", "create_topic", {"Name": "x", "Tags": [{"Key": "aws:x", "Value": "x"}]}, "sns:CreateTopic"),
    ],
)
def test_a_reserved_tag_is_found_in_json_and_in_a_form(
    cloud: RunningCloud, service: str, operation: str, arguments: dict[str, Any], action: str
) -> None:
    with pytest.raises(ClientError, match="aws: prefixed tag keys are not allowed"):
        getattr(cloud.client(service), operation)(**arguments)
    (line,) = written(cloud, action)
    assert line["request_tags"] == {"aws:x": "x"}
