"""A Lambda function as another service of AWS invokes it: only with permission, asynchronously, with retries."""

from __future__ import annotations

from typing import Any

from roles.local_cloud.cloud import emulator


def invoke(function_arn: str, event: Any) -> None:
    """Hand an event over and return. A failure is tried twice more; then the event goes to the dead-letter queue.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

    Raises:
        LookupError: there is no such function.
    """
    lambda_ = emulator.service("lambda_svc")
    function, configuration, name = lambda_._get_func_record_for_ref(function_arn)
    if not function or not configuration:
        raise LookupError(f"there is no function {name}")
    lambda_.invoke_async_with_retry(lambda_._execution_record_for_config(function, configuration), event)


def may_invoke(service: str, function_arn: str, source_arn: str) -> bool:
    """Whether the function's policy lets `service` (``logs.amazonaws.com``) invoke it for `source_arn`.

    The source's account is that of the request: the emulator has no other caller.
    """
    evaluator = emulator.core("iam_evaluator")
    responses = emulator.core("responses")
    found = emulator.service("lambda_svc").function_policy_for_arn(function_arn)
    if found is None:
        return False
    account = responses.get_account_id()
    context = evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=responses.get_region(),
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": account},
    )
    return bool(evaluator.evaluate_resource_policy(found[0], context, service=service).decision == "Allow")
