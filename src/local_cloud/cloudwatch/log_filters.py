"""FilterLogEvents follows the documented pattern syntax, and refuses any other pattern.

What AWS does: patterns follow the documented syntax (``log_pattern``): they are case-sensitive, and a phrase is in
double quotes. Any other pattern is an InvalidParameterException
(https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html).

Without this patch: the emulator splits at spaces and ignores case and quotes. A JSON pattern matches every event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cloud.cloudwatch.log_pattern import PatternError, Test, compile_pattern
from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, replaces


@extends("cloudwatch_logs", "_filter_log_events")
def filter_log_events(filter_events: Handler, data: Mapping[str, Any]) -> Any:
    try:
        return filter_events(data)
    except PatternError as error:
        message = f"Invalid filter pattern: {error}"
        return emulator.core("responses").error_response_json("InvalidParameterException", message, 400)


@replaces("cloudwatch_logs", "_compile_filter_pattern")
def compile_filter_pattern(pattern: str | None) -> Test:
    return compile_pattern(pattern or "")
