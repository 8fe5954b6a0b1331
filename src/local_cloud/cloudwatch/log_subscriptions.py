"""Subscription filters follow the documented pattern syntax, need permission, and invoke functions asynchronously.

What AWS does: a filter's pattern follows the documented syntax (``log_pattern``), and any other is refused. Creating a
filter tests the destination, so a function that Logs may not invoke is refused
(https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutSubscriptionFilter.html); the function is
invoked asynchronously.

Without this patch: the emulator searches for the terms anywhere, needs no permission, and invokes the function once.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from local_cloud.cloudwatch.log_pattern import PatternError, compile_pattern
from local_cloud.core import emulator, invocation
from local_cloud.core.patching import Handler, extends, replaces

logger = logging.getLogger(__name__)


@extends("cloudwatch_logs", "_put_subscription_filter")
def put_subscription_filter(put: Handler, data: Mapping[str, Any]) -> Any:
    responses = emulator.core("responses")
    problem = _problem(data, f"arn:aws:logs:{responses.get_region()}:{responses.get_account_id()}")
    return responses.error_response_json("InvalidParameterException", problem, 400) if problem else put(data)


@replaces("cloudwatch_logs", "_fanout_to_subscription_filters")
def deliver(group: str, stream: str, events: Sequence[Mapping[str, Any]]) -> None:
    known = emulator.service("cloudwatch_logs")._log_groups.get(group) or {}
    for filter_ in list(known.get("subscriptionFilters", {}).values()):
        try:
            _deliver(filter_, emulator.core("responses").get_account_id(), group, stream, events)
        except Exception:
            # PutLogEvents does not report failures of subscriptions.
            logger.exception("subscription filter %s of %s", filter_["filterName"], group)


@replaces("cloudwatch_logs", "_subscription_pattern_matches")
def pattern_matches(pattern: str | None, message: str | None) -> bool:
    return compile_pattern(pattern or "")(message or "")


def _problem(data: Mapping[str, Any], owner: str) -> str:
    """Return why AWS would refuse the filter, or an empty string if it would not."""
    try:
        compile_pattern(str(data.get("filterPattern", "")))
    except PatternError as error:
        return f"Invalid filter pattern: {error}"
    destination = str(data.get("destinationArn", ""))
    source = f"{owner}:log-group:{data.get('logGroupName')}:*"
    if ":function:" in destination and not invocation.may_invoke("logs.amazonaws.com", destination, source):
        return (
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute "
            "your function."
        )
    return ""


def _deliver(
    filter_: Mapping[str, Any], account: str, group: str, stream: str, events: Sequence[Mapping[str, Any]]
) -> None:
    destination = filter_["destinationArn"]
    # A function that is subscribed to its own log would invoke itself without end.
    if ":function:" not in destination or group == f"/aws/lambda/{destination.rpartition(':')[2]}":
        return
    matches = compile_pattern(filter_["filterPattern"])
    now = int(time.time() * 1000)
    found = [
        {"id": uuid.uuid4().hex, "timestamp": event.get("timestamp", now), "message": event["message"]}
        for event in events
        if matches(event.get("message", ""))
    ]
    if not found:
        return
    document = {
        "messageType": "DATA_MESSAGE",
        "owner": account,
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [filter_["filterName"]],
        "logEvents": found,
    }
    data = base64.b64encode(gzip.compress(json.dumps(document).encode())).decode()
    invocation.invoke(destination, {"awslogs": {"data": data}})
