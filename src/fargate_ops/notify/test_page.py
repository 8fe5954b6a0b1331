"""Send a test page through every notification path, and report which paths accepted it.

A dedicated alarm is set to ALARM and back to OK, so the page takes the same path as a real one: CloudWatch, the topic
and its policy, e-mail and alarm-bot. CloudWatch records in the alarm's history whether the topic accepted it:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from fargate_ops.notify.slack import Message, escape

#: ``accepted``: on its way to a recipient. ``no_recipient``: accepted or not sent, because no recipient is configured.
Outcome = Literal["accepted", "no_recipient", "refused"]


@dataclass(frozen=True, kw_only=True)
class Path:
    """The outcome of the page on one path; ``said`` is one line for people."""

    name: str
    outcome: Outcome
    said: str


def through_topic(
    cloudwatch: Any,
    sns: Any,
    *,
    urgency: str,
    alarm: str,
    topic_arn: str,
    by: str,
    wait_seconds: float,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Set `alarm` to ALARM and back to OK; wait at most ``wait_seconds`` for the result of its action.

    Raises:
        ClientError, BotoCoreError: AWS refused a call. The alarm is set back to OK nevertheless.
    """
    listeners = subscribers(sns, topic_arn)
    reason = f"TEST by {by}: nothing is wrong"
    # Only a change of state triggers the action, and an interrupted run may have left ALARM.
    if [item["StateValue"] for item in cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]] == ["ALARM"]:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason=f"{reason}, the last test is over")
    since = datetime.now(UTC).replace(microsecond=0)
    try:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason=reason)
        result = _action_result(cloudwatch, alarm, topic_arn, since, wait_seconds, pause)
    finally:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason=f"{reason}, the test is over")
    if not result:
        said = f"the alarm's action has no result after {wait_seconds:g} s: see the history of {alarm}"
        return Path(name=urgency, outcome="refused", said=said)
    if not result.startswith("Successfully"):
        return Path(name=urgency, outcome="refused", said=result)
    if not listeners:
        said = f"the topic accepted it, but has no subscriber: {topic_arn}"
        return Path(name=urgency, outcome="no_recipient", said=said)
    return Path(name=urgency, outcome="accepted", said=f"the topic accepted it, for {', '.join(listeners)}")


def subscribers(sns: Any, topic_arn: str) -> list[str]:
    """Return the topic's subscribers, ``email ops@example.com``; an unconfirmed address receives nothing yet."""
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    return [
        f"{item['Protocol']} {item['Endpoint'].rsplit(':', 1)[-1]}"
        + ("" if item["SubscriptionArn"].startswith("arn:") else " (not confirmed: receives nothing)")
        for page in pages
        for item in page["Subscriptions"]
    ]


def _action_result(
    cloudwatch: Any,
    alarm: str,
    topic_arn: str,
    since: datetime,
    wait_seconds: float,
    pause: Callable[[float], None],
) -> str:
    """Return the alarm history's entry on this action; empty if there is none in time."""
    end = time.monotonic() + wait_seconds
    while True:
        answer = cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="Action", StartDate=since)
        for item in answer["AlarmHistoryItems"]:
            if topic_arn in item["HistorySummary"]:
                return str(item["HistorySummary"])
        if time.monotonic() >= end:
            return ""
        pause(0.5)


def slack_message(environment: str, by: str) -> Message:
    """Return the test message for the path of release notifications."""
    what = f"TEST by {by}: nothing is wrong, release notifications arrive here"
    return Message(summary=f"{environment}: {what}", text=f":test_tube: *{escape(environment)}*: {escape(what)}")


def of_notification(outcome: str) -> Path:
    """Return the path of release notifications, from the outcome of `deliver`."""
    kinds: dict[str, Outcome] = {"delivered": "accepted", "nothing sent": "no_recipient"}
    kind: Outcome = next((kinds[start] for start in kinds if outcome.startswith(start)), "refused")
    return Path(name="release notification", outcome=kind, said=f"Slack: {outcome}")


def last_line(environment: str, paths: list[Path]) -> str:
    """Summarize the paths in one line: ``local: test page: 2 accepted (urgent, warning), 1 without recipient (…)``."""
    words: dict[Outcome, str] = {"accepted": "accepted", "no_recipient": "without recipient", "refused": "refused"}
    parts = []
    for outcome, word in words.items():
        names = [path.name for path in paths if path.outcome == outcome]
        if names:
            parts.append(f"{len(names)} {word} ({', '.join(names)})")
    return f"{environment}: test page: {', '.join(parts)}"
