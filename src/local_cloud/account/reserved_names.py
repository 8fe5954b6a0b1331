"""Names that AWS reserves are refused.

What AWS does: it refuses

- the name of a load balancer ``internal-…``
  (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html), a security group
  ``sg-…`` (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html), a log group ``aws/…``
  (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html), a Config recorder
  ``AWSConfigurationRecorderFor…``
  (https://docs.aws.amazon.com/config/latest/APIReference/API_PutConfigurationRecorder.html), and some prefixes and
  suffixes of a bucket's name (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html);
- environment variables of a Lambda function that its runtime sets
  (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html);
- a tag whose key begins with ``aws:`` in upper or lower case
  (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Tag.html); in ECS and RDS also such a value
  (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html), and in RDS also ``rds:``
  (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_Tag.html).

AWS documents no such rule for target groups, IAM roles, secrets and image repositories. For a tag, few services
document the error: the messages are the most common ones.
Without this patch: the emulator accepts all of these names, except tags of buckets and alarms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_cloud.core import call_log, emulator
from local_cloud.core.patching import Handler, extends
from local_cloud.core.service_request import ServiceRequest

#: By action: the parameter, the reserved prefix of its value, and the error.
_BEGINNINGS = {
    "config:PutConfigurationRecorder": (
        "name",
        "AWSConfigurationRecorderFor",
        "InvalidConfigurationRecorderNameException",
    ),
    "ec2:CreateSecurityGroup": ("GroupName", "sg-", "InvalidParameterValue"),
    "elasticloadbalancing:CreateLoadBalancer": ("Name", "internal-", "ValidationError"),
    "logs:CreateLogGroup": ("logGroupName", "aws/", "InvalidParameterException"),
}
_BUCKET = re.compile(r"(?:xn--|sthree-|amzn-s3-demo-).*|.*(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)")
_FUNCTION_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
#: The error for a reserved tag, for services with another one than ValidationException.
_TAG_ERRORS = {
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidTagParameterException",
    "ecs": "InvalidParameterException",
    "elasticloadbalancing": "ValidationError",
    "iam": "InvalidInput",
    "lambda": "InvalidParameterValueException",
    "logs": "InvalidParameterException",
    "rds": "InvalidParameterValue",
    "secretsmanager": "InvalidParameterException",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
}


@dataclass(frozen=True)
class Refusal:
    """An error of AWS."""

    code: str
    message: str


@extends("app", "_dispatch_service_request")
async def dispatch_service_request(dispatch: Handler, *arguments: Any) -> Any:
    request = ServiceRequest.parse(*arguments)
    found = None if request.service == "s3" else _refusal_of(request)
    if found is None:
        return await dispatch(*arguments)
    if request.is_json:
        return emulator.core("responses").error_response_json(found.code, found.message, 400)
    return emulator.service("ec2" if request.service == "ec2" else "alb")._error(found.code, found.message, 400)


def _refusal_of(request: ServiceRequest) -> Refusal | None:
    if request.is_json:
        _, tags = call_log.from_json(request.body)
        return refusal(request.action, _document(request.body), tags)
    _, tags = call_log.from_form(request.parameters)
    return refusal(request.action, request.parameters, tags)


@extends("s3", "_validate_bucket_name")
def validate_bucket_name(is_bucket_name: Handler, name: str) -> bool:
    return is_bucket_name(name) and not _BUCKET.fullmatch(name)


def refusal(action: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Refusal | None:
    """Return why AWS refuses a call, or None. `parameters` are a JSON document or a form."""
    service, _, operation = action.partition(":")
    if found := _BEGINNINGS.get(action):
        parameter, beginning, code = found
        name = _text({**parameters, **(parameters.get("ConfigurationRecorder") or {})}.get(parameter))
        if name.startswith(beginning):
            return Refusal(code, f"{name} cannot begin with {beginning}: AWS reserves it.")
    if action in {"lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"}:
        variables = (parameters.get("Environment") or {}).get("Variables") or {}
        if reserved := sorted(_FUNCTION_VARIABLES & variables.keys()):
            return Refusal(
                "InvalidParameterValueException",
                "Lambda was unable to configure your environment variables because the environment variables you have "
                "provided contains reserved keys that are currently not supported for modification. Reserved keys used "
                f"in this request: {', '.join(reserved)}",
            )
    # DeleteTags may name AWS's tags: AWS keeps them. A function's input has no tags of AWS.
    if operation == "DeleteTags" or operation.startswith("Invoke"):
        return None
    prefixes = ("aws:", "rds:") if service == "rds" else ("aws:",)
    for key, value in tags.items():
        texts = {"key": key, "value": value} if service in {"ecs", "rds"} else {"key": key}
        for what, text in texts.items():
            for prefix in prefixes:
                if text.lower().startswith(prefix):
                    code = _TAG_ERRORS.get(service, "ValidationException")
                    return Refusal(code, f"{prefix} prefixed tag {what}s are not allowed for external use.")
    return None


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    """Return a parameter's text. A form has a list of values for each parameter."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else ""
