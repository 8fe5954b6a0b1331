"""The check `inventory`: find values that cannot work, without any request.

Terraform, ECS and AWS would refuse them as well, but one by one and minutes later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fargate_ops.core.checks import Finding
from fargate_ops.core.problem import Problem
from fargate_ops.inventory import account, capacity, names, network, notifications, task, yaml_scan
from fargate_ops.inventory.environment import Environment, UnreadError
from fargate_ops.inventory.kinds import REQUIRED
from fargate_ops.inventory.values import VALUES

_SHOWN_CHARACTERS = 80
#: Maps of variables that may contain a secret by mistake.
_NOT_SHOWN = frozenset({"app_environment", "app_secrets", "aws_environment"})
_RULES = (*names.RULES, *network.RULES, *capacity.RULES, *task.RULES, *notifications.RULES, *account.RULES)


@dataclass(frozen=True)
class Given:
    """The content of an inventory.

    `values` are its variables, resolved; `failures` say why one cannot be resolved, by variable and, in a map, key;
    `sources` are its files and the command line.
    """

    values: Mapping[str, Any]
    failures: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    sources: Sequence[yaml_scan.Source] = ()


def check(given: Given) -> Finding:
    """Check all values at once."""
    scan = yaml_scan.scan(given.sources)
    environment = Environment({}, scan.places)
    problems = list(scan.problems)
    values = {}
    for path, why in given.failures.items():
        name = ".".join(path)
        problems.append(environment.problem(path, f"{name} cannot be resolved: {why}.", "correct its template"))
    reported = {*scan.changed, *given.failures}
    for name, kind in VALUES.items():
        if (name,) in reported:
            continue
        value = given.values.get(name, kind.default)
        if isinstance(value, Mapping):
            value = {key: item for key, item in value.items() if (name, str(key)) not in reported}
        if value is REQUIRED:
            what = f"{name} is not set. It must be {kind.must_be}."
            problems.append(environment.problem((name,), what, f"set it, for example: {name}: {kind.example}"))
            continue
        try:
            values[name] = kind.read(value)
        except ValueError:
            what = f"{name} is {_shown(name, value)}. It must be {kind.must_be}."
            problems.append(environment.problem((name,), what, f"correct it, for example: {name}: {kind.example}"))
    environment = Environment(values, scan.places)
    for rule in _RULES:
        problems += _found(rule(environment))
    return Finding("inventory", _summary(environment, problems), tuple(problems))


def _found(problems: Iterator[Problem]) -> list[Problem]:
    """Return the problems that a rule finds, as far as the values that it needs can be read."""
    found = []
    try:
        for problem in problems:
            found.append(problem)
    except UnreadError:
        pass
    return found


def _summary(environment: Environment, problems: Sequence[Problem]) -> str:
    if problems:
        return "one value to correct" if len(problems) == 1 else f"{len(problems)} values to correct"
    subnets = len(environment["network_availability_zones"]) * len(network.SUBNETS)
    networks = f"{subnets} subnets in {environment['network_vpc_cidr']}"
    if not environment["app_database"]:
        return f"{networks}, no database"
    pool = capacity.pool_of(environment)
    return f"{networks}, at most {pool.demand} of {pool.max_connections} database connections"


def _shown(name: str, value: Any) -> str:
    if name in _NOT_SHOWN:
        return "something else"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
