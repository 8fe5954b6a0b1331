"""detection-bot from the event of AWS Config to the message in Slack."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from bots import detection_bot, invocation
from bots.cloudtrail import Creation, who_created
from bots.recorder import BELATED, INVENTORY, Recorder, skip_reason
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.slack import Slack, intrusions, problems, shown
from tests.unit.bots.conftest import TABLE, Cloud, Context, Say

STARTED = datetime(2026, 1, 1, 9, tzinfo=UTC)
CREATED = datetime(2026, 1, 31, 9, 0, 1, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "id": "8a5f-1",
    "source": "aws.config",
    "detail-type": "Config Configuration Item Change",
    "detail": {
        "messageType": "ConfigurationItemChangeNotification",
        "recordVersion": "1.3",
        "configurationItemDiff": {"changeType": "CREATE", "changedProperties": {}},
        "configurationItem": {
            "resourceType": "AWS::EC2::Instance",
            "resourceId": "i-0abc",
            "resourceName": None,
            "ARN": "arn:aws:ec2:ap-northeast-2:123456789012:instance/i-0abc",
            "awsRegion": "ap-northeast-2",
            "awsAccountId": "123456789012",
            "resourceCreationTime": "2026-01-31T09:00:01.000Z",
            "configurationItemCaptureTime": "2026-01-31T09:03:00.000Z",
            "configurationItemStatus": "ResourceDiscovered",
            "configurationStateId": 1769850180000,
            "tags": {"Project": "settlement", "Owner": " "},
        },
    },
}


class Config:
    """AWS Config's status, because a test cannot set the recorder's start in moto."""

    def __init__(self, started: datetime | None) -> None:
        self.started = started

    def describe_configuration_recorder_status(self, ConfigurationRecorderNames: list[str]) -> dict[str, Any]:
        assert ConfigurationRecorderNames == ["settlement"]
        if self.started is None:
            raise ClientError({"Error": {"Code": "NoSuchConfigurationRecorderException", "Message": ""}}, "Describe")
        return {"ConfigurationRecordersStatus": [{"name": "settlement", "lastStartTime": self.started}]}


class CloudTrail:
    """LookupEvents by name and time, which moto lacks."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = list(events)
        self.asked: list[str] = []

    def get_paginator(self, name: str) -> CloudTrail:
        assert name == "lookup_events"
        return self

    def paginate(
        self, *, LookupAttributes: list[dict[str, str]], StartTime: datetime, EndTime: datetime, PaginationConfig: Any
    ) -> list[dict[str, Any]]:
        (attribute,) = LookupAttributes
        assert attribute["AttributeKey"] == "ResourceName"
        self.asked.append(attribute["AttributeValue"])
        found = [
            event
            for event in self.events
            if event["about"] == attribute["AttributeValue"] and StartTime <= event["EventTime"] <= EndTime
        ]
        return [{"Events": found}]


def trail_event(name: str, identity: dict[str, Any], seconds: float = 0, about: str = "i-0abc", **more: Any) -> Any:
    return {
        "about": about,
        "EventName": name,
        "EventTime": CREATED + timedelta(seconds=seconds),
        "ReadOnly": "false",
        "CloudTrailEvent": json.dumps({"userIdentity": identity}),
        **more,
    }


ANN = {"type": "IAMUser", "userName": "ann"}
DEPLOYER = {
    "type": "AssumedRole",
    "arn": "arn:aws:sts::123456789012:assumed-role/deploy/github-77",
    "sessionContext": {"sessionIssuer": {"userName": "deploy"}},
}


class Account:
    """The services that the bot calls besides the table."""

    def __init__(self) -> None:
        self.config = Config(STARTED)
        self.trail = CloudTrail(trail_event("RunInstances", DEPLOYER))
        self.regions: list[str | None] = []


