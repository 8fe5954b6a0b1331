"""Which packets the security groups of a network interface permit, without any I/O.

https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

TCP, UDP, ICMP = 6, 17, 1
_PROTOCOLS = {"-1": None, "tcp": TCP, "udp": UDP, "icmp": ICMP}
_DNS = (53, 53)

Ports = tuple[int, int]
"""The first and the last port of a range."""


@dataclasses.dataclass(frozen=True)
class Interface:
    """The network interface of a task, a database, a load balancer or an endpoint."""

    address: str
    groups: tuple[str, ...]
    """The identifiers of its security groups. An interface without a group is not filtered."""
    ports: Mapping[int, int] = dataclasses.field(default_factory=dict)
    """The ports that it listens on here, by the port on AWS; empty: the same ports as on AWS."""
    managed_from: str | None = None
    """The address from which its AWS service manages it: no group filters that on AWS."""


@dataclasses.dataclass(frozen=True)
class Permit:
    """New connections that may pass: with hosts in `network`, of `protocol`, to `ports`. None means any."""

    network: IPv4Network
    protocol: int | None = None
    ports: Ports | None = None

    def __str__(self) -> str:
        ports = "" if self.ports is None else " " + "-".join(str(port) for port in dict.fromkeys(self.ports))
        return f"{self.network} {'any' if self.protocol is None else self.protocol}{ports}"


@dataclasses.dataclass(frozen=True)
class Rules:
    """Every new connection that may come in or go out. Answers always pass, and so does the loopback interface."""

    ingress: frozenset[Permit]
    egress: frozenset[Permit]

    def __str__(self) -> str:
        directions = {"in": self.ingress, "out": self.egress}
        return ", ".join(
            f"{name} {permit}" for name, permits in directions.items() for permit in sorted(permits, key=str)
        )


Group = Mapping[str, Any]
"""A security group as DescribeSecurityGroups returns it."""


@dataclasses.dataclass(frozen=True)
class Vpc:
    """What the rules refer to.

    `prefix_list` returns the CIDR blocks of a prefix list. `resolvers` are the name servers: like the VPC's own
    resolver, no group filters them (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html).
    """

    groups: Mapping[str, Group]
    interfaces: tuple[Interface, ...]
    prefix_list: Callable[[str], Iterable[str]] = lambda _: ()
    resolvers: tuple[str, ...] = ()

    def rules(self, interface: Interface) -> Rules | None:
        """Return what the groups of `interface` permit together, or None if it has no group."""
        if not interface.groups:
            return None
        own = [self.groups[group] for group in interface.groups if group in self.groups]
        ingress = {permit for group in own for rule in group["IpPermissions"] for permit in self._in(rule, interface)}
        egress = {permit for group in own for rule in group["IpPermissionsEgress"] for permit in self._out(rule)}
        if interface.managed_from:
            ingress.add(Permit(_host(interface.managed_from)))
        egress |= {Permit(_host(name), protocol, _DNS) for name in self.resolvers for protocol in (TCP, UDP)}
        return Rules(frozenset(ingress), frozenset(egress))

    def _in(self, rule: Mapping[str, Any], interface: Interface) -> Iterator[Permit]:
        protocol = _protocol(rule)
        for network in (*self._ranges(rule), *(_host(member.address) for member in self._members(rule))):
            for ports in _here(_ports(rule, protocol), interface):
                yield Permit(network, protocol, ports)

    def _out(self, rule: Mapping[str, Any]) -> Iterator[Permit]:
        protocol = _protocol(rule)
        wanted = _ports(rule, protocol)
        ranges = self._ranges(rule)
        for network in ranges:
            yield Permit(network, protocol, wanted)
        # A host with other ports than on AWS takes connections to those instead.
        inside = [
            other
            for other in self.interfaces
            if wanted is not None and other.ports and any(IPv4Address(other.address) in network for network in ranges)
        ]
        for other in (*inside, *self._members(rule)):
            for ports in _here(wanted, other):
                yield Permit(_host(other.address), protocol, ports)

    def _ranges(self, rule: Mapping[str, Any]) -> list[IPv4Network]:
        blocks = [block["CidrIp"] for block in rule.get("IpRanges", ())]
        for entry in rule.get("PrefixListIds", ()):
            blocks += self.prefix_list(entry["PrefixListId"])
        return [IPv4Network(block, strict=False) for block in blocks if ":" not in block]

    def _members(self, rule: Mapping[str, Any]) -> list[Interface]:
        named = {pair.get("GroupId") for pair in rule.get("UserIdGroupPairs", ())}
        return [interface for interface in self.interfaces if named.intersection(interface.groups)]


def _host(address: str) -> IPv4Network:
    return IPv4Network(address)


def _protocol(rule: Mapping[str, Any]) -> int | None:
    name = str(rule["IpProtocol"])
    return _PROTOCOLS[name] if name in _PROTOCOLS else int(name)


def _ports(rule: Mapping[str, Any], protocol: int | None) -> Ports | None:
    """Return the port range of a rule. ICMP's types stand in the same fields and are not told apart here."""
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    return None if protocol not in (TCP, UDP) or first == -1 else (first, last)


def _here(ports: Ports | None, interface: Interface) -> list[Ports | None]:
    """Return the ports on which `interface` takes the connections to `ports`."""
    if ports is None or not interface.ports:
        return [ports]
    first, last = ports
    return [(here, here) for on_aws, here in interface.ports.items() if first <= on_aws <= last]
