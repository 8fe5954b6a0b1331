"""Metrics of the load balancer, the databases, the services and the queues, measured on what runs here.

What AWS does: each service publishes its metrics every minute. ELB reports a count only if it is not zero, and hosts
only while targets are registered
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html,
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html,
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html).
Without this patch: the emulator publishes none of them.

Differences from AWS: requests and connections are reported six times a minute, so that a page shows them sooner.
Response times have two digits. The database's CPUs and memory are its container's limits, or this machine's if it has
none. A GiB of its storage may take less here (``core/storage.py``).
"""

from __future__ import annotations

import csv
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from local_cloud.core import emulator, metrics
from local_cloud.core.runtime import Cloud
from local_cloud.elbv2 import haproxy
from local_cloud.elbv2.health import Health, State
from local_cloud.elbv2.listeners import associations, served
from local_cloud.elbv2.target_health import TargetGroups

logger = logging.getLogger(__name__)

OFTEN = 6
_RECONNECT_SECONDS = 1.0
_SESSION = re.compile(r"postgres: \S+ \S+ \S+\(\d+\) ")
"""Matches the title of a process that serves a client over TCP: user, database, address."""
_CLASSES = ("2xx", "3xx", "4xx", "5xx")


_Answers = tuple[int, int, int, int]
"""Numbers of responses, by `_CLASSES`."""
_NONE: _Answers = (0, 0, 0, 0)


@dataclass(frozen=True)
class Counts:
    """HAProxy's counters since its start: the targets' responses by backend, and the load balancer's own."""

    requests: int = 0
    targets: Mapping[str, _Answers] = field(default_factory=dict)
    own: _Answers = _NONE

    def of(self, backend: str) -> Counts:
        """Return the counters of one backend."""
        return Counts(self.requests, {backend: self.targets.get(backend, _NONE)})

    @property
    def target(self) -> _Answers:
        return _sum(self.targets.values())

    def since(self, before: Counts) -> dict[str, float]:
        """Return CloudWatch's metrics for the time since `before`, or since HAProxy's restart."""
        if self.requests < before.requests:
            before = Counts()
        found: dict[str, float] = {}
        for prefix, now, then in (("Target", self.target, before.target), ("ELB", self.own, before.own)):
            for name, count in zip(_CLASSES, (a - b for a, b in zip(now, then, strict=True)), strict=True):
                if count > 0 and not (prefix == "ELB" and name == "2xx"):
                    found[f"HTTPCode_{prefix}_{name.upper()}_Count"] = float(count)
        # Requests for which a target was chosen
        chosen = sum(self.target) - sum(before.target)
        if chosen > 0:
            found["RequestCount"] = float(chosen)
        return found


def read_counts(text: str) -> Counts:
    """Parse the output of `show stat` (https://docs.haproxy.org/3.0/management.html#9.1)."""
    rows = list(csv.DictReader(text.removeprefix("# ").splitlines()))
    fronts = [row for row in rows if row["svname"] == "FRONTEND"]
    slots = [row for row in rows if row["svname"] not in ("BACKEND", "FRONTEND")]
    backends = dict.fromkeys(row["pxname"] for row in slots)
    targets = {name: _sum(_responses(row) for row in slots if row["pxname"] == name) for name in backends}
    total, answered = _sum(map(_responses, fronts)), _sum(targets.values())
    return Counts(
        requests=sum(int(row.get("req_tot") or 0) for row in fronts),
        targets=targets,
        own=tuple(max(0, a - b) for a, b in zip(total, answered, strict=True)),  # type: ignore[arg-type]
    )


def _responses(row: Mapping[str, str]) -> _Answers:
    two, three, four, five = (int(row.get(f"hrsp_{name}") or 0) for name in _CLASSES)
    return two, three, four, five


def _sum(answers: Iterable[_Answers]) -> _Answers:
    two, three, four, five = map(sum, zip(_NONE, *answers, strict=True))
    return two, three, four, five


def response_time(line: str) -> tuple[str, float] | None:
    """Return the backend and how long its target took to answer, with two digits, from a line of the log.

    None: no target answered, or the line is no request's.
    """
    match line.split(maxsplit=3):
        case [_, milliseconds, server, *_] if milliseconds.isdigit():
            return server.partition("/")[0], float(f"{int(milliseconds) / 1000:.2g}")
    return None


