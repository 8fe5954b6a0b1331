"""Collecting the evidence: a failed source is named and does not affect the others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.application import Application
from fargate_ops.database.incident.collect import Scope, collect
from fargate_ops.database.incident.evidence import Database, NoListing
from fargate_ops.terraform.stack import Stack

NOW = datetime(2026, 1, 31, 9, 0, 30, tzinfo=UTC)
PREFIX = "arn:aws:elasticloadbalancing:ap-northeast-2:000000000000"
SCOPE = Scope(
    environment="staging",
    stack=Stack(
        {
            "cluster_name": "c",
            "service_name": "s",
            "container_name": "api",
            "target_group_arn": f"{PREFIX}:targetgroup/x/1",
            "log_group_name": "/ecs/x",
            "database": {"instance_identifier": "x", "max_connections": 100},
        },
        "staging",
    ),
    application=Application(name="shop", port=8000, health_path="/", admin_command=["admin"]),
    bucket="b",
    max_tasks=4,
    minutes=30,
    log_minutes=5,
    wait_seconds=60,
)
DATABASE = Database(max_connections=100, reserved=5, app_users=["settlement_app"], sessions=[])
POOL = {"WEB_CONCURRENCY": "3", "DATABASE_POOL_SIZE": "7", "DATABASE_MAX_OVERFLOW": ""}
LOG = [
    {"message": "no free database connection in this process's pool"},
    {"message": "a session is held too long", "endpoint": "GET /a", "held_seconds": 11},
    {"message": "a session was held too long", "endpoint": "GET /a", "held_seconds": 12},
    {"message": "database pool", "PoolInUse": 4, "PoolSize": 7},
    {"message": "database pool", "PoolInUse": 7, "PoolSize": 7},
]


class Aws:
    """Responds like AWS; services in `denied` refuse."""

    def __init__(self, *denied: str) -> None:
        self.denied = denied

    def client(self, service: str) -> Any:
        return Client(self, service)

    def answer(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        dimension = [{"Name": "LoadBalancer", "Value": "app/x/9"}]
        answers: dict[str, Any] = {
            "describe_target_groups": {"TargetGroups": [{"LoadBalancerArns": [f"{PREFIX}:loadbalancer/app/x/9"]}]},
            "get_metric_data": {
                "MetricDataResults": [
                    {
                        "Id": query["Id"],
                        "Timestamps": [NOW.replace(second=0), NOW - timedelta(hours=3)],
                        "Values": [7.0, 1.0],
                    }
                    for query in arguments.get("MetricDataQueries", [])
                    if query["MetricStat"]["Metric"]["Dimensions"] == dimension
                ]
            },
            "describe_services": {
                "services": [{"taskDefinition": "s:2", "deploymentConfiguration": {"maximumPercent": 150}}]
            },
            "list_tasks": {"taskArns": []},
            "describe_task_definition": {
                "taskDefinition": {
                    "family": "s",
                    "revision": 2,
                    "containerDefinitions": [
                        {"name": "api", "environment": [{"name": name, "value": POOL[name]} for name in POOL]}
                    ],
                }
            },
            "describe_db_instances": {
                "DBInstances": [{"DBInstanceClass": "db.t4g.micro", "DBInstanceStatus": "available"}]
            },
            "list_objects_v2": {"Contents": []},
            "filter_log_events": {"events": [{"message": text} for text in ["x", "[]", *map(json.dumps, LOG)]]},
        }
        return dict(answers[operation])


class Client:
    """A client of one service, with paginators of one page."""

    def __init__(self, aws: Aws, service: str) -> None:
        self._aws, self._service = aws, service

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            if self._service in self._aws.denied:
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
            return self._aws.answer(operation, arguments)

        return call

    def get_paginator(self, operation: str) -> Any:
        client = self

        class Paginator:
            def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
                yield getattr(client, operation)(**arguments)

        return Paginator()


def test_everything_is_asked_and_goes_into_json() -> None:
    seen = collect(Aws(), SCOPE, lambda: DATABASE, NOW)
    assert not seen.missing
    assert seen.database is DATABASE
    assert seen.series["requests"] == [*[None] * 29, 7.0]
    assert seen.series["connections"] == [None] * 30
    assert seen.maximum_percent == 150
    assert seen.serving
    assert (seen.serving.revision, seen.serving.connections) == ("s:2", 21)
    assert seen.instance == {"identifier": "x", "class": "db.t4g.micro", "status": "available"}
    assert seen.logs
    assert (seen.logs.pool_timeouts, seen.logs.refused, seen.logs.leaks) == (1, 0, {"GET /a": 1})
    assert (seen.logs.pool_in_use, seen.logs.pool_size) == (7, 7)
    assert json.loads(json.dumps(asdict(seen)))["logs"]["leaks"] == {"GET /a": 1}


def test_a_database_that_refuses_leaves_the_other_half() -> None:
    def refuse() -> Database:
        raise NoListing("OperationalError: FATAL: sorry, too many clients already")

    seen = collect(Aws(), SCOPE, refuse, NOW)
    assert seen.database is None
    assert seen.missing == ["the database's sessions: OperationalError: FATAL: sorry, too many clients already"]
    assert all((seen.series, seen.serving, seen.instance, seen.logs))


def test_where_no_task_may_be_started_the_reason_is_said() -> None:
    seen = collect(Aws(), SCOPE, None, NOW, "no task is started in check mode")
    assert seen.missing == ["the database's sessions: no task is started in check mode"]
    assert seen.instance


@pytest.mark.parametrize(
    ("service", "what"),
    [
        ("cloudwatch", "CloudWatch's metrics"),
        ("ecs", "tasks and their pools"),
        ("rds", "the RDS instance"),
        ("logs", "the service's log"),
        ("s3", "the release ledger"),
    ],
)
def test_what_is_denied_is_named(service: str, what: str) -> None:
    seen = collect(Aws(service), SCOPE, lambda: DATABASE, NOW)
    (missing,) = seen.missing
    assert missing.startswith(f"{what}: ")
    assert seen.database is DATABASE
