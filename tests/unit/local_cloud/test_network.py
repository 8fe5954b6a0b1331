"""The subnet of the local environment: valid, and free on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from roles.local_cloud.python import network
from roles.local_cloud.python.errors import LocalCloudError
from roles.local_cloud.python.network import NetworkSpec

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1234\t00F11FAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    path = tmp_path / "route"
    path.write_text(ROUTES)
    return path


def test_host_routes(routes: Path) -> None:
    assert [(interface, str(route)) for interface, route in network.host_routes(routes)] == [
        ("docker0", "172.17.0.0/16"),
        ("br-1234", "172.31.241.0/24"),
    ]


@pytest.mark.parametrize(
    ("subnet", "overlap"),
    [
        ("172.31.240.0/24", None),
        ("172.31.240.0/23", "172.31.241.0/24 on br-1234"),
        ("172.17.9.0/24", "172.17.0.0/16 on docker0"),
    ],
)
def test_find_overlap(routes: Path, subnet: str, overlap: str | None) -> None:
    assert network.find_overlap(subnet, network.host_routes(routes)) == overlap


def test_docker_assigns_from_the_lower_half() -> None:
    assert NetworkSpec("n", "172.31.240.0/24", "172.31.240.1").automatic_range == "172.31.240.0/25"


@pytest.mark.parametrize(
    ("subnet", "gateway"),
    [("172.31.240.5/24", "172.31.240.1"), ("172.31.240.0/24", "172.31.241.1"), ("172.31.240.0/28", "172.31.240.1")],
)
def test_impossible_networks_name_the_variable(subnet: str, gateway: str) -> None:
    with pytest.raises(LocalCloudError, match="local_cloud_network_subnet"):
        NetworkSpec("n", subnet, gateway)