def count_sessions(titles: Iterable[str]) -> int:
    """Count the sessions of a PostgreSQL server by its processes, which needs no free connection."""
    return sum(bool(_SESSION.search(title)) for title in titles)


def host_counts(members: Iterable[Health]) -> dict[str, float]:
    """Return the counts of a target group's hosts, or nothing if no target is registered."""
    states = [member.state for member in members if member.state is not State.DRAINING]
    if not states:
        return {}
    return {
        "HealthyHostCount": float(states.count(State.HEALTHY)),
        "UnHealthyHostCount": float(states.count(State.UNHEALTHY)),
    }


@dataclass(frozen=True)
class Usage:
    """What a container has used of this machine, from Docker's statistics."""

    cpu_seconds: float
    at: float
    cpus: float
    free_memory: float

    @classmethod
    def of(cls, stats: Mapping[str, Any], at: float, nano_cpus: int = 0) -> Usage:
        """`nano_cpus` is the container's limit, in billionths of a CPU; 0 is none."""
        memory = stats["memory_stats"]
        # The page cache that the kernel would give back counts as free, as in Linux's MemAvailable.
        used = memory["usage"] - memory["stats"].get("inactive_file", 0)
        return cls(
            cpu_seconds=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
            at=at,
            cpus=nano_cpus / 1e9 or float(stats["cpu_stats"]["online_cpus"]),
            free_memory=float(memory["limit"] - used),
        )

    def cpu_percent(self, before: Usage) -> float:
        """Return the share of the CPUs used since `before`, or since the container's restart."""
        used = self.cpu_seconds - before.cpu_seconds
        used = self.cpu_seconds if used < 0 else used
        return min(100.0, 100 * used / max(1e-9, self.at - before.at) / self.cpus)


def apply(cloud: Cloud, groups: TargetGroups) -> None:
    publisher = Publisher(cloud, groups)
    if cloud.config.load_balancer_image is not None:
        cloud.at_start(publisher.follow_requests)
        cloud.each_minute(publisher.publish_requests, times=OFTEN)
    cloud.each_minute(publisher.publish_hosts)
    cloud.each_minute(publisher.publish_sessions, times=OFTEN)
    cloud.each_minute(publisher.publish_databases)
    cloud.each_minute(publisher.publish_services)
    cloud.each_minute(publisher.publish_queues)


