"""Metrics of the load balancer and the databases, from what the containers say."""

from __future__ import annotations

from local_cloud.cloudwatch.service_metrics import Counts, count_sessions, read_counts

# Shortened: HAProxy names some eighty columns.
HEAD = "# pxname,svname,req_tot,lbtot,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,rtime"


def stat(front: str, *slots: str) -> str:
    return "\n".join([HEAD, front, *slots, "targets,BACKEND,,,9,9,9,9,9", ""])


def test_the_targets_answers_and_its_own_are_told_apart() -> None:
    text = stat(
        "listener,FRONTEND,100,,80,0,10,10,",
        "targets,slot1,,60,50,0,6,4,10",
        "targets,slot2,,34,30,0,4,0,40",
        "targets,slot3,,0,0,0,0,0,",
    )
    found = read_counts(text)
    assert found.target == (80, 0, 10, 4)
    assert found.own == (0, 0, 0, 6)
    assert found.since(Counts()) == {
        "HTTPCode_Target_2XX_Count": 80.0,
        "HTTPCode_Target_4XX_Count": 10.0,
        "HTTPCode_Target_5XX_Count": 4.0,
        "HTTPCode_ELB_5XX_Count": 6.0,
        "RequestCount": 94.0,
        "TargetResponseTime": (60 * 10 + 34 * 40) / 94 / 1000,
    }


def test_only_what_is_new_is_reported_and_no_zero() -> None:
    before = Counts(requests=10, target=(10, 0, 0, 0))
    assert before.since(before) == {}
    after = Counts(requests=12, target=(11, 0, 0, 1), response_ms=5.0)
    assert after.since(before) == {
        "HTTPCode_Target_2XX_Count": 1.0,
        "HTTPCode_Target_5XX_Count": 1.0,
        "RequestCount": 2.0,
        "TargetResponseTime": 0.005,
    }


def test_a_load_balancer_that_was_restarted_counts_anew() -> None:
    before = Counts(requests=1000, target=(1000, 0, 0, 0))
    assert Counts(requests=3, target=(3, 0, 0, 0)).since(before)["RequestCount"] == 3.0


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
