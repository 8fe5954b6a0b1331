"""Reading the signals: each source becomes its field, and one that refuses or is silent holds up no other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.project import PROJECT
from fargate_ops.incident import gather as gathering
from fargate_ops.incident.gather import gather, said
from fargate_ops.incident.signals import Change, Database, Entry, Source, Target
from fargate_ops.release.journal import incarnation
from fargate_ops.state.ledger import Event, Outcome, release_id
from tests.terraform.policies import Call, Policy, allows
from tests.terraform.rights import granted
from tests.unit.incident.conftest import NOW, OLD, SCOPE, ago

NAME = SCOPE.name
CLUSTER = f"arn:aws:ecs:ap-northeast-2:1:cluster/{NAME}"
SERVICE = {
    "serviceArn": f"arn:aws:ecs:ap-northeast-2:1:service/{NAME}/{NAME}",
    "serviceName": NAME,
    "status": "ACTIVE",
    "createdAt": ago(9000),
    "desiredCount": 2,
    "runningCount": 1,
    "taskDefinition": OLD,
    "loadBalancers": [{"targetGroupArn": "tg"}],
    "events": [{"createdAt": ago(5), "message": "newer"}, {"createdAt": ago(50), "message": "older"}],
    "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": OLD, "rolloutState": "COMPLETED"}],
}
RUNNING = {
    "taskArn": f"arn:aws:ecs:ap-northeast-2:1:task/{NAME}/running",
    "taskDefinitionArn": OLD,
    "lastStatus": "RUNNING",
    "availabilityZone": "ap-northeast-2a",
    "startedAt": ago(100),
    "attachments": [{"details": [{"name": "privateIPv4Address", "value": "10.0.0.1"}]}],
}
STOPPED = {
    "taskArn": f"arn:aws:ecs:ap-northeast-2:1:task/{NAME}/stopped",
    "taskDefinitionArn": OLD,
    "lastStatus": "STOPPED",
    "stopCode": "EssentialContainerExited",
    "stoppedReason": "Essential container in task exited",
    "stoppedAt": ago(30),
    "containers": [{"name": "log"}, {"name": "api", "exitCode": 137, "reason": "OutOfMemoryError: killed"}],
}
STOPPING = {
    "taskArn": f"arn:aws:ecs:ap-northeast-2:1:task/{NAME}/stopping",
    "taskDefinitionArn": OLD,
    "lastStatus": "DEACTIVATING",
    "availabilityZone": "ap-northeast-2c",
    "stopCode": "ServiceSchedulerInitiated",
    "stoppedReason": "Task failed ELB health checks in (target-group t)",
    "stoppingAt": ago(10),
}
RELEASE = Event(
    release=release_id("v1", ago(900)),
    outcome=Outcome.SUCCEEDED,
    service=incarnation(SERVICE),
    version="v1",
    digest="sha256:1",
    revision=OLD,
    by="ann",
    at=ago(800),
)
KEY = f"ledger/staging/{RELEASE.release}/succeeded.json"
MESSAGES = {
    f"/ecs/{NAME}": json.dumps({"message": "the database cannot be used", "reason": "FATAL:\n  no", "level": "ERROR"}),
    f"/aws/rds/instance/{NAME}/postgresql": "of the original",
    f"/aws/rds/instance/{NAME}-restored/postgresql": "2026 UTC:[7]:LOG:  duration: 4000.0 ms\n  statement: SELECT 1",
}
TRAIL = [
    {"EventName": "UpdateService", "EventTime": ago(60), "Username": "ann", "Resources": [{"ResourceName": NAME}]},
    {"EventName": "UpdateService", "EventTime": ago(61), "Resources": [{"ResourceName": "another-service"}]},
    {"EventName": "CreateLogStream", "EventTime": ago(62), "Resources": [{"ResourceName": NAME}]},
    {"EventName": "StopTask", "EventTime": ago(63), "CloudTrailEvent": json.dumps({"cluster": NAME})},
]


class Aws:
    """Answers as AWS; services in ``denied`` refuse, and ``silent`` ones wait until the test is over."""

    def __init__(self, *denied: str, silent: str = "", service: Mapping[str, Any] | None = SERVICE) -> None:
        self.denied, self.silent, self.service = denied, silent, service
        self.over = threading.Event()
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def client(self, service: str) -> Any:
        return Client(self, service)

    def call(self, service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((service, operation, arguments))
        if service in self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, operation)
        if service == self.silent:
            self.over.wait()
        found: dict[str, Any] = getattr(self, operation)(arguments)
        return found

    def describe_services(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"services": [self.service] if self.service else []}

    def list_tasks(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        tasks = [STOPPED, STOPPING] if asked.get("desiredStatus") == "STOPPED" else [RUNNING]
        return {"taskArns": [str(number) for number, _ in enumerate(tasks)] if tasks[0] is STOPPED else ["running"]}

    def describe_tasks(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"tasks": [RUNNING] if asked["tasks"] == ["running"] else [STOPPED, STOPPING]}

    def describe_task_definition(self, _: Mapping[str, Any]) -> dict[str, Any]:
        host = {"name": "DATABASE_HOST", "value": "restored.rds"}
        return {"taskDefinition": {"containerDefinitions": [{"name": "api", "environment": [host]}]}}

    def describe_target_health(self, _: Mapping[str, Any]) -> dict[str, Any]:
        health = {"State": "unhealthy", "Reason": "Target.Timeout"}
        return {"TargetHealthDescriptions": [{"Target": {"Id": "10.0.0.1"}, "TargetHealth": health}]}

    def describe_alarms(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"MetricAlarms": [{"AlarmName": f"{NAME}-x", "StateValue": "OK", "StateUpdatedTimestamp": NOW}]}

    def describe_db_instances(self, _: Mapping[str, Any]) -> dict[str, Any]:
        hosts = {NAME: "original.rds", f"{NAME}-restored": "restored.rds", f"{NAME}2": "restored.rds"}
        return {
            "DBInstances": [
                {"DBInstanceIdentifier": name, "DBInstanceStatus": "available", "Endpoint": {"Address": host}}
                for name, host in hosts.items()
            ]
        }

    def filter_log_events(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"events": [{"timestamp": 1769850000000, "message": MESSAGES[asked["logGroupName"]]}]}

    def get_metric_statistics(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"Datapoints": [{"Timestamp": ago(seconds), "Average": 50.0 + seconds} for seconds in (60, 120)]}

    def get_queue_url(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"QueueUrl": "https://queue"}

    def get_queue_attributes(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"Attributes": {"ApproximateNumberOfMessages": "3"}}

    def lookup_events(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"Events": TRAIL}

    def list_objects_v2(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"Contents": [{"Key": KEY, "ETag": "1"}]}

    def get_object(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"Body": BytesIO(RELEASE.to_json().encode())}


class Client:
    """A client of one service, with paginators of one page."""

    def __init__(self, aws: Aws, service: str) -> None:
        self._aws, self._service = aws, service

    def __getattr__(self, operation: str) -> Any:
        return lambda **arguments: self._aws.call(self._service, operation, arguments)

    def get_paginator(self, operation: str) -> Any:
        aws, service = self._aws, self._service

        class Paginator:
            def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
                yield aws.call(service, operation, arguments)

        return Paginator()


def test_each_source_becomes_its_signals() -> None:
    seen = gather(Aws(), SCOPE, NOW)
    assert seen.unread == {}
    assert set(seen.read) == set(Source)
    assert seen.service is not None
    assert (seen.service.desired, seen.service.running, seen.service.revisions) == (2, 1, {OLD})
    assert [event.text for event in seen.service.events] == ["older", "newer"]
    assert [(task.zone, task.address) for task in seen.tasks] == [("ap-northeast-2a", "10.0.0.1")]
    ended, ending = seen.stops
    assert (ended.exit_code, ended.container_reason) == (137, "OutOfMemoryError: killed")
    assert (ending.zone, ending.reason, ending.stopped) == ("ap-northeast-2c", STOPPING["stoppedReason"], ago(10))
    assert seen.targets == [Target(address="10.0.0.1", state="unhealthy", reason="Target.Timeout")]
    assert seen.database == Database(identifier=f"{NAME}-restored", status="available")
    assert [item.text for item in seen.application_log] == ["the database cannot be used: FATAL: no"]
    assert [item.text for item in seen.database_log] == ["2026 UTC:[7]:LOG: duration: 4000.0 ms statement: SELECT 1"]
    assert seen.cpu == [(ago(120), 170.0), (ago(60), 110.0)]
    assert seen.undelivered == 3
    assert [item.name for item in seen.releases] == ["v1"]
    assert seen.changes == [
        Change(at=ago(63), call="StopTask", by="unknown"),
        Change(at=ago(60), call="UpdateService", by="ann"),
    ]


def test_a_source_that_refuses_is_named_and_holds_up_no_other() -> None:
    seen = gather(Aws("cloudtrail", "rds"), SCOPE, NOW)
    assert seen.unread == dict.fromkeys((Source.DATABASE, Source.CHANGES), "AccessDenied: not for you")
    assert set(seen.read) | set(seen.unread) == set(Source)
    assert [item.text for item in seen.database_log] == ["of the original"]


def test_a_source_that_is_silent_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LIMIT_SECONDS", 0.5)
    aws = Aws(silent="sqs")
    try:
        seen = gather(aws, SCOPE, NOW)
    finally:
        aws.over.set()
    assert seen.unread == {Source.QUEUE: "no answer within 0.5 s"}
    assert seen.undelivered == 0


def test_without_a_service_the_rest_is_read() -> None:
    seen = gather(Aws(service=None), SCOPE, NOW)
    assert seen.is_missing
    assert set(seen.unread) == {Source.SERVICE, Source.TARGETS, Source.DATABASE}
    assert f"the service {NAME} in the cluster {NAME} is missing" in seen.unread[Source.SERVICE]


def test_what_the_environment_does_not_have_is_not_read() -> None:
    aws = Aws()
    seen = gather(aws, replace(SCOPE, has_database=False, cloudtrail=False), NOW)
    assert set(Source) - set(seen.read) == {Source.DATABASE, Source.DATABASE_LOG, Source.CHANGES}
    assert not {"rds", "cloudtrail"} & {service for service, _, _ in aws.calls}


def test_a_log_is_read_from_when_evidence_counts() -> None:
    aws = Aws()
    gather(aws, replace(SCOPE, recent=timedelta(minutes=2)), NOW)
    (start,) = {asked["startTime"] for _, operation, asked in aws.calls if operation == "filter_log_events"}
    assert start == int(ago(120).timestamp() * 1000)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("a line\n  with more", "a line with more"),
        ('["no", "object"]', '["no", "object"]'),
        ('{"message": "it failed", "exception": "Traceback\\n  x\\nValueError: no"}', "it failed: ValueError: no"),
        ('{"message": "held", "endpoint": "GET /a"}', "held: GET /a"),
    ],
)
def test_a_line_of_a_log_is_said_in_one_line(message: str, text: str) -> None:
    assert said(message) == text
    assert Entry(at=NOW, text=said(message)).text == text


POLICY: Policy = json.loads((PROJECT / "docs/incident-policy.json").read_text())
_SERVICES = {"elbv2": "elasticloadbalancing"}
_ACTIONS = {"s3:ListObjectsV2": "s3:ListBucket", "cloudtrail:LookupEvents": "cloudtrail:LookupEvents"}
_HERE = "ap-northeast-2:111111111111"


def _asked(service: str, operation: str, asked: Mapping[str, Any]) -> list[Call]:
    """Return what IAM is asked for a request."""
    name = "".join(word.capitalize() for word in operation.split("_")).replace("Db", "DB")
    action = f"{_SERVICES.get(service, service)}:{name}"
    action = _ACTIONS.get(action, action)
    bucket = "arn:aws:s3:::shop-terraform-111111111111-ap-northeast-2"
    resources = {
        "s3:ListBucket": [bucket],
        "s3:GetObject": [f"{bucket}/{asked.get('Key')}"],
        "ecs:DescribeServices": [f"arn:aws:ecs:{_HERE}:service/{NAME}/{NAME}"],
        "ecs:DescribeTasks": [f"arn:aws:ecs:{_HERE}:task/{NAME}/1"],
        "logs:FilterLogEvents": [f"arn:aws:logs:{_HERE}:log-group:{asked.get('logGroupName')}:*"],
        "sqs:GetQueueUrl": [f"arn:aws:sqs:{_HERE}:{NAME}-undelivered"],
        "sqs:GetQueueAttributes": [f"arn:aws:sqs:{_HERE}:{NAME}-undelivered"],
    }
    return [Call(action, resource) for resource in resources.get(action, ["*"])]


def test_the_policy_allows_every_call_and_nothing_that_is_never_called() -> None:
    aws = Aws()
    gather(aws, SCOPE, NOW)
    recorded = [call for service, operation, asked in aws.calls for call in _asked(service, operation, asked)]
    assert [call for call in recorded if not allows([POLICY], call)] == []
    assert granted([POLICY]) == {call.action for call in recorded}