class Publisher:
    """Measures, and reports to CloudWatch."""

    def __init__(self, cloud: Cloud, groups: TargetGroups) -> None:
        self._haproxy = haproxy.RuntimeApi(cloud.config.load_balancer_dir)
        self._groups = groups
        self._storage = cloud.storage
        self._before: tuple[float, Counts] | None = None
        self._responses: Counter[tuple[str, float]] = Counter()
        self._responses_lock = threading.Lock()
        self._usage: dict[str, Usage] = {}

    @cached_property
    def _docker(self) -> Any:
        import docker

        return docker.from_env()

    # The load balancer -------------------------------------------------------------

    def follow_requests(self) -> None:
        threading.Thread(target=self._follow, name="load-balancer-log", daemon=True).start()

    def _follow(self) -> None:
        while True:
            try:
                for line in self._haproxy.follow():
                    found = response_time(line)
                    if found is not None:
                        with self._responses_lock:
                            self._responses[found] += 1
            except haproxy.CommandError:  # it restarts, or the cloud stops
                time.sleep(_RECONNECT_SECONDS)

    def publish_requests(self) -> None:
        try:
            counts = read_counts(self._haproxy.run("show stat"))
        except haproxy.CommandError as error:
            logger.debug("no metrics of the load balancer: %s", error)
            return
        with self._responses_lock:
            responses, self._responses = self._responses, Counter()
        now = time.time()
        before, self._before = self._before, (now, counts)
        found = served()
        if before is None or found is None:
            return
        # Everything is reported for the minute in which it began.
        at = before[0]
        balancer = {"LoadBalancer": _balancer(found.balancer)}
        targets = {haproxy.backend_of(group): {**balancer, "TargetGroup": _group(group)} for group in found.groups}
        for name, value in counts.since(before[1]).items():
            _elb(name, value, "Count", balancer, at=at)
        for backend, dimensions in targets.items():
            for name, value in counts.of(backend).since(before[1].of(backend)).items():
                _elb(name, value, "Count", dimensions, at=at)
        for (backend, seconds), count in responses.items():
            for dimensions in filter(None, (balancer, targets.get(backend))):
                _elb("TargetResponseTime", seconds, "Seconds", dimensions, at=at, count=count)

    def publish_hosts(self) -> None:
        for balancer, group in set(associations()):
            for name, value in host_counts(self._groups.registry.members(group).values()).items():
                _elb(name, value, "Count", {"LoadBalancer": _balancer(balancer), "TargetGroup": _group(group)})

    # Databases ---------------------------------------------------------------------

    def publish_sessions(self) -> None:
        def measure(container: Any, _instance: Mapping[str, Any]) -> Mapping[str, tuple[float, str]]:
            titles = [row[-1] for row in container.top(ps_args="-eo pid,args")["Processes"]]
            return {"DatabaseConnections": (float(count_sessions(titles)), "Count")}

        self._publish_databases(measure)

    def publish_databases(self) -> None:
        def measure(container: Any, instance: Mapping[str, Any]) -> Mapping[str, tuple[float, str]]:
            stats = self._docker.api.stats(container.id, stream=False, one_shot=True)
            usage = Usage.of(stats, time.time(), container.attrs["HostConfig"]["NanoCpus"])
            before = self._usage.get(container.id)
            self._usage[container.id] = usage
            # The container's shell knows where its data is.
            used = container.exec_run(["sh", "-c", 'du -sk "$PGDATA"']).output.split()[0]
            free = self._storage.free_bytes(int(instance["AllocatedStorage"]), int(used) * 1024)
            found = {"FreeableMemory": (usage.free_memory, "Bytes"), "FreeStorageSpace": (free, "Bytes")}
            if before is not None:
                found["CPUUtilization"] = (usage.cpu_percent(before), "Percent")
            return found

        self._publish_databases(measure)

    def _publish_databases(self, measure: Callable[[Any, Mapping[str, Any]], Mapping[str, tuple[float, str]]]) -> None:
        for identifier, instance in list(emulator.service("rds")._instances.items()):
            if not instance.get("_docker_container_id"):
                continue
            try:
                found = measure(self._docker.containers.get(instance["_docker_container_id"]), instance)
            except Exception as error:  # it may be starting, stopped or gone at this moment
                logger.debug("no metrics of the database %s: %s", identifier, error)
                continue
            for name, (value, unit) in found.items():
                metrics.publish("AWS/RDS", name, value, unit, {"DBInstanceIdentifier": identifier})

    # Services and queues --------------------------------------------------------------

    def publish_services(self) -> None:
        ecs = emulator.service("ecs")
        for key, service in list(ecs._services.items()):
            cluster = key.partition("/")[0]
            if service["status"] != "ACTIVE" or not _has_insights(ecs._clusters.get(cluster) or {}):
                continue
            for name, count in (("DesiredTaskCount", "desiredCount"), ("RunningTaskCount", "runningCount")):
                dimensions = {"ClusterName": cluster, "ServiceName": service["serviceName"]}
                metrics.publish("ECS/ContainerInsights", name, float(service[count]), "Count", dimensions)

    def publish_queues(self) -> None:
        now = time.time()
        for queue in list(emulator.service("sqs")._queues.values()):
            visible = sum(message.get("visible_at", 0) <= now for message in list(queue["messages"]))
            dimensions = {"QueueName": queue["name"]}
            metrics.publish("AWS/SQS", "ApproximateNumberOfMessagesVisible", float(visible), "Count", dimensions)


def _elb(
    name: str, value: float, unit: str, dimensions: Mapping[str, str], *, at: float | None = None, count: float = 1.0
) -> None:
    metrics.publish("AWS/ApplicationELB", name, value, unit, dimensions, at=at, count=count)


def _balancer(arn: str) -> str:
    return arn.split(":loadbalancer/")[-1]


def _group(arn: str) -> str:
    return arn.split(":")[-1]


def _has_insights(cluster: Mapping[str, Any]) -> bool:
    settings = cluster.get("settings") or []
    return any(item["name"] == "containerInsights" and item["value"] in ("enabled", "enhanced") for item in settings)
