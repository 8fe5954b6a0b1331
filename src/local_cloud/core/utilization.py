"""How much of its CPU and memory an ECS service uses, computed from statistics of containers.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_utilization.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

NAMESPACE = "AWS/ECS"
CPU, MEMORY = "CPUUtilization", "MemoryUtilization"


def dimensions(cluster: str, service: str) -> dict[str, str]:
    """Return the dimensions of a service's metrics."""
    return {"ClusterName": cluster, "ServiceName": service}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a task's containers have used at one moment: CPU seconds since their start, and bytes of memory."""

    second: float
    cpu_seconds: float = 0.0
    memory_bytes: float = 0.0

    @classmethod
    def of(cls, stats: Mapping[str, Any]) -> Usage:
        """Read Docker's statistics of a container. The page cache that can be dropped is no used memory."""
        memory = stats.get("memory_stats") or {}
        return cls(
            second=datetime.fromisoformat(stats["read"]).timestamp(),
            cpu_seconds=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
            memory_bytes=memory.get("usage", 0) - (memory.get("stats") or {}).get("inactive_file", 0),
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            second=max(self.second, other.second),
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            memory_bytes=self.memory_bytes + other.memory_bytes,
        )

    def cpu_percent(self, before: Usage, units: float) -> float:
        """Return the share of the task's CPU units that were used since `before`, at most 100."""
        used = (self.cpu_seconds - before.cpu_seconds) / (self.second - before.second)
        return min(100.0, max(0.0, used * 1024 / units * 100))

    def memory_percent(self, mebibytes: float) -> float:
        return self.memory_bytes / (mebibytes * 1024 * 1024) * 100
