"""A container runs as its definition says, only on the cloud's network."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from local_cloud.ecs.task_containers import container_arguments
from tests.local_cloud.conftest import wait_for
from tests.local_cloud.services import StubService


def test_definition_fields_become_docker_arguments() -> None:
    arguments = container_arguments(
        {
            "entryPoint": ["sh"],
            "workingDirectory": "/srv",
            "user": "1000:1000",
            "readonlyRootFilesystem": True,
            "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
            "memoryReservation": 64,
        },
        {"memory": "512"},
    )
    assert arguments == {
        "entrypoint": ["sh"],
        "working_dir": "/srv",
        "user": "1000:1000",
        "read_only": True,
        "init": True,
        "cap_drop": ["ALL"],
        "mem_limit": 512 * 1024**2,
        "memswap_limit": 512 * 1024**2,
        "mem_reservation": 64 * 1024**2,
    }
    assert container_arguments({"memory": 128}, {"memory": "512"})["mem_limit"] == 128 * 1024**2


@pytest.fixture
def address(make: Callable[..., StubService]) -> tuple[StubService, str]:
    """A running task that uses every setting, and its address."""
    service = make()
    secret = service.cloud.client("secretsmanager").create_secret(
        Name=service.name, SecretString=json.dumps({"username": "u", "password": "p"})
    )["ARN"]
    definition: dict[str, Any] = {
        "user": "1000",
        "readonlyRootFilesystem": True,
        "mountPoints": [
            {"sourceVolume": "scratch", "containerPath": "/scratch"},
            {"sourceVolume": "agents", "containerPath": "/managed-agents"},
            {"sourceVolume": "state", "containerPath": "/var/lib/amazon/ssm"},
            {"sourceVolume": "log", "containerPath": "/var/log/amazon/ssm"},
        ],
        "secrets": [{"name": "PASSWORD", "valueFrom": f"{secret}:password::"}],
        "memory": 256,
    }
    volumes = [{"name": name} for name in ("scratch", "agents", "state", "log")]
    task_definition = service.register(definition=definition, volumes=volumes)
    service.create(task_definition, desired=1, enableExecuteCommand=True)
    service.wait_deployed()
    return service, next(iter(service.target_states()))


def get(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}:8000{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.local_cloud
def test_a_running_container_is_as_defined(address: tuple[StubService, str]) -> None:
    service, ip = address
    config = service.cloud.config
    (container,) = service.cloud.containers("ministack=ecs", f"com.amazonaws.ecs.cluster={cluster_arn(service)}")
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 256 * 1024**2
    assert list(container.attrs["NetworkSettings"]["Networks"]) == [config.network_name]
    assert not any(container.attrs["NetworkSettings"]["Ports"].values())

    assert "Read-only file system" in get(ip, "/write/file")[1]
    # The image declares no VOLUME there, so root owns it, as on Fargate, and user 1000 cannot write.
    assert "Permission denied" in get(ip, "/write/scratch/file")[1]

    environment = json.loads(get(ip, "/environment")[1])
    assert environment["PASSWORD"] == "p"
    assert environment["AWS_ENDPOINT_URL"] == config.container_api_url
    assert environment["AWS_REGION"] == config.region
    assert not [name for name in environment if name.lower().endswith("_proxy")], "of Docker's configuration, say"
    metadata = environment["ECS_CONTAINER_METADATA_URI_V4"]
    assert metadata.startswith(config.container_api_url)
    with urllib.request.urlopen(metadata + "/task", timeout=60) as answer:
        assert json.loads(answer.read())["Revision"] == "1"

    (task,) = service.tasks()
    (agent,) = task["containers"][0]["managedAgents"]
    assert agent["lastStatus"] == "RUNNING"
    run = {"cluster": service.cluster, "task": task["taskArn"], "command": "sh", "interactive": True}
    assert service.ecs.execute_command(**run)["session"]["streamUrl"]

    volumes = container.client.volumes
    made = volumes.list(filters={"label": f"fargate.local={config.instance}"})
    assert len(made) == 4
    service.update(desiredCount=0)
    wait_for(lambda: not any(volumes.list(filters={"name": volume.name}) for volume in made))


def cluster_arn(service: StubService) -> str:
    arn: str = service.describe()["clusterArn"]
    return arn
