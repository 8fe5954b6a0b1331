"""An alarm's message to SNS, the permission to publish it, and its record in the alarm's history.

What AWS does: the message contains the alarm's ARN, its actions and its trigger, including metric math
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html). A topic whose policy
does not let CloudWatch publish gets nothing, and only the alarm's history shows it: each action adds an item of type
``Action`` (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_AlarmHistoryItem.html).

Without this patch: the emulator omits the ARN, the actions and metric math, ignores the policy, and records only the
change of state.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator, invocation
from local_cloud.core.patching import replaces

_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_TRIGGER = (
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Unit",
    "Period",
    "Metrics",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "ComparisonOperator",
    "Threshold",
    "TreatMissingData",
)


@replaces("cloudwatch", "_dispatch_alarm_actions")
def notify(alarm: Mapping[str, Any], before: str, now: str, reason: str) -> None:
    cloudwatch, sns = emulator.service("cloudwatch"), emulator.service("sns")
    responses = emulator.core("responses")
    if not alarm.get("ActionsEnabled", True):
        return
    message = json.dumps(notice(alarm, before, now, reason, responses.get_account_id(), responses.get_region()))
    subject = f'{now}: "{alarm["AlarmName"]}" in {responses.get_region()}'[:100]
    for topic in alarm.get(_ACTIONS.get(now, ""), []):
        if not topic.startswith("arn:aws:sns:"):
            continue
        error = None
        if topic not in sns._topics:
            error = "The topic does not exist"
        elif not invocation.may_publish("cloudwatch.amazonaws.com", topic, alarm["AlarmArn"]):
            error = "CloudWatch Alarms is not authorized to perform: SNS:Publish on the topic"
        else:
            sns._fanout(topic, str(uuid.uuid4()), message, subject)
        cloudwatch._history_entries().append(history_item(cloudwatch, alarm["AlarmName"], topic, error))


def history_item(cloudwatch: Any, alarm: str, topic: str, error: str | None) -> dict[str, Any]:
    """Return the history item for one action: executed, or failed with `error`."""
    return {
        "AlarmName": alarm,
        "AlarmType": "MetricAlarm",
        "Timestamp": cloudwatch._ts_iso(time.time()),
        "HistoryItemType": "Action",
        "HistorySummary": f"{'Failed to execute' if error else 'Successfully executed'} action {topic}",
        "HistoryData": json.dumps(
            {"actionState": "Failed" if error else "Succeeded", "notificationResource": topic, "error": error}
        ),
    }


def notice(alarm: Mapping[str, Any], before: str, now: str, reason: str, account: str, region: str) -> dict[str, Any]:
    """Return the message. AWS uses the region's long name in it; the ARN has the code."""
    trigger = {name: alarm[name] for name in _TRIGGER if alarm.get(name) not in (None, "")}
    trigger["Dimensions"] = [
        {"name": dimension["Name"], "value": dimension["Value"]} for dimension in alarm.get("Dimensions") or []
    ]
    return {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": account,
        "NewStateValue": now,
        "NewStateReason": reason,
        "StateChangeTime": time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime()),
        "Region": region,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": before,
        **{name: list(alarm.get(name) or []) for name in _ACTIONS.values()},
        "Trigger": trigger,
    }