@pytest.fixture
def account(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account()
    real = invocation.client

    def client(service: str, region: str | None = None) -> Any:
        if service == "cloudtrail":
            account.regions.append(region)
            return account.trail
        return account.config if service == "config" else real(service)

    monkeypatch.setattr(detection_bot, "client", client)
    monkeypatch.setenv("RECORDER_NAME", "settlement")
    monkeypatch.setenv("REQUIRED_TAGS", "Project, Owner,Environment")
    return account


def changed(**changes: Any) -> dict[str, Any]:
    event = copy.deepcopy(EVENT)
    event["id"] = changes.pop("id", event["id"])
    event["detail"]["configurationItemDiff"]["changeType"] = changes.pop("changeType", "CREATE")
    event["detail"]["configurationItem"] |= changes
    return event


def run(event: Any = EVENT) -> None:
    detection_bot.handler(event, Context())


def test_a_creation_is_told_with_who_and_what_it_lacks(account: Account, slack: Slack) -> None:
    run()
    (message,) = slack.messages
    text = shown(message)
    for fact in (
        "AWS::EC2::Instance created",
        "*Id*\ni-0abc",
        "*Region*\nap-northeast-2",
        "*Account*\n123456789012",
        "*By*\ngithub-77 as deploy (RunInstances)",
        "*At*\n2026-01-31 09:00:01 UTC",
        "*Missing tags*\nOwner, Environment",
        "arn:aws:ec2:ap-northeast-2:123456789012:instance/i-0abc",
    ):
        assert fact in text
    assert "#/resources/timeline?resourceType=AWS::EC2::Instance&amp;resourceId=i-0abc|" in json.dumps(message)


def test_nothing_is_missing_from_what_has_all_tags(account: Account, slack: Slack) -> None:
    run(changed(tags={"Project": "a", "Owner": "b", "Environment": "c"}))
    assert "Missing tags" not in shown(slack.messages[0])


def test_tags_as_a_list_are_tags_too(account: Account, slack: Slack) -> None:
    run(changed(tags=[{"key": "Project", "value": "a"}, {"key": "Owner", "value": "b"}, None]))
    assert "*Missing tags*\nEnvironment\n" in shown(slack.messages[0]) + "\n"


@pytest.mark.parametrize("kind", ["UPDATE", "DELETE", "NONE"])
def test_any_other_change_is_silent(account: Account, slack: Slack, kind: str) -> None:
    run(changed(changeType=kind))
    assert slack.requests == []


@pytest.mark.parametrize("kind", ["ComplianceChangeNotification", None])
def test_any_other_notice_of_config_is_silent(account: Account, slack: Slack, cloud: Cloud, kind: str | None) -> None:
    event = changed()
    event["detail"]["messageType"] = kind
    run(event)
    assert (slack.requests, cloud.kept()) == ([], [])


def oversized(**changes: Any) -> dict[str, Any]:
    """Return the event that AWS Config sends for an item that is too large: the summary has no tags."""
    item = {name: value for name, value in EVENT["detail"]["configurationItem"].items() if name != "tags"}
    detail = {
        "messageType": "OversizedConfigurationItemChangeNotification",
        "recordVersion": "1.0",
        "notificationCreationTime": "2026-01-31T09:03:00.000Z",
        "configurationItemSummary": {"changeType": "CREATE", **item, **changes},
        "s3DeliverySummary": {"s3BucketLocation": "config-bucket/AWSLogs/x.json.gz", "errorCode": None},
    }
    return {**EVENT, "detail": detail}


def test_a_creation_whose_item_is_too_large_is_told(account: Account, slack: Slack) -> None:
    run(oversized())
    (message,) = slack.messages
    text = shown(message)
    assert "AWS::EC2::Instance created" in text
    assert "*By*\ngithub-77 as deploy (RunInstances)" in text
    assert "*Missing tags*\nnot known" in text
    run()
    assert len(slack.messages) == 1


def test_another_change_that_is_too_large_is_silent(account: Account, slack: Slack, cloud: Cloud) -> None:
    run(oversized(changeType="UPDATE"))
    assert (slack.requests, cloud.kept()) == ([], [])


def test_values_beyond_the_limits_of_slack_are_cut(account: Account, slack: Slack) -> None:
    long = "n&" * 50_000
    run(changed(resourceName=long, ARN=long, awsRegion=long, tags={}))
    (message,) = slack.messages
    assert problems(message) == []


@pytest.mark.parametrize("again", [{}, {"id": "other"}, {"id": "other", "configurationStateId": 5}])
def test_created_once_is_told_once(account: Account, slack: Slack, again: dict[str, Any]) -> None:
    run()
    run(changed(**again))
    assert len(slack.messages) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"resourceId": "i-0def"},
        {"resourceCreationTime": "2026-01-31T09:02:01.000Z"},
        {"awsRegion": "us-east-1"},
        {"resourceType": "AWS::EC2::Volume"},
    ],
)
def test_another_creation_is_told(account: Account, slack: Slack, other: dict[str, Any]) -> None:
    run()
    run(changed(id="other", **other))
    assert len(slack.messages) == 2


def test_what_is_older_than_the_recorder_is_silent(account: Account, slack: Slack, said: Say) -> None:
    account.config.started = CREATED + timedelta(microseconds=1)
    run()
    assert slack.requests == []
    assert account.trail.asked == [], "an inventory asks CloudTrail nothing"
    assert [line["reason"] for line in said() if line["message"] == "skipped"] == ["older than the recorder"]


def test_what_was_made_while_the_recorder_was_stopped_is_told(account: Account, slack: Slack) -> None:
    run()
    account.config.started = CREATED + timedelta(hours=2)
    run(changed(id="2", resourceId="i-0def", configurationItemCaptureTime="2026-01-31T11:00:30.000Z"))
    assert len(slack.messages) == 2


def test_a_recorder_that_cannot_be_asked_silences_nothing(account: Account, slack: Slack) -> None:
    account.config.started = None
    run()
    assert len(slack.messages) == 1


