"""Which packets pass, from the security groups that Terraform makes and from rules of other kinds."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from local_cloud.ec2.firewall import resolvers
from local_cloud.ec2.rules import Interface, Permit, Vpc

ANYONE = IPv4Network("0.0.0.0/0")
GATEWAY = "172.31.240.1"
BALANCER = Interface("172.31.240.2", ("alb",), {80: 8080})
CHECKS = Interface(GATEWAY, ("alb",))
APIS = Interface(GATEWAY, ("endpoints",), {443: 4566})
PROXY = Interface(GATEWAY, ("proxy",))
TASK = Interface("172.31.240.3", ("service",))
OTHER_TASK = Interface("172.31.240.4", ("service", "more"))
ADMIN = Interface("172.31.240.5", ("admin",))
DATABASE = Interface("172.31.240.250", ("database",), managed_from=GATEWAY)
EVERYONE = (BALANCER, CHECKS, APIS, PROXY, TASK, OTHER_TASK, ADMIN, DATABASE)


def rule(protocol: str = "tcp", port: int | tuple[int, int] | None = None, **peers: Any) -> dict[str, Any]:
    """A rule as the emulator stores it; peers: ranges, groups, lists."""
    first, last = (port, port) if isinstance(port, int) else port or (None, None)
    return {
        "IpProtocol": protocol,
        **({} if first is None else {"FromPort": first, "ToPort": last}),
        "IpRanges": [{"CidrIp": block} for block in peers.get("ranges", ())],
        "Ipv6Ranges": [{"CidrIpv6": block} for block in peers.get("ranges6", ())],
        "PrefixListIds": [{"PrefixListId": name} for name in peers.get("lists", ())],
        "UserIdGroupPairs": [{"GroupId": name, "UserId": "000000000000"} for name in peers.get("groups", ())],
    }


def group(ingress: list[dict[str, Any]], egress: list[dict[str, Any]]) -> dict[str, Any]:
    return {"IpPermissions": ingress, "IpPermissionsEgress": egress}


APIS_AND_SLACK = rule(port=443, ranges=["0.0.0.0/0"])
TO_DATABASE = rule(port=5432, groups=["database"])
#: Those of terraform/modules/security_groups, with an RDS Proxy beside the direct way.
CHAIN = {
    "alb": group([rule(port=80, ranges=["0.0.0.0/0"])], [rule(port=8000, groups=["service"])]),
    "service": group(
        [rule(port=8000, groups=["alb"])], [TO_DATABASE, rule(port=5432, groups=["proxy"]), APIS_AND_SLACK]
    ),
    "admin": group([], [TO_DATABASE, APIS_AND_SLACK]),
    "database": group([rule(port=5432, groups=["service"]), rule(port=5432, groups=["admin"])], []),
    "proxy": group([rule(port=5432, groups=["service"])], [TO_DATABASE]),
}
TO_APIS_AND_SLACK = {"0.0.0.0/0 6 443", f"{GATEWAY}/32 6 4566"}


def passing(interface: Interface, groups: dict[str, dict[str, Any]] = CHAIN, **vpc: Any) -> tuple[set[str], set[str]]:
    rules = Vpc(groups, EVERYONE, **vpc).rules(interface)
    assert rules is not None
    return {str(permit) for permit in rules.ingress}, {str(permit) for permit in rules.egress}


@pytest.mark.parametrize(
    ("interface", "ingress", "egress"),
    [
        pytest.param(
            BALANCER, {"0.0.0.0/0 6 8080"}, {"172.31.240.3/32 6 8000", "172.31.240.4/32 6 8000"}, id="load balancer"
        ),
        pytest.param(
            TASK,
            {"172.31.240.2/32 6 8000", f"{GATEWAY}/32 6 8000"},
            {"172.31.240.250/32 6 5432", f"{GATEWAY}/32 6 5432", *TO_APIS_AND_SLACK},
            id="task of the service",
        ),
        pytest.param(ADMIN, set(), {"172.31.240.250/32 6 5432", *TO_APIS_AND_SLACK}, id="admin task"),
        pytest.param(
            DATABASE,
            {*(f"172.31.240.{last}/32 6 5432" for last in (3, 4, 5)), f"{GATEWAY}/32 any"},
            set(),
            id="database",
        ),
    ],
)
def test_the_chain_passes_and_nothing_else(interface: Interface, ingress: set[str], egress: set[str]) -> None:
    assert passing(interface) == (ingress, egress)


@pytest.mark.parametrize(
    ("given", "egress"),
    [
        pytest.param(rule("-1", ranges=["0.0.0.0/0"]), {"0.0.0.0/0 any"}, id="everything"),
        pytest.param(rule("tcp", (-1, -1), ranges=["10.0.0.0/8"]), {"10.0.0.0/8 6"}, id="all TCP ports"),
        pytest.param(rule("udp", (1024, 2047), ranges=["10.0.0.0/8"]), {"10.0.0.0/8 17 1024-2047"}, id="a port range"),
        pytest.param(rule("icmp", (8, -1), ranges=["10.0.0.0/8"]), {"10.0.0.0/8 1"}, id="ICMP"),
        pytest.param(rule("47", ranges=["10.0.0.0/8"]), {"10.0.0.0/8 47"}, id="a protocol by number"),
        pytest.param(rule(port=443, ranges6=["::/0"]), set(), id="IPv6"),
        pytest.param(
            rule(port=443, ranges=["172.31.240.0/24"]),
            {"172.31.240.0/24 6 443", f"{GATEWAY}/32 6 4566"},
            id="a range with the APIs in it",
        ),
        pytest.param(rule(port=443, ranges=["10.0.0.0/18"]), {"10.0.0.0/18 6 443"}, id="a range without the APIs"),
        pytest.param(
            rule(port=(1, 65535), groups=["alb", "endpoints"]),
            {"172.31.240.2/32 6 8080", f"{GATEWAY}/32 6 4566", f"{GATEWAY}/32 6 1-65535"},
            id="ports that are others here",
        ),
        pytest.param(rule(port=80, groups=["endpoints"]), set(), id="a port on which the APIs do not listen"),
        pytest.param(rule(port=22, lists=["pl-1"]), {"192.0.2.0/24 6 22", "198.51.100.7/32 6 22"}, id="a prefix list"),
        pytest.param(rule(port=22, groups=["nobody"]), set(), id="a group without members"),
    ],
)
def test_a_rule_of_another_kind(given: dict[str, Any], egress: set[str]) -> None:
    lists = {"pl-1": ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"]}
    assert passing(ADMIN, {"admin": group([], [given])}, prefix_list=lists.__getitem__) == (set(), egress)


def test_groups_of_one_interface_permit_together() -> None:
    groups = {"service": group([rule(port=1, groups=["admin"])], []), "more": group([rule(port=2, groups=["alb"])], [])}
    ingress = {"172.31.240.5/32 6 1", "172.31.240.2/32 6 2", f"{GATEWAY}/32 6 2"}
    assert passing(OTHER_TASK, groups) == (ingress, set())


def test_name_servers_are_reached_without_a_rule() -> None:
    egress = {"192.0.2.53/32 6 53", "192.0.2.53/32 17 53"}
    assert passing(ADMIN, {}, resolvers=("192.0.2.53",)) == (set(), egress)


def test_without_a_group_nothing_is_filtered() -> None:
    assert Vpc(CHAIN, EVERYONE).rules(Interface("172.31.240.9", ())) is None


def test_rules_read_well_in_the_log() -> None:
    assert str(Permit(ANYONE, 6, (80, 90))) == "0.0.0.0/0 6 80-90"
    assert str(Vpc(CHAIN, EVERYONE).rules(ADMIN)).startswith(f"out 0.0.0.0/0 6 443, out {GATEWAY}/32 6 4566, out 172.")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["nameserver 10.0.0.2\nnameserver 10.0.0.3\nsearch x\n"], ("10.0.0.2", "10.0.0.3")),
        (["nameserver 192.0.2.1\n", "nameserver 127.0.0.53\n"], ("192.0.2.1",)),
        ([None, "# none\nnameserver 127.0.0.53\nnameserver fe80::1\noptions edns0\n"], ()),
    ],
    ids=["its own", "systemd's", "only on the loopback interface"],
)
def test_the_name_servers_of_this_machine(tmp_path: Path, files: list[str | None], expected: tuple[str, ...]) -> None:
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, text in zip(paths, files, strict=True):
        if text is not None:
            path.write_text(text)
    assert resolvers(paths) == expected
