"""Metrics of the load balancer and the databases, from what the containers say."""

from __future__ import annotations

from typing import Any

import pytest

from local_cloud.cloudwatch.service_metrics import (
    Counts,
    Usage,
    count_sessions,
    host_counts,
    read_counts,
    response_time,
)
from local_cloud.elbv2.health import DRAINING, Health, State

# Shortened: HAProxy names some eighty columns.
HEAD = "# pxname,svname,req_tot,lbtot,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,rtime"


def stat(front: str, *slots: str) -> str:
    return "\n".join([HEAD, front, *slots, "targets,BACKEND,,,9,9,9,9,9", ""])


def test_the_targets_answers_and_its_own_are_told_apart() -> None:
    text = stat(
        "listener,FRONTEND,100,,80,0,10,10,",
        "targets,slot1,,60,50,0,6,4,10",
        "other,slot1,,34,30,0,4,0,40",
        "targets,slot3,,0,0,0,0,0,",
    )
    found = read_counts(text)
    assert found.target == (80, 0, 10, 4)
    assert found.own == (0, 0, 0, 6)
    assert found.of("other").since(Counts()) == {
        "HTTPCode_Target_2XX_Count": 30.0,
        "HTTPCode_Target_4XX_Count": 4.0,
        "RequestCount": 34.0,
    }
    assert found.since(Counts()) == {
        "HTTPCode_Target_2XX_Count": 80.0,
        "HTTPCode_Target_4XX_Count": 10.0,
        "HTTPCode_Target_5XX_Count": 4.0,
        "HTTPCode_ELB_5XX_Count": 6.0,
        "RequestCount": 94.0,
    }


def test_only_what_is_new_is_reported_and_no_zero() -> None:
    before = Counts(requests=10, targets={"targets": (10, 0, 0, 0)})
    assert before.since(before) == {}
    after = Counts(requests=12, targets={"targets": (11, 0, 0, 1)})
    assert after.since(before) == {
        "HTTPCode_Target_2XX_Count": 1.0,
        "HTTPCode_Target_5XX_Count": 1.0,
        "RequestCount": 2.0,
    }


def test_a_load_balancer_that_was_restarted_counts_anew() -> None:
    before = Counts(requests=1000, targets={"targets": (1000, 0, 0, 0)})
    assert Counts(requests=3, targets={"targets": (3, 0, 0, 0)}).since(before)["RequestCount"] == 3.0


def test_sessions_are_processes_with_a_client() -> None:
    titles = [
        "postgres -c config_file=/etc/postgresql.conf",
        "postgres: checkpointer ",
        "postgres: logical replication launcher ",
        "postgres: settlement_app settlement 172.31.240.3(41234) idle",
        "postgres: settlement_app settlement 172.31.240.3(41235) idle in transaction",
        "postgres: settlement_master settlement [local] idle",
        "sh -c postgres: x",
    ]
    assert count_sessions(titles) == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("200 7 targets/slot1 -- GET /healthz", ("targets", 0.007)),
        ("500 1234 other/slot2 -- POST /transactions", ("other", 1.2)),
        ("503 -1 targets/<NOSRV> SC GET /", None),
        ("408 -1 listener/<NOSRV> cR <BADREQ> -", None),
        ("Server targets/slot1 is DOWN", None),
        ("", None),
    ],
)
def test_a_line_of_the_log_has_the_targets_time(line: str, expected: tuple[str, float] | None) -> None:
    assert response_time(line) == expected


def test_hosts_are_counted_while_targets_are_registered() -> None:
    healthy, unhealthy, initial = (Health(state) for state in (State.HEALTHY, State.UNHEALTHY, State.INITIAL))
    assert host_counts([healthy, healthy, unhealthy, initial, DRAINING]) == {
        "HealthyHostCount": 2.0,
        "UnHealthyHostCount": 1.0,
    }
    assert host_counts([DRAINING]) == {}


def stats(cpu_seconds: float) -> dict[str, Any]:
    return {
        "cpu_stats": {"cpu_usage": {"total_usage": cpu_seconds * 1e9}, "online_cpus": 2},
        "memory_stats": {"usage": 300, "limit": 1000, "stats": {"inactive_file": 100}},
    }


def test_a_database_uses_its_share_of_the_machine() -> None:
    before, now = Usage.of(stats(10), at=100), Usage.of(stats(16), at=110)
    assert now.cpu_percent(before) == 30.0
    assert now.free_memory == 800.0
    restarted = Usage.of(stats(2), at=120)
    assert restarted.cpu_percent(now) == 10.0


def test_a_database_with_a_limit_uses_its_share_of_the_limit() -> None:
    before, now = Usage.of(stats(10), 100, 500_000_000), Usage.of(stats(14), 110, 500_000_000)
    assert now.cpu_percent(before) == 80.0
