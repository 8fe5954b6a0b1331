"""One test page through every path on which people hear of trouble, and what was accepted on each.

An alarm made for it is set to ALARM and back to OK, so that the page takes the whole way of a real one: CloudWatch, the
topic and its policy, e-mail and alarm-bot. CloudWatch writes down in the alarm's history whether the topic took it:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarmHistory.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from fargate_ops.notify.slack import Message, escape

#: ``taken``: on its way to somebody. ``nobody``: taken, or not even sent, since nobody is set up to hear it.
Outcome = Literal["taken", "nobody", "refused"]


@dataclass(frozen=True, kw_only=True)
class Path:
    """What became of the page on one path; ``said`` is for people, one line."""

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
    """Set `alarm` off and back; wait at most ``wait_seconds`` for word of its action.

    Raises:
        ClientError, BotoCoreError: AWS refuses one of the calls; the alarm is OK again all the same.
    """
    listeners = subscribers(sns, topic_arn)
    reason = f"TEST by {by}: nothing is wrong"
    # Only a change of state is an event, and a run that was cut short may have left ALARM.
    if [item["StateValue"] for item in cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]] == ["ALARM"]:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason=f"{reason}, the last one is over")
    since = datetime.now(UTC).replace(microsecond=0)
    try:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason=reason)
        word = _word(cloudwatch, alarm, topic_arn, since, wait_seconds, pause)
    finally:
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason=f"{reason}, it is over")
    if not word:
        said = f"no word of the alarm's action after {wait_seconds:g} s: see the history of {alarm}"
        return Path(name=urgency, outcome="refused", said=said)
    if not word.startswith("Successfully"):
        return Path(name=urgency, outcome="refused", said=word)
    if not listeners:
        return Path(name=urgency, outcome="nobody", said=f"the topic took it, and nobody is subscribed to {topic_arn}")
    return Path(name=urgency, outcome="taken", said=f"the topic took it, for {', '.join(listeners)}")


def subscribers(sns: Any, topic_arn: str) -> list[str]:
    """Who hears the topic, ``email ops@example.com``; an address that nobody confirmed hears nothing yet."""
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    return [
        f"{item['Protocol']} {item['Endpoint'].rsplit(':', 1)[-1]}"
        + ("" if item["SubscriptionArn"].startswith("arn:") else " (not confirmed: hears nothing)")
        for page in pages
        for item in page["Subscriptions"]
    ]


def _word(
    cloudwatch: Any,
    alarm: str,
    topic_arn: str,
    since: datetime,
    wait_seconds: float,
    pause: Callable[[float], None],
) -> str:
    """What the alarm's history says of this action; empty when it says nothing in time."""
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
    """The test as the releases' notification has it."""
    what = f"TEST by {by}: nothing is wrong, notifications of releases arrive here"
    return Message(summary=f"{environment}: {what}", text=f":test_tube: *{escape(environment)}*: {escape(what)}")


def of_notification(outcome: str) -> Path:
    """The path of the releases' notifications, from what `deliver` said."""
    kinds: dict[str, Outcome] = {"delivered": "taken", "nothing sent": "nobody"}
    kind: Outcome = next((kinds[start] for start in kinds if outcome.startswith(start)), "refused")
    return Path(name="release notification", outcome=kind, said=f"Slack: {outcome}")


def last_line(environment: str, paths: list[Path]) -> str:
    """All of it in one line: ``local: test page: 2 taken (urgent, warning), 1 with nobody to hear it (…)``."""
    words: dict[Outcome, str] = {"taken": "taken", "nobody": "with nobody to hear it", "refused": "refused"}
    parts = []
    for outcome, word in words.items():
        names = [path.name for path in paths if path.outcome == outcome]
        if names:
            parts.append(f"{len(names)} {word} ({', '.join(names)})")
    return f"{environment}: test page: {', '.join(parts)}"
