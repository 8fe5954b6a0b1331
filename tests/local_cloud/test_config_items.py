"""src/local_cloud/account/config_items.py: the events on EventBridge, which a rule sends to a queue."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.functions import open_queue

pytestmark = pytest.mark.local_cloud

TYPES = ["AWS::S3::Bucket", "AWS::EC2::SecurityGroup"]
HERE = {"LocationConstraint": "ap-northeast-2"}


@pytest.fixture
def items(cloud: RunningCloud) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function for the events since the last call. The recorder is stopped afterwards."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    url, arn = open_queue(cloud, f"items-{uuid.uuid4().hex[:8]}")
    pattern = {"source": ["aws.config"], "detail-type": ["Config Configuration Item Change"]}
    events.put_rule(Name="items", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="items", Targets=[{"Id": "queue", "Arn": arn}])

    def read() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"])["detail"] for message in found]

    yield read
    events.remove_targets(Rule="items", Ids=["queue"])
    with contextlib.suppress(Exception):  # the test without a recorder has none to stop
        cloud.client("config").stop_configuration_recorder(ConfigurationRecorderName="test")


def record(cloud: RunningCloud, *types: str) -> None:
    config = cloud.client("config")
    config.put_configuration_recorder(
        ConfigurationRecorder={
            "name": "test",
            "roleARN": "arn:aws:iam::000000000000:role/config",
            "recordingGroup": {"allSupported": False, "resourceTypes": list(types)},
        }
    )
    config.start_configuration_recorder(ConfigurationRecorderName="test")


def of(name: str, read: Callable[[], list[dict[str, Any]]], count: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """Wait for so many changes of a resource, and return each with its item."""
    found: list[tuple[str, dict[str, Any]]] = []

    def complete() -> bool:
        for detail in read():
            if detail["configurationItem"]["resourceName"] == name:
                found.append((detail["configurationItemDiff"]["changeType"], detail["configurationItem"]))
        return len(found) >= count

    wait_for(complete, what=f"{count} changes of {name}")
    return found


def test_what_is_made_and_changed_is_told_once_each(
    cloud: RunningCloud, items: Callable[[], list[dict[str, Any]]]
) -> None:
    s3, ec2 = cloud.client("s3"), cloud.client("ec2")
    s3.create_bucket(Bucket="older-than-the-recorder", CreateBucketConfiguration=HERE)
    record(cloud, *TYPES)
    ((change, item),) = of("older-than-the-recorder", items)
    assert change == "CREATE"
    assert item["resourceCreationTime"] < item["configurationItemCaptureTime"]

    # Terraform tags a bucket in a second call; the one item contains the tags.
    s3.create_bucket(Bucket="made", CreateBucketConfiguration=HERE)
    s3.put_bucket_tagging(Bucket="made", Tagging={"TagSet": [{"Key": "Application", "Value": "x"}]})
    group = ec2.create_security_group(GroupName="made", Description="test")["GroupId"]
    bucket_item, group_item = sorted(of("made", items, 2), key=lambda found: len(found[1]["resourceId"]))
    assert [bucket_item[0], group_item[0]] == ["CREATE", "CREATE"]
    assert bucket_item[1]["tags"] == {"Application": "x"}
    assert (group_item[1]["resourceType"], group_item[1]["resourceId"]) == ("AWS::EC2::SecurityGroup", group)
    (made,) = cloud.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": "made"}]
    )["Events"]
    assert (made["EventName"], made["Username"]) == ("CreateBucket", "test")

    s3.put_bucket_tagging(Bucket="made", Tagging={"TagSet": []})
    ((change, item),) = of("made", items)
    assert (change, item["tags"]) == ("UPDATE", {})


def test_a_type_that_is_not_recorded_is_not_told(
    cloud: RunningCloud, items: Callable[[], list[dict[str, Any]]]
) -> None:
    record(cloud, "AWS::EC2::SecurityGroup")
    cloud.client("s3").create_bucket(Bucket="not-recorded", CreateBucketConfiguration=HERE)
    cloud.client("ec2").create_security_group(GroupName="recorded", Description="test")
    assert [detail["configurationItem"]["resourceName"] for detail in wait_for(items)] == ["recorded"]
