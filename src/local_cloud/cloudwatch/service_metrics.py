"""The load balancer's and the databases' metrics in CloudWatch, measured on their containers.

What AWS does: ELB and RDS publish their metrics each minute; a count of zero is not reported
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html,
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html).
Without this patch: the emulator publishes none of them.

Differences from AWS: metrics appear more often than each minute, so that an alarm fires sooner. HAProxy reports an
average response time, so a percentile is that of these averages.
"""

from __future__ import annotations

import csv
import logging
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud
from local_cloud.elbv2 import haproxy

logger = logging.getLogger(__name__)

PERIOD_SECONDS = 10.0
_SESSION = re.compile(r"postgres: \S+ \S+ \S+\(\d+\) ")
"""Matches the title of a process that serves a client over TCP: user, database, address."""
_CLASSES = ("2xx", "3xx", "4xx", "5xx")


@dataclass(frozen=True)
class Counts:
    """HAProxy's counters since its start, separate for the load balancer's own responses and the targets' responses."""

    requests: int = 0
    target: tuple[int, int, int, int] = (0, 0, 0, 0)
    own: tuple[int, int, int, int] = (0, 0, 0, 0)
    response_ms: float | None = None

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
            if self.response_ms is not None:
                found["TargetResponseTime"] = self.response_ms / 1000
        return found


def read_counts(text: str) -> Counts:
    """Parse the output of `show stat` (https://docs.haproxy.org/3.0/management.html#9.1)."""
    rows = list(csv.DictReader(text.removeprefix("# ").splitlines()))
    slots = [row for row in rows if row["pxname"] == haproxy.BACKEND and row["svname"] not in ("BACKEND", "FRONTEND")]
    front = next((row for row in rows if row["svname"] == "FRONTEND"), {})
    target = _responses(slots)
    total = _responses([front])
    answered = [(int(row["lbtot"]), int(row["rtime"])) for row in slots if row.get("rtime") and int(row["lbtot"])]
    weight = sum(number for number, _ in answered)
    return Counts(
        requests=int(front.get("req_tot") or 0),
        target=target,
        own=tuple(max(0, a - b) for a, b in zip(total, target, strict=True)),  # type: ignore[arg-type]
        response_ms=sum(number * time for number, time in answered) / weight if weight else None,
    )


def _responses(rows: Iterable[Mapping[str, str]]) -> tuple[int, int, int, int]:
    all_rows = list(rows)
    two, three, four, five = (sum(int(row.get(f"hrsp_{name}") or 0) for row in all_rows) for name in _CLASSES)
    return two, three, four, five


def count_sessions(titles: Iterable[str]) -> int:
    """Count the sessions of a PostgreSQL server by its processes, which needs no free connection."""
    return sum(bool(_SESSION.search(title)) for title in titles)


def apply(cloud: Cloud) -> None:
    publisher = Publisher(cloud)
    cloud.at_start(publisher.start)
    cloud.at_stop(publisher.stop)


class Publisher:
    """Publishes new metrics at an interval until it is stopped."""

    def __init__(self, cloud: Cloud) -> None:
        self._config = cloud.config
        self._haproxy = haproxy.RuntimeApi(cloud.config.load_balancer_dir)
        self._stopped = threading.Event()
        self._before: Counts | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="service-metrics", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        scope = emulator.core("responses").request_scope
        while not self._stopped.wait(PERIOD_SECONDS):
            for publish in (self._load_balancers, self._databases):
                try:
                    with scope(self._config.account_id, self._config.region):
                        publish()
                except Exception as error:  # a container may be missing at this moment
                    logger.debug("no metrics: %s", error)

    def _load_balancers(self) -> None:
        now = read_counts(self._haproxy.run("show stat"))
        before, self._before = self._before, now
        if before is None:
            return
        for arn in list(emulator.service("alb")._lbs):
            for name, value in now.since(before).items():
                unit = "Seconds" if name == "TargetResponseTime" else "Count"
                _record("AWS/ApplicationELB", name, value, unit, {"LoadBalancer": arn.split(":loadbalancer/")[-1]})

    def _databases(self) -> None:
        import docker

        client = docker.from_env()
        for identifier, instance in list(emulator.service("rds")._instances.items()):
            if not instance.get("_docker_container_id"):
                continue
            container = client.containers.get(instance["_docker_container_id"])
            titles = [row[-1] for row in container.top(ps_args="-eo pid,args")["Processes"]]
            sessions = float(count_sessions(titles))
            _record("AWS/RDS", "DatabaseConnections", sessions, "Count", {"DBInstanceIdentifier": identifier})


def _record(namespace: str, name: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
    emulator.service("cloudwatch").record_metric(namespace, name, value, unit, dimensions)
