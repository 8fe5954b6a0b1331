"""The outcome of a test page on each path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.notify.test_page import Path, last_line, of_notification, slack_message, subscribers, through_topic

TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:settlement-test-urgent"
ALARM = "settlement-test-test-page-urgent"
CONFIRMED = {"Protocol": "email", "Endpoint": "ops@example.com", "SubscriptionArn": f"{TOPIC}:1"}
PENDING = {"Protocol": "email", "Endpoint": "new@example.com", "SubscriptionArn": "PendingConfirmation"}
BOT = {
    "Protocol": "lambda",
    "Endpoint": "arn:aws:lambda:ap-northeast-2:123456789012:function:alarm-bot",
    "SubscriptionArn": f"{TOPIC}:2",
}


@dataclass
class Aws:
    """CloudWatch and SNS: the states that were set, and the entries of the alarm's history."""

    entries: list[str] = field(default_factory=lambda: [f"Successfully executed action {TOPIC}"])
    subscribed: list[dict[str, str]] = field(default_factory=lambda: [CONFIRMED, BOT])
    state: str = "OK"
    states: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def describe_alarms(self, AlarmNames: list[str]) -> Any:
        return {"MetricAlarms": [{"StateValue": self.state} for _ in AlarmNames]}

    def set_alarm_state(self, AlarmName: str, StateValue: str, StateReason: str) -> None:
        self.states.append(StateValue)
        self.reasons.append(StateReason)

    def describe_alarm_history(self, **_: Any) -> Any:
        entry = self.entries.pop(0) if len(self.entries) > 1 else self.entries[0]
        if entry == "refused":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeAlarmHistory")
        return {"AlarmHistoryItems": [{"HistorySummary": entry}] if entry else []}

    def get_paginator(self, _: str) -> Aws:
        return self

    def paginate(self, TopicArn: str) -> Any:
        return [{"Subscriptions": [item]} for item in self.subscribed]


def send(aws: Aws, wait: float = 0) -> Path:
    return through_topic(
        aws,
        aws,
        urgency="urgent",
        alarm=ALARM,
        topic_arn=TOPIC,
        by="ann@laptop",
        wait_seconds=wait,
        pause=lambda _: None,
    )


def test_taken_names_who_hears_it_and_the_alarm_is_ok_again() -> None:
    aws = Aws()
    path = send(aws)
    assert (path.outcome, path.said) == (
        "accepted",
        "the topic accepted it, for email ops@example.com, lambda alarm-bot",
    )
    assert aws.states == ["ALARM", "OK"]
    assert all(reason.startswith("TEST by ann@laptop: nothing is wrong") for reason in aws.reasons)


def test_the_word_may_come_late() -> None:
    assert send(Aws(entries=["", "", f"Successfully executed action {TOPIC}"]), wait=5).outcome == "accepted"


def test_what_the_topic_refused_is_said() -> None:
    path = send(Aws(entries=[f"Failed to execute action {TOPIC}. Received error: not authorized"]))
    assert path.outcome == "refused"
    assert "not authorized" in path.said


def test_no_word_in_time_is_a_failure() -> None:
    path = send(Aws(entries=[""]))
    assert path.outcome == "refused"
    assert ALARM in path.said


def test_another_topics_word_is_not_this_ones() -> None:
    assert send(Aws(entries=["Successfully executed action arn:aws:sns:ap-northeast-2:1:other"])).outcome == "refused"


def test_a_topic_that_nobody_hears() -> None:
    path = send(Aws(subscribed=[]))
    assert path.outcome == "no_recipient"
    assert TOPIC in path.said


def test_an_alarm_that_a_run_left_in_alarm_goes_off_again() -> None:
    aws = Aws(state="ALARM")
    send(aws)
    assert aws.states == ["OK", "ALARM", "OK"]


def test_the_alarm_is_ok_again_when_the_history_cannot_be_read() -> None:
    aws = Aws(entries=["refused"])
    with pytest.raises(ClientError):
        send(aws)
    assert aws.states[-1] == "OK"


def test_an_address_that_nobody_confirmed_is_said() -> None:
    assert subscribers(Aws(subscribed=[PENDING]), TOPIC) == ["email new@example.com (not confirmed: receives nothing)"]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("delivered (HTTP 200 ok, 1 attempt)", "accepted"),
        ("nothing sent: no webhook is set", "no_recipient"),
        ("not delivered: HTTP 404 no_service, 1 attempt", "refused"),
    ],
)
def test_the_releases_notification(said: str, outcome: str) -> None:
    path = of_notification(said)
    assert path.outcome == outcome
    assert said in path.said


def test_the_message_is_marked_and_mentions_nobody() -> None:
    message = slack_message("test", "<!channel>")
    assert "TEST" in message.text
    assert "<!channel>" not in message.text


def test_the_last_line_is_one() -> None:
    paths = [
        Path(name="urgent", outcome="accepted", said=""),
        Path(name="warning", outcome="no_recipient", said=""),
        Path(name="release notification", outcome="refused", said=""),
    ]
    assert last_line("test", paths) == (
        "test: test page: 1 accepted (urgent), 1 without recipient (warning), 1 refused (release notification)"
    )
