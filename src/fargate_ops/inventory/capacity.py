"""Rules of capacity: how many tasks run, and how many database connections they can open."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.environment import Environment
from fargate_ops.inventory.kinds import listed

#: Connections that PostgreSQL and RDS reserve: superuser_reserved_connections 3, rds.rds_superuser… 2.
_RESERVED_CONNECTIONS = 5
#: The share of max_connections that the application may use; at 80 % the alarm of requirement F2 fires.
_CONNECTION_SHARE = 0.8
#: A release that is not rolling runs all tasks of both versions: the percent of the desired tasks.
_BOTH = 200
#: The tasks' variables that size the pool, each with its field of `Pool` and its variable in the inventory.
POOL_VARIABLES = {
    "WEB_CONCURRENCY": ("workers", "app_workers"),
    "DATABASE_POOL_SIZE": ("pool_size", "app_pool_size"),
    "DATABASE_MAX_OVERFLOW": ("max_overflow", "app_max_overflow"),
}
_BUDGET = ("app_max_tasks", "app_peak_max_tasks", "app_workers", "app_pool_size", "app_max_overflow")


@dataclass(frozen=True)
class Pool:
    """The settings that decide how many database connections the service can open.

    `most_tasks` is the larger of the two maxima, because the pool must suffice at the month's end. `proxy_percent` is
    the share of `max_connections` that the RDS Proxy may hold, 0 without one; with `direct_access` tasks may bypass it.
    """

    most_tasks: int
    maximum_percent: int
    workers: int
    pool_size: int
    max_overflow: int
    max_connections: int
    proxy_percent: int
    direct_access: bool

    @property
    def demand(self) -> int:
        """The most connections at once: those that the tasks can open, or those that the proxy may hold."""
        if not self.proxy_percent:
            return self.tasks_demand
        return max(self.proxy_demand, self.tasks_demand) if self.direct_access else self.proxy_demand

    @property
    def tasks_demand(self) -> int:
        """The tasks' connections: a rolling update runs more than `most_tasks`, and each worker fills its pool."""
        tasks = self.most_tasks * self.maximum_percent // 100
        return tasks * self.workers * (self.pool_size + self.max_overflow) + _RESERVED_CONNECTIONS

    @property
    def proxy_demand(self) -> int:
        return self.max_connections * self.proxy_percent // 100 + _RESERVED_CONNECTIONS

    @property
    def limit(self) -> int:
        return int(_CONNECTION_SHARE * self.max_connections)

    @property
    def sum(self) -> str:
        """The sum of `tasks_demand` in words."""
        return (
            f"{self.most_tasks} tasks at {self.maximum_percent} %, each with {self.workers} workers of "
            f"{self.pool_size} + {self.max_overflow}, and {_RESERVED_CONNECTIONS} reserved"
        )


def pool_of(environment: Environment) -> Pool:
    """Return the pool of an environment. Raises UnreadError."""
    peak = environment["app_peak_max_tasks"] if environment["app_scheduled_scaling"] else 0
    proxy = environment["rds_proxy_max_connections_percent"] if environment["rds_proxy_enabled"] else 0
    return Pool(
        most_tasks=max(environment["app_max_tasks"], peak),
        maximum_percent=(
            environment["app_deployment_maximum_percent"] if environment["release_strategy"] == "rolling" else _BOTH
        ),
        workers=environment["app_workers"],
        pool_size=environment["app_pool_size"],
        max_overflow=environment["app_max_overflow"],
        max_connections=environment["database_max_connections"],
        proxy_percent=proxy,
        direct_access=environment["rds_proxy_direct_access"],
    )


def _limits(environment: Environment) -> Iterator[Problem]:
    yield from _at_least(environment, "app_max_tasks", "app_min_tasks")


def _peak(environment: Environment) -> Iterator[Problem]:
    if environment["app_scheduled_scaling"]:
        yield from _at_least(environment, "app_peak_min_tasks", "app_min_tasks")


def _peak_limits(environment: Environment) -> Iterator[Problem]:
    if environment["app_scheduled_scaling"]:
        yield from _at_least(environment, "app_peak_max_tasks", "app_max_tasks")
        yield from _at_least(environment, "app_peak_max_tasks", "app_peak_min_tasks")


def _at_least(environment: Environment, larger: str, smaller: str) -> Iterator[Problem]:
    high, low = environment[larger], environment[smaller]
    if high < low:
        what = f"{larger} is {high}, below {smaller}, which is {low}."
        yield environment.problem(larger, what, f"raise {larger} or lower {smaller}", smaller)


def _proxy(environment: Environment) -> Iterator[Problem]:
    if environment["app_database"] and environment["rds_proxy_enabled"]:
        idle, most = "rds_proxy_max_idle_connections_percent", "rds_proxy_max_connections_percent"
        yield from _at_least(environment, most, idle)
        if not environment["ecs_release_through_proxy"] and not environment["rds_proxy_direct_access"]:
            what = "The tasks would connect to the database itself, and only the proxy may reach it."
            next_step = "set rds_proxy_direct_access: true as long as ecs_release_through_proxy is false"
            yield environment.problem("ecs_release_through_proxy", what, next_step, "rds_proxy_direct_access")


