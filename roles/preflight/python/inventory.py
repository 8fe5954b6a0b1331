"""The check `inventory`: values that cannot work, found without asking anybody.

Terraform and ECS would refuse most of them too, but one by one, and minutes later.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roles.preflight.python.problem import Problem
from roles.preflight.python.report import Finding

_NAME = re.compile(r"[a-z](?:-?[a-z0-9])*")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_ACCOUNT = re.compile(r"\d{12}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9_.-]+|arn:aws[a-z-]*:(?:secretsmanager|ssm):.+")
_LOOKS_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN", re.IGNORECASE)
_ZONES = "network_availability_zones"
#: The kinds of subnet, one of each in every zone.
SUBNETS = ("public", "private", "database")
_URL = re.compile(r"https?://[^/\s]+")
#: Connections that PostgreSQL and RDS keep for themselves: superuser_reserved_connections 3, rds.rds_superuser… 2.
_RESERVED_CONNECTIONS = 5
#: Part of max_connections that the application may ask for; at 80 % the alarm of requirement F2 goes off.
_CONNECTION_SHARE = 0.8

#: CPU units → MiB of memory that Fargate offers with them.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
FARGATE_SIZES: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}


@dataclass(frozen=True)
class Pool:
    """What decides how many database connections the service can ask for.

    `peak_max_tasks` is the maximum at the month's end, 0 without a schedule.
    `proxy_percent` is what the RDS Proxy may hold of `max_connections`, 0 without one; with `direct_access` tasks may
    pass it by.
    """

    max_tasks: int
    peak_max_tasks: int
    maximum_percent: int
    workers: int
    pool_size: int
    max_overflow: int
    max_connections: int
    proxy_percent: int = 0
    direct_access: bool = False

    @property
    def most_tasks(self) -> int:
        """The larger of the two maxima: the month's end is when the pool must not run out."""
        return max(self.max_tasks, self.peak_max_tasks)

    @property
    def demand(self) -> int:
        """Most connections at once: what the tasks can ask for, or behind a proxy what that may hold."""
        if not self.proxy_percent:
            return self.tasks_demand
        return max(self.proxy_demand, self.tasks_demand) if self.direct_access else self.proxy_demand

    @property
    def tasks_demand(self) -> int:
        """A rolling update runs more than `most_tasks`, and each worker fills its pool."""
        tasks = self.most_tasks * self.maximum_percent // 100
        return tasks * self.workers * (self.pool_size + self.max_overflow) + _RESERVED_CONNECTIONS

    @property
    def proxy_demand(self) -> int:
        return self.max_connections * self.proxy_percent // 100 + _RESERVED_CONNECTIONS

    @property
    def limit(self) -> int:
        return int(_CONNECTION_SHARE * self.max_connections)


@dataclass(frozen=True)
class Inventory:
    """The values of one environment that this check reads.

    `availability_zones`: by zone, the block of each kind of subnet. `directory`: the inventory's.
    """

    app_name: str
    env_name: str
    directory: str
    region: str
    account_id: str
    public_url: str
    vpc_cidr: str
    availability_zones: Mapping[str, Any]
    cpu: int
    memory: int
    environment: Mapping[str, Any]
    secrets: Mapping[str, Any]
    pool: Pool


def check(inventory: Inventory) -> Finding:
    """All values at once."""
    problems = tuple(
        itertools.chain(_identity(inventory), _network(inventory), _task(inventory), _connections(inventory))
    )
    subnets = len(inventory.availability_zones) * len(SUBNETS)
    return Finding(
        "inventory",
        f"{len(problems)} values to correct"
        if problems
        else f"{subnets} subnets in {inventory.vpc_cidr}, at most {inventory.pool.demand} of "
        f"{inventory.pool.max_connections} database connections",
        problems,
    )


def _identity(inventory: Inventory) -> Iterator[Problem]:
    folder = inventory.directory.rstrip("/").rpartition("/")[2]
    if folder != inventory.env_name:
        yield Problem(
            f"The inventory in the folder {folder} calls itself {inventory.env_name}.",
            f"env_name in {inventory.directory}",
            f"set env_name: {folder}",
        )
    for variable, value, pattern, example in (
        ("app_name", inventory.app_name, _NAME, "settlement"),
        ("env_name", inventory.env_name, _NAME, "staging"),
        ("aws_region", inventory.region, _REGION, "ap-northeast-2"),
        ("aws_account_id", inventory.account_id, _ACCOUNT, '"012345678901", 12 digits in quotes'),
    ):
        if not pattern.fullmatch(value):
            yield _value(variable, f"{variable} is {value!r}.", f"correct it, for example: {example}")
    if inventory.public_url and not _URL.fullmatch(inventory.public_url):
        yield _value(
            "public_url",
            f"public_url is {inventory.public_url!r}, not an address without a path.",
            "correct it, for example: https://settlement.example.com",
        )


