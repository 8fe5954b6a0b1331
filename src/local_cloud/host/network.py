"""The Docker network of the local environment: one bridge with a fixed subnet."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_cloud.host.errors import LocalCloudError

if TYPE_CHECKING:
    import docker
    from docker.models.networks import Network

OWNER_LABEL = "fargate.local.owner"


@dataclass(frozen=True)
class NetworkSpec:
    """`subnet` in CIDR form; `gateway` is the host's address in it."""

    name: str
    subnet: str
    gateway: str

    def __post_init__(self) -> None:
        try:
            subnet = ipaddress.IPv4Network(self.subnet)
        except ValueError as error:
            raise LocalCloudError(f"local_cloud_network_subnet: {error}; an example is 172.31.240.0/24") from error
        if ipaddress.IPv4Address(self.gateway) not in subnet or subnet.prefixlen > 26:
            raise LocalCloudError(
                f"local_cloud_network_gateway {self.gateway} and local_cloud_network_subnet {self.subnet}: the subnet "
                f"must have at least 64 addresses and contain the gateway."
            )

    @property
    def automatic_range(self) -> str:
        """The lower half, from which Docker assigns addresses; databases have fixed ones in the upper half."""
        return str(next(ipaddress.IPv4Network(self.subnet).subnets(prefixlen_diff=1)))


def host_routes(table: Path = Path("/proc/net/route")) -> list[tuple[str, ipaddress.IPv4Network]]:
    """Return (interface, destination) of the IPv4 routes without the default route (proc_net(5): little-endian hex)."""
    routes = []
    for line in table.read_text().splitlines()[1:]:
        interface, destination, _, _, _, _, _, mask = line.split()[:8]
        address, netmask = (socket.inet_ntoa(struct.pack("<I", int(value, 16))) for value in (destination, mask))
        if netmask != "0.0.0.0":  # noqa: S104 - a netmask, nothing is bound to it
            routes.append((interface, ipaddress.IPv4Network(f"{address}/{netmask}")))
    return routes


def find_overlap(subnet: str, routes: Iterable[tuple[str, ipaddress.IPv4Network]]) -> str | None:
    """Return ``<network> on <interface>`` for the first route that overlaps `subnet`."""
    wanted = ipaddress.IPv4Network(subnet)
    return next((f"{route} on {interface}" for interface, route in routes if route.overlaps(wanted)), None)


def find(client: docker.DockerClient, spec: NetworkSpec) -> Network | None:
    """Return the network with exactly this name, or None."""
    return next((network for network in client.networks.list(names=[spec.name]) if network.name == spec.name), None)


def matches(network: Network, spec: NetworkSpec, labels: dict[str, str]) -> bool:
    """Return whether the network is as `create` would make it."""
    pools = (network.attrs.get("IPAM") or {}).get("Config") or [{}]
    same_labels = (network.attrs.get("Labels") or {}).items() >= labels.items()
    return same_labels and (pools[0].get("Subnet"), pools[0].get("Gateway")) == (spec.subnet, spec.gateway)


def owner(network: Network | None) -> str | None:
    """Return the directory of the checkout that created the network, or None if that is not recorded."""
    return None if network is None else (network.attrs.get("Labels") or {}).get(OWNER_LABEL)


def remove(network: Network) -> None:
    """Disconnect everything from the network and remove it."""
    network.reload()
    for identifier in network.attrs.get("Containers") or {}:
        network.disconnect(identifier, force=True)
    network.remove()


def check_routes(spec: NetworkSpec, *, ignore: Network | None = None) -> None:
    """Check that the subnet is free on this machine. `ignore` is a network that will be replaced.

    Raises:
        LocalCloudError: the subnet overlaps with a route.
    """
    bridge = f"br-{ignore.id[:12]}" if ignore is not None and ignore.id else None
    routes = [(interface, route) for interface, route in host_routes() if interface != bridge]
    if overlap := find_overlap(spec.subnet, routes):
        raise LocalCloudError(
            f"The subnet {spec.subnet} of the local environment overlaps with the route {overlap}. "
            f"Next: `-e local_cloud_network_subnet=… -e local_cloud_network_gateway=…` with a free one."
        )


def create(client: docker.DockerClient, spec: NetworkSpec, labels: dict[str, str]) -> None:
    """Create the network.

    Raises:
        LocalCloudError: its subnet overlaps with another Docker network.
    """
    from docker.errors import APIError
    from docker.types import IPAMConfig, IPAMPool

    pool = IPAMPool(subnet=spec.subnet, iprange=spec.automatic_range, gateway=spec.gateway)
    try:
        client.networks.create(spec.name, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=labels)
    except APIError as error:
        raise LocalCloudError(
            f"Docker cannot make the network {spec.name} ({spec.subnet}): {error.explanation}. "
            f"Next: `-e local_cloud_network_subnet=… -e local_cloud_network_gateway=…` with a free one."
        ) from error
