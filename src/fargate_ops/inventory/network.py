"""Rules of the network: zones, subnets, private endpoints, and how HTTPS is served."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.environment import Environment

#: Kinds of subnets, one of each in a zone (requirements A2 to A4).
SUBNETS = ("public", "private", "database")
_ZONES = "network_availability_zones"
_EXAMPLE = "{public: 10.0.8.0/24, private: 10.0.1.0/24, database: 10.0.4.0/24}"
#: Prefixes that a subnet may have. https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
_LARGEST, _SMALLEST = 16, 28
#: Prefix of the widest range that one owner can have, such as 10.0.0.0/8.
_WIDEST_CLIENTS = 8


def _zones(environment: Environment) -> Iterator[Problem]:
    zones, region = environment[_ZONES], environment["aws_region"]
    for zone in zones:
        if not re.fullmatch(re.escape(region) + r"[a-z]", str(zone)):
            yield environment.problem((_ZONES, str(zone)), f"{zone} is no zone of {region}.", f"use {region}a, …")


def _zone_count(environment: Environment) -> Iterator[Problem]:
    zones = environment[_ZONES]
    if len(zones) < 2:
        what = f"There is {'one zone' if zones else 'no zone'}; the load balancer and the database need two."
        yield environment.problem(_ZONES, what, "give two or more")


def _ranges(environment: Environment) -> Iterator[Problem]:
    for zone, ranges in environment[_ZONES].items():
        if not isinstance(ranges, Mapping) or ranges.keys() != set(SUBNETS):
            what = f"{zone} has not exactly one range for each kind of subnet: {', '.join(SUBNETS)}."
            yield environment.problem((_ZONES, str(zone)), what, f"correct it, for example: {_EXAMPLE}")
            continue
        for kind, text in ranges.items():
            if _subnet(text) is None:
                what = f"{text!r} ({zone}, {kind}) is no range of a subnet: /16 to /28, no host bits set."
                yield environment.problem((_ZONES, str(zone), kind), what, "correct it, for example: 10.0.1.0/24")


def _inside_the_vpc(environment: Environment) -> Iterator[Problem]:
    vpc = ipaddress.IPv4Network(environment["network_vpc_cidr"])
    for (zone, kind), subnet in _subnets(environment):
        if not subnet.subnet_of(vpc):
            what = f"{subnet} ({zone}, {kind}) lies outside the VPC, {vpc}."
            yield environment.problem((_ZONES, zone, kind), what, f"choose one inside {vpc}")


def _overlaps(environment: Environment) -> Iterator[Problem]:
    subnets = _subnets(environment)
    for (owner, subnet), (other_owner, other) in itertools.combinations(subnets, 2):
        if subnet.overlaps(other):
            yield environment.problem(
                (_ZONES, *other_owner),
                f"The subnets {subnet} ({', '.join(owner)}) and {other} ({', '.join(other_owner)}) overlap.",
                f"move one of them: {_free_hint(environment, [network for _, network in subnets])}",
            )


def _subnets(environment: Environment) -> list[tuple[tuple[str, str], ipaddress.IPv4Network]]:
    """Return the valid subnets by zone and kind."""
    return [
        ((str(zone), str(kind)), subnet)
        for zone, ranges in environment[_ZONES].items()
        if isinstance(ranges, Mapping)
        for kind, text in ranges.items()
        if (subnet := _subnet(text)) is not None
    ]


def _subnet(text: object) -> ipaddress.IPv4Network | None:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return None
    # Python accepts 10.0.0.0/255.255.0.0, AWS does not.
    return network if _LARGEST <= network.prefixlen <= _SMALLEST and str(network) == text else None


def _free_hint(environment: Environment, taken: Sequence[ipaddress.IPv4Network]) -> str:
    """Return a hint with the first free /24 of the VPC."""
    vpc = environment.values.get("network_vpc_cidr")
    for candidate in ipaddress.IPv4Network(vpc).subnets(new_prefix=24) if vpc else ():
        if not any(candidate.overlaps(network) for network in taken):
            return f"{candidate} is free"
    return "no two may share an address"


def _endpoints(environment: Environment) -> Iterator[Problem]:
    services = environment["vpc_endpoint_services"]
    if ("ecr.api" in services) != ("ecr.dkr" in services):
        what = "Pulling an image needs both ecr.api and ecr.dkr, and only one of them is named."
        yield environment.problem("vpc_endpoint_services", what, "name both or neither")


def _https(environment: Environment) -> Iterator[Problem]:
    certificate, region = environment["https_certificate_arn"], environment["aws_region"]
    domain, url = environment["https_domain_name"], environment["public_url"]
    if certificate and certificate.split(":")[3] != region:
        what = f"The certificate is one of {certificate.split(':')[3]}, and a load balancer takes no other region's."
        yield environment.problem("https_certificate_arn", what, f"name a certificate of {region}")
    if certificate and not domain and not url:
        what = (
            "A certificate is set, but no domain name that it covers. The service is called and verified by that name."
        )
        yield environment.problem(
            "https_certificate_arn", what, "set https_domain_name (or public_url)", "https_domain_name"
        )
    if environment["https_hosted_zone_id"] and not domain:
        what = "A hosted zone is set, but no domain name to create in it."
        yield environment.problem("https_hosted_zone_id", what, "set https_domain_name", "https_domain_name")


def _plain_http(environment: Environment) -> Iterator[Problem]:
    """A service that anybody reaches over plain HTTP is no default: a person has to permit it."""
    ranges = [ipaddress.IPv4Network(text) for text in environment["network_client_cidrs"]]
    open_ranges = [str(network) for network in ranges if network.prefixlen < _WIDEST_CLIENTS]
    encrypted = environment["https_certificate_arn"] or environment["https_hosted_zone_id"]
    if not open_ranges or encrypted or environment["alb_internal"] or environment["network_allow_plain_http"]:
        return
    yield environment.problem(
        "network_client_cidrs",
        f"The load balancer would serve plain HTTP to everybody ({', '.join(open_ranges)}): who is on the "
        "way can read and change what is sent.",
        "set https_hosted_zone_id and https_domain_name (or https_certificate_arn), or name your own ranges here, or "
        "set alb_internal: true; if plain HTTP is meant, set network_allow_plain_http: true",
        "network_allow_plain_http",
    )


def _verification(environment: Environment) -> Iterator[Problem]:
    if environment["alb_internal"] and environment["service_verify_from"] != "targets":
        what = "The load balancer is internal, and releases are verified at its address, which few machines reach."
        yield environment.problem("service_verify_from", what, "set service_verify_from: targets", "alb_internal")


RULES = (_zones, _zone_count, _ranges, _inside_the_vpc, _overlaps, _endpoints, _https, _plain_http, _verification)
