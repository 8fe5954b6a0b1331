"""FilterLogEvents returns the events that match the pattern as AWS reads it, and refuses a pattern that AWS refuses.

What AWS does: the documented syntax (``log_pattern``), in which case counts and a phrase is in double quotes; another
pattern is an InvalidParameterException
(https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html).

What the emulator does: it splits at spaces, ignores case and quotes, and every JSON pattern matches every event.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from local_cloud.cloudwatch.log_pattern import PatternError, compile_pattern
from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud


def apply(cloud: Cloud) -> None:
    logs = emulator.service("cloudwatch_logs")
    responses = emulator.core("responses")
    filter_events = logs._filter_log_events

    @functools.wraps(filter_events)
    def filter_log_events(data: Mapping[str, Any]) -> Any:
        try:
            return filter_events(data)
        except PatternError as error:
            return responses.error_response_json("InvalidParameterException", f"Invalid filter pattern: {error}", 400)

    logs._filter_log_events = filter_log_events
    logs._compile_filter_pattern = lambda pattern: compile_pattern(pattern or "")