def test_the_recorders_item_never_expires(account: Account, cloud: Cloud) -> None:
    run()
    key = {"fingerprint": {"S": "recorder:settlement"}}
    assert "expires_at" not in cloud.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]


RECORDER = Recorder(first_start=STARTED, last_start=STARTED + timedelta(days=10))


@pytest.mark.parametrize(
    ("created", "captured", "silent"),
    [
        (STARTED, STARTED, False),
        (STARTED - timedelta(microseconds=1), STARTED, True),
        (STARTED + timedelta(days=10), STARTED + timedelta(days=10) + BELATED, False),
        (STARTED + timedelta(days=10), STARTED + timedelta(days=10, microseconds=1) + BELATED, True),
        (None, RECORDER.last_start, True),
        (None, RECORDER.last_start + INVENTORY, False),
        (None, RECORDER.last_start - timedelta(microseconds=1), False),
    ],
)
def test_the_rule_of_what_is_silent(created: datetime | None, captured: datetime, silent: bool) -> None:
    assert bool(skip_reason(RECORDER, created, captured)) is silent


def who(*events: dict[str, Any], names: tuple[str, ...] = ("i-0abc", "web", "arn")) -> Creation:
    return who_created(CloudTrail(*events), names, CREATED, CREATED + timedelta(minutes=3))


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (ANN, "ann"),
        (DEPLOYER, "github-77 as deploy"),
        ({"type": "Root"}, "root"),
        ({"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}, "autoscaling.amazonaws.com"),
        ({"type": "AssumedRole"}, "unknown"),
        ({}, "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_everybody_has_a_name(identity: Any, name: str) -> None:
    assert who(trail_event("CreateBucket", identity)).who == name


def test_who_made_it_is_believed_before_who_touched_it_and_the_nearest_first() -> None:
    made = who(
        trail_event("TagResource", {"type": "IAMUser", "userName": "tagger"}, 0),
        trail_event("DescribeInstances", {"type": "IAMUser", "userName": "reader"}, 0, ReadOnly="true"),
        trail_event("CreateVolume", {"type": "IAMUser", "userName": "late"}, 60),
        trail_event("RunInstances", ANN, -5),
    )
    assert made == Creation(who="ann", action="RunInstances")


def test_who_is_found_by_the_name_where_the_id_tells_nothing() -> None:
    assert who(trail_event("CreateBucket", ANN, about="web")).who == "ann"


@pytest.mark.parametrize("seconds", [-901, 901])
def test_long_before_or_after_is_somebody_else(seconds: float) -> None:
    assert who(trail_event("RunInstances", ANN, seconds)) == Creation()


def test_cloudtrail_that_does_not_answer_is_unknown(account: Account, slack: Slack) -> None:
    account.trail.paginate = lambda **_: (_ for _ in ()).throw(  # type: ignore[method-assign]
        ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "LookupEvents")
    )
    run()
    assert "*By*\nunknown" in shown(slack.messages[0])


def test_what_belongs_to_no_region_is_asked_about_where_its_events_are(account: Account, slack: Slack) -> None:
    run(changed(awsRegion="global"))
    assert account.regions == ["us-east-1"]
    assert len(slack.messages) == 1


NO_ITEM = {"detail": {**EVENT["detail"], "configurationItem": 5}}


@pytest.mark.parametrize("event", [None, [], {}, {"detail": []}, NO_ITEM])
def test_a_malformed_event_is_kept(account: Account, cloud: Cloud, slack: Slack, event: Any) -> None:
    run(event)
    (kept,) = cloud.kept()
    assert kept["event"] == event


def test_a_creation_that_slack_did_not_take_is_kept_once(account: Account, cloud: Cloud, slack: Slack) -> None:
    slack.plan(*[500] * 4)
    run()
    run()
    assert len(cloud.kept()) == 1


HOSTILE = st.text(alphabet="<>!&@`*\n\r\x00\u202e\ud800|:%/ herecannl", max_size=60)
values = st.none() | st.integers() | st.floats() | HOSTILE | st.lists(HOSTILE, max_size=2)
names = st.sampled_from([*EVENT["detail"]["configurationItem"]])
tags = st.dictionaries(HOSTILE, values, max_size=3)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(names, values | tags, max_size=6), values, HOSTILE)
def test_no_resource_crashes_it_or_gets_into_slack(
    account: Account, slack: Slack, item: dict[str, Any], identifier: Any, person: str
) -> None:
    slack.forget()
    resource = item.get("resourceId") or "i-0abc"
    account.trail = CloudTrail(trail_event(person, {"type": "IAMUser", "userName": person}, about=str(resource)))
    run(changed(id=identifier, **item))
    assert all(request.answer.status == 200 for request in slack.requests)
    assert all(intrusions(message) == [] for message in slack.messages)