def _network(inventory: Inventory) -> Iterator[Problem]:
    zones = inventory.availability_zones
    for zone in zones:
        if not re.fullmatch(re.escape(inventory.region) + r"[a-z]", zone):
            yield _value(_ZONES, f"{zone} is no zone of {inventory.region}.", f"use {inventory.region}a, …")
    if len(zones) < 2:
        yield _value(
            _ZONES,
            f"There is {'one zone' if zones else 'no zone'}; the load balancer and the database need two.",
            "give two or more",
        )
    vpc = _cidr(inventory.vpc_cidr)
    if vpc is None:
        yield _not_a_cidr("network_vpc_cidr", inventory.vpc_cidr)
    subnets: list[tuple[str, ipaddress.IPv4Network]] = []
    for zone, blocks in zones.items():
        variable = f"{_ZONES}.{zone}"
        if not isinstance(blocks, Mapping) or blocks.keys() != set(SUBNETS):
            yield _value(
                variable,
                f"{zone} has not exactly one block for each kind of subnet: {', '.join(SUBNETS)}.",
                "correct it, for example: {public: 10.0.8.0/24, private: 10.0.1.0/24, database: 10.0.4.0/24}",
            )
            continue
        for kind, text in blocks.items():
            subnet = _cidr(text)
            if subnet is None:
                yield _not_a_cidr(f"{variable}.{kind}", text)
                continue
            if vpc is not None and not subnet.subnet_of(vpc):
                yield _value(
                    f"{variable}.{kind}", f"{subnet} ({kind}) lies outside the VPC, {vpc}.", f"choose one inside {vpc}"
                )
            subnets.append((f"{zone}, {kind}", subnet))
    for (owner, subnet), (other_owner, other) in itertools.combinations(subnets, 2):
        if subnet.overlaps(other):
            yield _value(
                _ZONES,
                f"The subnets {subnet} ({owner}) and {other} ({other_owner}) overlap.",
                f"move one of them: {_free_hint(vpc, [network for _, network in subnets])}",
            )


def _cidr(text: object) -> ipaddress.IPv4Network | None:
    """A VPC's or subnet's block: /16 to /28, no host bits set."""
    try:
        network = ipaddress.IPv4Network(str(text))
    except ValueError:
        return None
    return network if 16 <= network.prefixlen <= 28 else None


def _not_a_cidr(variable: str, text: object) -> Problem:
    return _value(
        variable,
        f"{text!r} is no block that a VPC takes: /16 to /28, no host bits set.",
        "correct it, for example: 10.0.1.0/24",
    )


def _free_hint(vpc: ipaddress.IPv4Network | None, taken: Sequence[ipaddress.IPv4Network]) -> str:
    """The first free /24 of the VPC, so that nobody has to compute it."""
    if vpc is not None and vpc.prefixlen <= 24:
        for candidate in vpc.subnets(new_prefix=24):
            if not any(candidate.overlaps(network) for network in taken):
                return f"{candidate} is free"
    return "no two may share an address"


def _task(inventory: Inventory) -> Iterator[Problem]:
    memories = FARGATE_SIZES.get(inventory.cpu)
    if memories is None:
        yield _value("app_cpu", f"Fargate has no {inventory.cpu} CPU units.", f"choose of {_listed(FARGATE_SIZES)}")
    elif inventory.memory not in memories:
        yield _value(
            "app_memory",
            f"Fargate has no {inventory.memory} MiB with {inventory.cpu} CPU units.",
            f"choose of {_listed(memories)}",
        )
    for name in (*inventory.environment, *inventory.secrets):
        if not _VARIABLE.fullmatch(name):
            yield _value("app_environment, app_secrets", f"{name!r} cannot be a variable's name.", "rename it")
    for name, value in inventory.environment.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            yield _value(
                f"app_environment.{name}", f"The value of {name} is neither text nor a number.", "put it in quotes"
            )
        if _LOOKS_SECRET.search(name):
            yield _value(
                f"app_environment.{name}",
                f"{name} looks like a secret, and a task definition shows its environment in clear.",
                "keep it in Secrets Manager and name it in app_secrets",
            )
    for name in sorted(inventory.environment.keys() & inventory.secrets.keys()):
        yield _value("app_environment, app_secrets", f"{name} is in both, which ECS refuses.", "remove it from one")
    for name, value in inventory.secrets.items():
        if not isinstance(value, str) or not _SECRET_KEY.fullmatch(value):
            yield _value(
                f"app_secrets.{name}",
                f"The value of {name} names no secret.",
                "give a key of the application's database secret, or the full ARN of a secret",
            )


def _connections(inventory: Inventory) -> Iterator[Problem]:
    pool = inventory.pool
    if pool.proxy_percent and pool.proxy_demand > pool.limit:
        yield Problem(
            f"The proxy could hold {pool.proxy_demand} database connections, and {pool.limit} is 80 % of what it has: "
            f"{pool.proxy_percent} % of {pool.max_connections}, and {_RESERVED_CONNECTIONS} reserved.",
            "rds_proxy_max_connections_percent, database_max_connections",
            "lower the first",
        )
    if (pool.direct_access or not pool.proxy_percent) and pool.tasks_demand > pool.limit:
        yield Problem(
            f"The tasks could ask for {pool.tasks_demand} database connections, and {pool.limit} is 80 % of what it "
            f"has: {pool.most_tasks} tasks at {pool.maximum_percent} %, each with {pool.workers} workers of "
            f"{pool.pool_size} + {pool.max_overflow}, and {_RESERVED_CONNECTIONS} reserved.",
            "app_max_tasks, app_peak_max_tasks, app_workers, app_pool_size, app_max_overflow, database_max_connections",
            f"lower one of the first five, or raise database_max_connections to {_needed(pool.tasks_demand)} "
            "(with an instance class that has the memory)",
        )


def _needed(demand: int) -> int:
    return -int(-demand // _CONNECTION_SHARE)


def _listed(values: Mapping[int, Any] | Sequence[int]) -> str:
    return ", ".join(map(str, values))


def _value(variable: str, what: str, next_step: str) -> Problem:
    return Problem(what, f"{variable} (inventory)", next_step)
