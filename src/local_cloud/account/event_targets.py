"""EventBridge delivers an event only if the target's resource policy permits it, and log groups can be targets.

What AWS does: a target's resource policy decides whether EventBridge may deliver
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html). The source in its calls depends
on the target:

- Lambda and SQS: the rule's ARN and account.
- SNS: none. A statement with a condition on the source denies the call, and so does a new topic's default policy
  (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html).
- CloudWatch Logs: the rule's ARN with PutLogEvents, and nothing with CreateLogStream. One statement for both with a
  condition on the rule's ARN denies CreateLogStream, so the log stays empty
  (https://github.com/hashicorp/terraform-provider-aws/issues/26628,
  https://github.com/aws-samples/serverless-patterns/pull/618).

Functions are invoked asynchronously, with retries. A refused delivery is dropped.

Without this patch: the emulator evaluates no policy, invokes a function once, and does not support log groups as
targets.
"""

from __future__ import annotations

import contextvars
import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator, invocation
from local_cloud.core.patching import Handler, extends, replaces

logger = logging.getLogger(__name__)

SERVICE = "events.amazonaws.com"

#: ARN of the rule whose targets are being called
_rule: contextvars.ContextVar[str] = contextvars.ContextVar("rule")


@extends("eventbridge", "_invoke_target")
def invoke_target(
    invoke: Handler, target: Mapping[str, Any], event: Any, rule: Mapping[str, Any], view: Any = None
) -> None:
    token = _rule.set(rule["Arn"])
    try:
        if target["Arn"].startswith("arn:aws:logs:"):
            view = view or emulator.service("eventbridge")._pattern_event_view(event)
            _write(target["Arn"].removesuffix(":*"), rule["Arn"], json.dumps(view.event_with_detail()))
        else:
            invoke(target, event, rule, view)
    finally:
        _rule.reset(token)


@replaces("eventbridge", "_dispatch_to_lambda")
def dispatch_to_lambda(arn: str, payload: str) -> None:
    if not invocation.may_invoke(SERVICE, arn, _rule.get()):
        logger.warning("EventBridge may not invoke %s for %s", arn, _rule.get())
        return
    try:
        invocation.invoke(arn, json.loads(payload))
    except LookupError as error:
        logger.warning("EventBridge could not invoke %s: %s", arn, error)


@extends("eventbridge", "_dispatch_to_sqs")
def dispatch_to_sqs(to_sqs: Handler, spec: Any, payload: str, parameters: Any = None) -> None:
    if invocation.may_send(SERVICE, str(spec), _rule.get()):
        to_sqs(spec, payload, parameters)
    else:
        logger.warning("EventBridge may not send to %s for %s", spec, _rule.get())


@extends("eventbridge", "_dispatch_to_sns")
def dispatch_to_sns(to_sns: Handler, arn: str, payload: str) -> None:
    if invocation.may_publish(SERVICE, arn, None):
        to_sns(arn, payload)
    else:
        logger.warning("EventBridge may not publish to %s", arn)


def _write(group_arn: str, rule: str, message: str) -> None:
    """Write one event into a new log stream, by the two calls that AWS makes."""
    logs = emulator.service("cloudwatch_logs")
    group, stream = group_arn.partition(":log-group:")[2], str(uuid.uuid4())
    for action, name, source in (("CreateLogStream", "", None), ("PutLogEvents", stream, rule)):
        resource = f"{group_arn}:log-stream:{name}"
        if not invocation.may_write_logs(SERVICE, f"logs:{action}", resource, source):
            logger.warning("EventBridge may not call logs:%s on %s for %s", action, resource, rule)
            return
        call = logs._create_log_stream if action == "CreateLogStream" else logs._put_log_events
        status, _, body = call({"logGroupName": group, "logStreamName": stream, "logEvents": [{"message": message}]})
        if status != 200:
            logger.warning("EventBridge could not write to %s: %s", group, body)
            return
