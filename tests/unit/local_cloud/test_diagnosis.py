"""What the local environment needs of a machine is listed at once, without a change."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_cloud.environment import Settings, diagnose
from local_cloud.host import engine
from local_cloud.host.images import ImageSettings
from local_cloud.host.network import NetworkSpec
from tests.support.ports import free_port


@pytest.fixture
def held() -> Iterator[int]:
    """A port at which another process would listen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def settings(folder: Path, api_port: int) -> Settings:
    return Settings(
        project=folder,
        cloud={
            "instance": "unit",
            "region": "ap-northeast-2",
            "account_id": "000000000000",
            "work_dir": str(folder / "cloud"),
            "network_name": "unit",
            "gateway_address": "172.31.233.1",
            "api_port": api_port,
            "autoscaling_port": free_port(),
            "load_balancer_port": free_port(),
            "load_balancer_image": "haproxy",
            "image_prefix": "unit",
        },
        network=NetworkSpec("unit", "172.31.233.0/24", "172.31.233.1"),
        images=ImageSettings("unit", {}, "trixie", "", 1),
        database_authority=folder / "ca.pem",
    )


def test_a_missing_docker_and_a_held_port_are_both_named(
    tmp_path: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(
        engine, "observe", lambda: engine.Host(frozenset({"debian"}), False, "ann", systemd=False, installed=False)
    )
    found = {finding.check: finding for finding in diagnose(settings(tmp_path, held))}
    assert list(found) == ["docker", "ports", "network", "images"]
    assert found["docker"].problems == (
        "Docker is not installed, and only root can install it. Next: `sudo apt-get install docker.io`.",
    )
    (taken,) = found["ports"].problems
    assert f"port {held} on 127.0.0.1 (local_cloud_api_port) is taken by pid {os.getpid()} " in taken
    assert found["network"].unknown
    assert list(tmp_path.iterdir()) == [], "nothing is changed"


def test_an_engine_that_the_local_cloud_starts_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(
        engine, "observe", lambda: engine.Host(frozenset({"debian"}), True, "root", systemd=False, installed=True)
    )
    found = {finding.check: finding for finding in diagnose(settings(tmp_path, free_port()))}
    assert not [finding for finding in found.values() if finding.problems]
    assert found["docker"].summary == "installed; the local cloud starts it"
    assert found["ports"].summary.endswith(": free")
