"""src/local_cloud/environment.py: start, start again, a killed cloud, conflicts, and removal."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_cloud import environment
from local_cloud.core import authority
from local_cloud.daemon import control
from local_cloud.environment import Settings
from local_cloud.host.errors import LocalCloudError
from local_cloud.host.network import NetworkSpec
from tests.local_cloud.conftest import REPOSITORY, docker_client, wait_for
from tests.support import images
from tests.support.ports import free_port

pytestmark = pytest.mark.local_cloud

SUBNET = "172.31.232.0/24"
GATEWAY = "172.31.232.1"


def make_settings(directory: Path, instance: str) -> Settings:
    image_settings = images.settings()
    name = f"settlement-test-{instance}"
    return Settings(
        project=REPOSITORY,
        cloud={
            "instance": instance,
            "region": "ap-northeast-2",
            "account_id": "000000000000",
            "work_dir": str(directory / "cloud"),
            "network_name": name,
            "gateway_address": GATEWAY,
            "api_port": free_port(),
            "autoscaling_port": free_port(),
            "load_balancer_port": free_port(),
            "load_balancer_image": image_settings.haproxy,
            "helper_image": image_settings.base,
            "image_prefix": image_settings.prefix,
        },
        network=NetworkSpec(name, SUBNET, GATEWAY),
        images=image_settings,
        database_authority=directory / "rds-ca.pem",
        forget=(directory / "terraform",),
    )


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    images.prepare(tmp_path / "images")
    settings = make_settings(tmp_path, f"test-{os.getpid()}")
    yield settings
    environment.down(settings, print)


def left_over(settings: Settings) -> list[Any]:
    """Return containers, volumes and networks with the environment's label."""
    selector: Any = {"label": f"fargate.local={settings.config.instance}"}
    client = docker_client()
    found = [
        *client.containers.list(all=True, filters=selector, ignore_removed=True),
        *client.volumes.list(filters=selector),
        *client.networks.list(filters=selector),
    ]
    client.close()
    return found


def test_from_nothing_to_nothing(settings: Settings) -> None:
    planned = environment.up(settings, print, check=True)
    assert planned.changed
    assert not settings.config.work_dir.exists()
    assert not left_over(settings)

    assert environment.up(settings, print).changed
    again = environment.up(settings, print)
    assert (again.changed, again.actions) == (False, [])
    assert set(again.images) == {"base", "postgres", "haproxy"}
    assert settings.database_authority.read_bytes() == authority.certificate_file(settings.config).read_bytes()

    # Another checkout refuses to touch it.
    other = dataclasses.replace(settings, cloud={**settings.cloud, "work_dir": str(settings.project / ".other/cloud")})
    with pytest.raises(LocalCloudError, match=r"another checkout runs.*make down.*#two-checkouts-at-the-same-time"):
        environment.up(other, print, check=True)
    foreign = dataclasses.replace(other, database_authority=settings.project / ".other/ca.pem", forget=())
    assert not environment.down(foreign, print, check=True).changed

    settings.forget[0].mkdir()
    would = environment.down(settings, print, check=True).actions
    assert control.running_pid(settings.config) is not None
    assert set(environment.down(settings, print).actions) <= set(would)
    assert not left_over(settings)
    assert not any(path.exists() for path in (settings.config.work_dir, settings.database_authority, *settings.forget))
    assert not environment.down(settings, print).changed


def test_after_a_kill_and_after_a_change(settings: Settings) -> None:
    image = environment.up(settings, print).images["base"]
    published = settings.database_authority.read_bytes()
    pid = control.running_pid(settings.config)
    assert pid is not None
    client = docker_client()
    stale = client.containers.create(image, labels=settings.config.labels)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: control.probe(settings.config) is None)
    environment.up(settings, print)
    assert control.running_pid(settings.config) not in (None, pid)
    assert stale not in client.containers.list(all=True, ignore_removed=True)
    client.close()

    moved = dataclasses.replace(settings, cloud={**settings.cloud, "load_balancer_port": free_port()})
    assert environment.up(moved, print).actions == [
        f"cloud on {settings.config.api_url}: restart, its settings changed"
    ]
    assert settings.database_authority.read_bytes() == published, "images that were built still trust the database"


@pytest.mark.parametrize("name", ["api", "autoscaling", "load_balancer"])
def test_a_strangers_port_is_named_with_the_variable(settings: Settings, name: str) -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", settings.cloud[f"{name}_port"]))
        stranger.listen()
        with pytest.raises(LocalCloudError, match=rf"taken by pid {os.getpid()} .*-e local_cloud_{name}_port="):
            environment.up(settings, print)
    assert not left_over(settings)


def test_a_strangers_network_is_left_alone(settings: Settings) -> None:
    client = docker_client()
    stranger = client.networks.create(settings.network.name)
    try:
        with pytest.raises(LocalCloudError, match=rf"docker network rm {settings.network.name}"):
            environment.up(settings, print)
        assert stranger in client.networks.list()
    finally:
        stranger.remove()
        client.close()
