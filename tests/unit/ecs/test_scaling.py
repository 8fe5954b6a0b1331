"""What auto scaling did to the number of tasks, read from answers of its API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from fargate_ops.ecs.scaling import ScalableTarget
from fargate_ops.terraform.stack import ServiceScaling

SCALING = ServiceScaling(
    {"resource_id": "service/c/s", "service_namespace": "ecs", "scalable_dimension": "ecs:service:DesiredCount"}
)


def activity(identity: str, number: int, status: str = "Successful") -> dict[str, Any]:
    """An activity as https://docs.aws.amazon.com/cli/latest/reference/application-autoscaling/describe-scaling-activities.html
    shows it."""
    return {
        "ActivityId": identity,
        "ServiceNamespace": "ecs",
        "ResourceId": "service/c/s",
        "ScalableDimension": "ecs:service:DesiredCount",
        "Description": f"Setting desired count to {number}.",
        "Cause": "monitor alarm web-app-cpu-gt-75 in state ALARM triggered policy web-app-cpu-gt-75",
        "StartTime": datetime(2026, 12, 1, tzinfo=UTC),
        "StatusCode": status,
    }


@pytest.fixture
def api() -> Iterator[Stubber]:
    client = boto3.client("application-autoscaling", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answer(api: Stubber, *pages: list[dict[str, Any]]) -> ScalableTarget:
    """Let the API answer once, with these pages, the newest activity first."""
    asked = {"ServiceNamespace": "ecs", "ResourceId": "service/c/s", "ScalableDimension": "ecs:service:DesiredCount"}
    for number, page in enumerate(pages):
        token = {"NextToken": str(number)} if number else {}
        more = {"NextToken": str(number + 1)} if number + 1 < len(pages) else {}
        api.add_response("describe_scaling_activities", {"ScalingActivities": page, **more}, asked | token)
    return ScalableTarget(api.client, SCALING)


PAGES = [activity("d", 3), activity("c", 9, "Failed")], [activity("b", 4), activity("a", 2)]


def test_the_newest_activity_is_the_first_that_did_not_fail(api: Stubber) -> None:
    assert answer(api, *PAGES).newest_activity() == "d"
    assert answer(api, [activity("c", 9, "Failed"), activity("b", 4)]).newest_activity() == "b"
    assert answer(api, []).newest_activity() == ""


def test_numbers_are_those_set_since_an_activity_the_oldest_first(api: Stubber) -> None:
    assert answer(api, *PAGES).numbers_after("a") == [4, 3]
    assert answer(api, *PAGES).numbers_after("d") == []
    assert answer(api, *PAGES).numbers_after("") == [2, 4, 3]
