"""A local cloud for tests, with its own ports, Docker network, label and state.

``cloud`` is one running cloud for the session; ``start_cloud`` starts others. Tests wait for conditions with
:func:`wait_for`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_cloud.core.config import CloudConfig
from tests.support import images
from tests.support.ports import free_port

if TYPE_CHECKING:
    from tests.local_cloud.services import StubService

REPOSITORY = Path(__file__).resolve().parents[2]

#: The shared cloud's zone ``localhost`` in Route 53
HOSTED_ZONE = "Z0TEST"
#: An address at which nothing listens
NOBODY = "http://127.0.0.1:9"


def wait_for(condition: Callable[[], Any], *, seconds: float = 240.0, what: str | None = None) -> Any:
    """Call ``condition`` until it returns a true value, and return that value.

    The limit is for a busy machine. A state that ends by itself may be missed: wait for one that stays.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what or condition}")
        time.sleep(0.2)


@dataclasses.dataclass(frozen=True)
class RunningCloud:
    """A cloud that a test started, with its command line and API clients."""

    config: CloudConfig
    config_file: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the cloud's command line, as the role does."""
        return subprocess.run(
            [
                *(sys.executable, "-m", "local_cloud.daemon", "--config", str(self.config_file)),
                *("--timeout", "240", *arguments),
            ],
            cwd=REPOSITORY / "src",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def client(self, service: str) -> Any:
        """Return a boto3 client for a service of this cloud."""
        import boto3
        from botocore.config import Config

        port = self.config.api_port
        if service in {"application-autoscaling", "ce", "compute-optimizer", "eks"}:
            port = self.config.autoscaling_port
        return boto3.client(
            service,
            endpoint_url=f"http://{self.config.loopback_address}:{port}",
            region_name=self.config.region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                retries={"total_max_attempts": 1},
                read_timeout=120,
                proxies={},
                # AWS requires at least 5 s between health checks; tests use less to be fast.
                parameter_validation=service != "elbv2",
            ),
        )

    def containers(self, *labels: str) -> list[Any]:
        """Return every container of this cloud that also has these labels."""
        wanted = [f"fargate.local={self.config.instance}", *labels]
        found: list[Any] = docker_client().containers.list(all=True, filters={"label": wanted}, ignore_removed=True)
        return found


def docker_client() -> Any:
    docker = pytest.importorskip("docker")
    try:
        return docker.from_env()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker daemon: {error}")


def _create_network(instance: str) -> Any:
    """Create a network on the first free /24 that no environment of the project uses."""
    import docker

    client = docker_client()
    for third in range(244, 255):
        pool = docker.types.IPAMPool(subnet=f"172.31.{third}.0/24", gateway=f"172.31.{third}.1")
        try:
            return client.networks.create(
                f"settlement-test-{instance}",
                ipam=docker.types.IPAMConfig(pool_configs=[pool]),
                labels={"fargate.local": instance},
            )
        except docker.errors.APIError as error:
            if "overlap" not in str(error):
                raise
    pytest.fail("no free subnet for a test network in 172.31.244-254.0/24")


@pytest.fixture(scope="session")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The local environment's images by role."""
    docker_client().close()
    return images.prepare(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def stub_image(references: dict[str, str]) -> str:
    """The image of the stub application: the base image, which has Python."""
    return references["base"]


def strangers_shell(directory: Path) -> dict[str, str]:
    """Return variables that must not reach a cloud: proxies that do not answer, another AWS, another engine."""
    (directory / ".docker").mkdir()
    (directory / ".docker/config.json").write_text(json.dumps({"proxies": {"default": {"httpProxy": NOBODY}}}))
    return {
        **{name: NOBODY for proxy in ("http_proxy", "https_proxy", "all_proxy") for name in (proxy, proxy.upper())},
        "AWS_ENDPOINT_URL": NOBODY,
        "AWS_PROFILE": "nope",
        "HOME": str(directory),
        "DOCKER_CONFIG": str(directory / ".docker"),
        "DOCKER_HOST": NOBODY.replace("http", "tcp"),
    }


def configure(work_dir: Path, **settings: Any) -> RunningCloud:
    """Write the configuration of a cloud that has its own ports and keeps no state. It is not started."""
    document: dict[str, Any] = {
        "region": "ap-northeast-2",
        "account_id": "000000000000",
        "work_dir": str(work_dir),
        "api_port": free_port(),
        "autoscaling_port": free_port(),
        "load_balancer_port": free_port(),
        "persist_state": False,
        "database": {"base_port": free_port(), "persist": False},
        **settings,
    }
    config_file = work_dir / "cloud.json"
    config_file.write_text(json.dumps(document))
    return RunningCloud(CloudConfig.load(config_file), config_file, {**os.environ, **strangers_shell(work_dir)})


def clouds(factory: pytest.TempPathFactory, references: dict[str, str]) -> Iterator[Callable[..., RunningCloud]]:
    """Yield a function that starts a cloud from keys of its configuration. All clouds are stopped with the fixture."""
    started: list[tuple[RunningCloud, Any]] = []

    def start(**settings: Any) -> RunningCloud:
        instance = f"test-{uuid.uuid4().hex[:8]}"
        network = _create_network(instance)
        gateway = network.attrs.get("IPAM") or docker_client().networks.get(network.id).attrs["IPAM"]
        cloud = configure(
            factory.mktemp(instance),
            **{
                "instance": instance,
                "network_name": network.name,
                "gateway_address": gateway["Config"][0]["Gateway"],
                "load_balancer_image": references["haproxy"],
                "helper_image": references["base"],
                **settings,
            },
        )
        started.append((cloud, network))
        result = cloud.command("--detach")
        assert result.returncode == 0, result.stderr
        return cloud

    yield start
    for cloud, network in started:
        result = cloud.command("--stop")
        left = cloud.containers()
        for container in left:
            container.remove(force=True, v=True)
        network.remove()
        assert result.returncode == 0, result.stderr
        assert not left, f"the cloud left containers behind: {left}"


@pytest.fixture(scope="module")
def start_cloud(
    tmp_path_factory: pytest.TempPathFactory, references: dict[str, str]
) -> Iterator[Callable[..., RunningCloud]]:
    """Start a cloud for this file only."""
    yield from clouds(tmp_path_factory, references)


@pytest.fixture(scope="session")
def _start_shared(
    tmp_path_factory: pytest.TempPathFactory, references: dict[str, str]
) -> Iterator[Callable[..., RunningCloud]]:
    yield from clouds(tmp_path_factory, references)


@pytest.fixture(scope="session")
def cloud(_start_shared: Callable[..., RunningCloud]) -> RunningCloud:
    """The session's shared cloud."""
    return _start_shared(
        database={"persist": True}, load_balancer_https_port=free_port(), hosted_zones={HOSTED_ZONE: "localhost"}
    )


@pytest.fixture
def short_minutes(cloud: RunningCloud) -> Iterator[None]:
    """Let a minute of the shared cloud's alarms take a second."""
    assert json.loads(cloud.command("--minute", "1").stdout) == {"changed": True, "before": 60.0}
    yield
    assert json.loads(cloud.command("--minute", "60").stdout) == {"changed": True, "before": 1.0}


@pytest.fixture
def make(cloud: RunningCloud, stub_image: str) -> Iterator[Callable[..., StubService]]:
    """Create services of the stub application in the shared cloud; see ``services.make_service``."""
    from tests.local_cloud.services import make_service

    made: list[StubService] = []

    def build(**settings: Any) -> StubService:
        made.append(make_service(cloud, stub_image, **settings))
        return made[-1]

    yield build
    for service in made:
        service.delete()
