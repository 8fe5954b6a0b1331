from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from local_cloud.core.weather import THROTTLED, Answer, Weather


class Cloud:
    """A value that a write changes, behind weather; time passes when the test says so."""

    def __init__(self, seed: int) -> None:
        self.now = 1_800_000_000.0
        self.created: dict[str, float] = {}
        self.weather = Weather(seed, lambda: self.now, self.created.get)
        self.body: bytes = b"old"
        self.headers: dict[str, str] = {}

    def call(self, action: str, change: Callable[[], None] = lambda: None) -> tuple[int, dict[str, Any], bytes]:
        """Make a call, again while it is throttled."""

        async def ask() -> Answer:
            change()
            return 200, dict(self.headers), self.body

        while True:
            status, headers, body = asyncio.run(self.weather.answer(action, action, ask))
            if status == 200:
                return status, dict(headers), body

    def write(self, action: str, body: bytes) -> None:
        self.call(action, lambda: setattr(self, "body", body))


def lag(seed: int, read: str, write: str) -> float:
    cloud = Cloud(seed)
    cloud.call(read)
    cloud.write(write, b"new")
    start = cloud.now
    while cloud.call(read)[2] == b"old":
        cloud.now += 0.1
        assert cloud.now - start < 5.2
    return cloud.now - start


@pytest.mark.parametrize(
    ("read", "write"),
    [
        ("ecs:DescribeServices", "ecs:UpdateService"),
        ("elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:ModifyTargetGroup"),
        ("iam:GetRole", "iam:PutRolePolicy"),
        ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
    ],
)
def test_a_read_lags_a_write_by_up_to_five_seconds_as_the_seed_says(read: str, write: str) -> None:
    lags = [lag(seed, read, write) for seed in range(20)]
    assert max(lags) > 3
    assert len(set(lags)) > 10
    assert lags == [lag(seed, read, write) for seed in range(20)]


def test_s3_has_every_write_and_a_clock_of_its_own() -> None:
    assert lag(3, "s3:", "s3:") == 0
    assert {abs(Cloud(seed).weather.clock_difference) >= timedelta(minutes=1) for seed in range(20)} == {True}
    assert {Cloud(seed).weather.clock_difference > timedelta(0) for seed in range(20)} == {True, False}
    cloud = Cloud(3)
    cloud.headers = {"Last-Modified": "Fri, 15 Jan 2027 07:59:00 GMT"}
    cloud.body = b"<?xml?><LastModified>2027-01-15T07:59:00.000Z</LastModified>"
    _, headers, body = cloud.call("s3:")
    age = parsedate_to_datetime(headers["date"]) - parsedate_to_datetime(headers["Last-Modified"])
    assert age == timedelta(minutes=1)
    moved = parsedate_to_datetime(headers["Last-Modified"]).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert moved.encode() in body
    assert b"07:59:00" not in body


@pytest.mark.parametrize("operation", ["DescribeTasks", "ListTasks"])
def test_a_new_task_is_missing_at_first(operation: str) -> None:
    cloud = Cloud(1)
    if operation == "DescribeTasks":
        cloud.body = json.dumps({"tasks": [{"taskArn": "arn:one", "createdAt": cloud.now}]}).encode()
    else:
        cloud.body = json.dumps({"taskArns": ["arn:one"]}).encode()
    first = json.loads(cloud.call(f"ecs:{operation}")[2])
    assert not first.get("tasks", first.get("taskArns"))
    if operation == "DescribeTasks":
        assert first["failures"] == [{"arn": "arn:one", "reason": "MISSING"}]
    cloud.now += 5
    later = json.loads(cloud.call(f"ecs:{operation}")[2])
    assert later.get("tasks", later.get("taskArns"))


@pytest.mark.parametrize("operation", ["DescribeTasks", "ListTasks"])
def test_an_old_task_is_known_at_the_first_look(operation: str) -> None:
    cloud = Cloud(1)
    cloud.created["arn:one"] = cloud.now - 6
    cloud.body = json.dumps({"taskArns": ["arn:one"], "tasks": [{"taskArn": "arn:one"}]}).encode()
    answer = json.loads(cloud.call(f"ecs:{operation}")[2])
    assert answer["tasks" if operation == "DescribeTasks" else "taskArns"]


def test_health_that_changed_long_ago_is_seen_at_the_first_look() -> None:
    cloud = Cloud(1)
    read = "elasticloadbalancing:DescribeTargetHealth"
    cloud.call(read)
    cloud.now += 6
    cloud.body = b"new"
    assert cloud.call(read)[2] == b"new"


def test_health_is_late() -> None:
    cloud = Cloud(1)
    read = "elasticloadbalancing:DescribeTargetHealth"
    assert cloud.call(read)[2] == b"old"
    cloud.body = b"new"
    assert cloud.call(read)[2] == b"old"
    cloud.now += 5
    assert cloud.call(read)[2] == b"new"


def refusals(service: str, protocol: str) -> list[Answer]:
    """What is not answered of 2,000 calls."""
    weather = Weather(7, lambda: 0.0)

    async def ask() -> Answer:
        return 200, {}, b"{}"

    async def many() -> list[Answer]:
        action = f"{service}:DescribeThings"
        return [await weather.answer(action, "key", ask, protocol=protocol) for _ in range(2000)]

    return [answer for answer in asyncio.run(many()) if answer[0] == 400]


@pytest.mark.parametrize("service", THROTTLED)
def test_two_percent_of_calls_are_throttled_with_the_services_code(service: str) -> None:
    refused = refusals(service, "")
    assert 20 < len(refused) < 70
    assert all(THROTTLED[service].encode() in answer[2] for answer in refused)


def test_a_refusal_is_written_as_the_request_is() -> None:
    in_json = refusals("cloudwatch", "json")
    assert 20 < len(in_json) < 70
    assert {json.loads(body)["__type"] for _, _, body in in_json} == {"ThrottlingException"}
    assert not refusals("cloudwatch", "cbor")
