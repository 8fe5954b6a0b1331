"""Every attempt to run a function is counted, and so is its error, whoever invokes it.

What AWS does: Lambda reports `Invocations` and `Errors` for each attempt, also for the retries of an asynchronous
invocation (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html).

Without this patch: the emulator counts an asynchronous invocation once, as a success, when it accepts it, and counts
nothing if a service invokes the function.

Differences from AWS: durations and throttles are not reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cloud.core import metrics
from local_cloud.core.patching import Handler, extends, replaces


@replaces("lambda_svc", "_emit_lambda_metrics")
def count_no_request(*_: Any, **__: Any) -> None:
    """Do nothing when a request is accepted or answered: attempts are counted."""


@extends("lambda_svc", "_execute_function_dispatch")
def count(execute: Handler, function: Any, configuration: Mapping[str, Any], *rest: Any) -> dict[str, Any]:
    result: dict[str, Any] = execute(function, configuration, *rest)
    dimensions = {"FunctionName": str(configuration["FunctionName"])}
    metrics.publish("AWS/Lambda", "Invocations", 1, "Count", dimensions)
    metrics.publish("AWS/Lambda", "Errors", float(bool(result.get("error"))), "Count", dimensions)
    return result
