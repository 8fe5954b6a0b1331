"""An alarm's history says what became of its actions.

What AWS does: each action leaves an item of type ``Action`` in the history, "Successfully executed action <arn>" or
"Failed to execute action <arn>" with the error
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_AlarmHistoryItem.html).
What the emulator does: it executes them, and records the change of state only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from roles.local_cloud.cloud import emulator, invocation
from roles.local_cloud.cloud.runtime import Cloud

_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def apply(cloud: Cloud) -> None:
    cloudwatch, sns = emulator.service("cloudwatch"), emulator.service("sns")
    dispatch = cloudwatch._dispatch_alarm_actions

    def dispatch_alarm_actions(alarm: Mapping[str, Any], old_state: str, new_state: str, reason: str) -> None:
        dispatch(alarm, old_state, new_state, reason)
        if not alarm.get("ActionsEnabled", True):
            return
        for arn in alarm.get(_ACTIONS.get(new_state, "")) or []:
            error = None
            if arn not in sns._topics:
                error = "The topic does not exist"
            elif not invocation.may_publish("cloudwatch.amazonaws.com", arn, alarm["AlarmArn"]):
                error = "CloudWatch Alarms is not authorized to perform: SNS:Publish on the topic"
            taken = error is None
            outcome = f"Successfully executed action {arn}" if taken else f"Failed to execute action {arn}"
            cloudwatch._history_entries().append(
                {
                    "AlarmName": alarm["AlarmName"],
                    "AlarmType": "MetricAlarm",
                    "Timestamp": cloudwatch._ts_iso(time.time()),
                    "HistoryItemType": "Action",
                    "HistorySummary": outcome,
                    "HistoryData": json.dumps(
                        {
                            "actionState": "Succeeded" if taken else "Failed",
                            "notificationResource": arn,
                            "error": error,
                        }
                    ),
                }
            )

    cloudwatch._dispatch_alarm_actions = dispatch_alarm_actions
