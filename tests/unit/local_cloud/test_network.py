"""The subnet of the local environment: valid, and free on this machine."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local_cloud.host import network
from local_cloud.host.errors import LocalCloudError
from local_cloud.host.network import NetworkSpec

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


SPEC = NetworkSpec("settlement-local", "172.31.240.0/24", "172.31.240.1")
OURS = {"fargate.local": "local"}


def docker_network(**attributes: Any) -> Any:
    """A network as Docker describes it."""
    pools = {"Config": [{"Subnet": SPEC.subnet, "Gateway": SPEC.gateway}]}
    return SimpleNamespace(id="1234567890abcdef", attrs={"IPAM": pools, "Labels": OURS, **attributes})


@pytest.mark.parametrize(
    ("attributes", "same"),
    [
        ({}, True),
        ({"Labels": {**OURS, "more": "1"}}, True),
        ({"Labels": {}}, False),
        ({"Labels": None}, False),
        ({"IPAM": {"Config": [{"Subnet": "172.31.241.0/24", "Gateway": "172.31.241.1"}]}}, False),
        ({"IPAM": None}, False),
    ],
)
def test_a_network_is_used_again_only_if_it_is_what_would_be_made(attributes: dict[str, Any], same: bool) -> None:
    assert network.matches(docker_network(**attributes), SPEC, OURS) is same


def test_whose_a_network_is() -> None:
    assert network.owner(docker_network(Labels={network.OWNER_LABEL: "/checkout"})) == "/checkout"
    assert network.owner(docker_network(Labels=None)) is None
    assert network.owner(None) is None


def test_a_taken_subnet_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [("br-1234567890ab", ipaddress.IPv4Network("172.31.240.0/20"))]
    monkeypatch.setattr(network, "host_routes", lambda: taken)
    with pytest.raises(LocalCloudError, match=r"overlaps with the route 172\.31\.240\.0/20 on br-1234567890ab"):
        network.check_routes(SPEC)
    network.check_routes(SPEC, ignore=docker_network())  # its own, about to be replaced
