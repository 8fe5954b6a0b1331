"""Calls from one AWS service to a resource of another, which the resource's policy must permit.

Functions are invoked asynchronously, with retries.
"""

from __future__ import annotations

import json
from typing import Any

from local_cloud.core import emulator


def invoke(function_arn: str, event: Any) -> None:
    """Invoke a function and return at once. A failure is retried twice; then the event goes to the dead-letter queue.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

    Raises:
        LookupError: the function does not exist.
    """
    lambda_ = emulator.service("lambda_svc")
    function, configuration, name = lambda_._get_func_record_for_ref(function_arn)
    if not function or not configuration:
        raise LookupError(f"there is no function {name}")
    lambda_.invoke_async_with_retry(lambda_._execution_record_for_config(function, configuration), event)


def may_invoke(service: str, function_arn: str, source_arn: str) -> bool:
    """Return whether the function's policy lets `service` (``logs.amazonaws.com``) invoke it for `source_arn`.

    The source's account is that of the request.
    """
    found = emulator.service("lambda_svc").function_policy_for_arn(function_arn)
    return found is not None and _permits(found[0], service, "lambda:InvokeFunction", function_arn, source_arn)


def may_publish(service: str, topic_arn: str, source_arn: str | None) -> bool:
    """Return whether the topic's policy lets `service` (``cloudwatch.amazonaws.com``) publish for `source_arn`."""
    found = emulator.service("sns").topic_policy_for_arn(topic_arn)
    return found is not None and _permits(found[0], service, "sns:Publish", topic_arn, source_arn)


def may_send(service: str, queue_arn: str, source_arn: str) -> bool:
    """Return whether the queue's policy lets `service` (``sns.amazonaws.com``) send to it for `source_arn`."""
    queue = emulator.service("sqs")._queue_by_arn(queue_arn)
    policy = queue["attributes"].get("Policy") if queue else None
    return bool(policy) and _permits(policy, service, "sqs:SendMessage", queue_arn, source_arn)


def may_write_logs(service: str, action: str, resource_arn: str, source_arn: str | None) -> bool:
    """Return whether the policies of CloudWatch Logs let `service` (``events.amazonaws.com``) call `action`.

    The account's policies in the region and the log group's policy are evaluated together.
    """
    logs = emulator.service("cloudwatch_logs")
    group = resource_arn.partition(":log-group:")[2].partition(":")[0]
    policies = [*logs._resource_policies.values(), *filter(None, [logs._log_group_policies.get(group)])]
    statements: list[Any] = []
    for policy in policies:
        found = json.loads(policy["policyDocument"])["Statement"]
        statements += found if isinstance(found, list) else [found]
    return _permits({"Statement": statements}, service, action, resource_arn, source_arn)


def _permits(policy: Any, service: str, action: str, resource_arn: str, source_arn: str | None) -> bool:
    """Evaluate a resource's policy. `source_arn` is the source in the service's call; None if the call has none."""
    evaluator = emulator.core("iam_evaluator")
    responses = emulator.core("responses")
    account = responses.get_account_id()
    source = {
        "aws:sourcearn": source_arn,
        "aws:sourceaccount": account,
        # The condition key in a topic's default policy
        "aws:sourceowner": account,
    }
    context = evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=responses.get_region(),
        service_context=source if source_arn else {},
    )
    return bool(evaluator.evaluate_resource_policy(policy, context, service=service).decision == "Allow")
