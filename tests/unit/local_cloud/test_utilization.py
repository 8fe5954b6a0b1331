"""The utilization of tasks, from Docker's statistics."""

from __future__ import annotations

from typing import Any

import pytest

from local_cloud.core.utilization import Usage

MIB = 1024 * 1024


def stats(read: str, cpu_ns: int, memory: int = 300 * MIB, inactive: int = 44 * MIB) -> dict[str, Any]:
    return {
        "read": f"2026-11-24T10:15:{read}Z",
        "cpu_stats": {"cpu_usage": {"total_usage": cpu_ns}},
        "memory_stats": {"usage": memory, "stats": {"inactive_file": inactive}},
    }


@pytest.mark.parametrize(
    ("used_ns", "units", "percent"),
    [(300_000_000, 256, 60), (300_000_000, 512, 30), (0, 256, 0), (1_600_000_000, 256, 100), (-5, 256, 0)],
)
def test_cpu_is_relative_to_the_task_s_units(used_ns: int, units: float, percent: float) -> None:
    before = Usage.of(stats("01.500000001", 7_000_000_000))
    now = Usage.of(stats("03.500000001", 7_000_000_000 + used_ns))
    assert now.cpu_percent(before, units) == pytest.approx(percent)


def test_memory_is_relative_to_the_task_s_and_without_the_cache() -> None:
    assert Usage.of(stats("01", 0)).memory_percent(512) == pytest.approx(50)


def test_the_containers_of_a_task_add_up() -> None:
    both = Usage.of(stats("01", 2_000_000_000)) + Usage.of(stats("02", 3_000_000_000))
    assert (both.cpu_seconds, both.memory_bytes) == (5, 512 * MIB)
    assert both.second == Usage.of(stats("02", 0)).second


def test_an_engine_without_memory_statistics() -> None:
    assert Usage.of({**stats("01", 1), "memory_stats": {}}).memory_percent(512) == 0