def _storage(environment: Environment) -> Iterator[Problem]:
    size, most = environment["database_allocated_storage_gb"], environment["database_max_allocated_storage_gb"]
    if environment["app_database"] and most <= size:
        what = f"RDS cannot grow the storage from {size} GiB to {most} GiB."
        next_step = f"raise database_max_allocated_storage_gb above {size}"
        yield environment.problem("database_max_allocated_storage_gb", what, next_step, "database_allocated_storage_gb")


def _connections(environment: Environment) -> Iterator[Problem]:
    if not environment["app_database"]:
        return
    pool = pool_of(environment)
    if pool.proxy_percent and pool.proxy_demand > pool.limit:
        yield environment.problem(
            "rds_proxy_max_connections_percent",
            f"The proxy could hold {pool.proxy_demand} database connections, and {pool.limit} is 80 % of what it has: "
            f"{pool.proxy_percent} % of {pool.max_connections}, and {_RESERVED_CONNECTIONS} reserved.",
            "lower the first",
            "database_max_connections",
        )
    if (pool.direct_access or not pool.proxy_percent) and pool.tasks_demand > pool.limit:
        yield environment.problem(
            _BUDGET[0],
            f"The tasks could ask for {pool.tasks_demand} database connections, and {pool.limit} is 80 % of what it "
            f"has: {pool.sum}.",
            f"lower one of the first five, or raise database_max_connections to {_needed(pool.tasks_demand)} "
            "(with an instance class that has the memory)",
            *_BUDGET[1:],
            "database_max_connections",
        )


def _needed(demand: int) -> int:
    return -int(-demand // _CONNECTION_SHARE)


def _pool_in_the_environment(environment: Environment) -> Iterator[Problem]:
    """The budget counts the values that a release sets, so the tasks must not get other ones."""
    database = environment["app_database"]
    plain = environment["app_environment"]
    found = {name.upper(): value for name, value in plain.items() if _sizes_the_pool(name, database)}
    if not found:
        return
    instead = [POOL_VARIABLES[name][1] for name in found]
    what = f"A release sets {listed(list(found))} itself, from {listed(instead)}."
    if not database:
        yield environment.problem("app_environment", what, f"remove it there; {listed(instead)} sets it", *instead)
        return
    sizes = {POOL_VARIABLES[name][0]: int(value) for name, value in found.items() if str(value).isdigit()}
    pool = replace(pool_of(environment), **sizes)  # type: ignore[arg-type]  # their names are in POOL_VARIABLES
    what += (
        f" With the values of app_environment, the tasks could ask for {pool.tasks_demand} database connections, and "
        f"{pool.limit} is 80 % of what it has: {pool.sum}."
    )
    values = [f"{variable}: {value}" for variable, value in zip(instead, found.values(), strict=True)]
    fits = pool.proxy_percent or pool.tasks_demand <= pool.limit
    next_step = f"remove it there, and set {listed(values)}" if fits else f"remove it there; {listed(instead)} set it"
    yield environment.problem("app_environment", what, next_step, *instead)


def _pool_in_the_secrets(environment: Environment) -> Iterator[Problem]:
    for name in environment["app_secrets"]:
        if _sizes_the_pool(name, environment["app_database"]):
            what = f"A release sets {name.upper()} itself, from {POOL_VARIABLES[name.upper()][1]}."
            yield environment.problem(("app_secrets", name), what, "remove it there")
        elif name == _GUNICORN:
            what = f"{name} may set workers and threads, and the value of a secret is not checked here."
            yield environment.problem(("app_secrets", name), what, "set it in app_environment")


def _sizes_the_pool(name: Any, database: bool) -> bool:
    """Return whether a release sets this variable: the workers always, the pool with a database."""
    # The application reads its settings' names in any case.
    return isinstance(name, str) and name.upper() in (POOL_VARIABLES if database else ["WEB_CONCURRENCY"])


_GUNICORN = "GUNICORN_CMD_ARGS"


def _gunicorn(environment: Environment) -> Iterator[Problem]:
    """gunicorn reads its settings from this variable last. https://gunicorn.org/reference/settings/"""
    value = environment["app_environment"].get(_GUNICORN)
    if not isinstance(value, str):
        return
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("-w", "--workers", nargs="?", const="")
    parser.add_argument("--threads", nargs="?", const="")
    path = ("app_environment", _GUNICORN)
    try:
        seen, _ = parser.parse_known_args(shlex.split(value))
    except ValueError as error:
        yield environment.problem(path, f"gunicorn cannot read {_GUNICORN}: {error}.", "correct its quotes")
        return
    if seen.workers is not None:
        what = f"{_GUNICORN} sets the number of workers, which the pool budget counts."
        yield environment.problem(path, what, f"remove it there, and set app_workers: {seen.workers or 2}")
    if seen.threads is not None:
        what = f"{_GUNICORN} sets threads, and a worker of this application has an event loop of its own."
        yield environment.problem(path, what, "remove it there; app_workers sets how many processes run")


RULES = (
    _limits,
    _peak,
    _peak_limits,
    _proxy,
    _storage,
    _connections,
    _pool_in_the_environment,
    _pool_in_the_secrets,
    _gunicorn,
)
