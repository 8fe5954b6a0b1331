"""A task receives the secrets that its definition names, in the form that AWS gives them.

What AWS does: the stage and the version id of a ``valueFrom`` count
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html); a JSON value that is
not a string arrives as Go prints it, and numbers are Go's float64
(https://github.com/aws/amazon-ecs-agent/blob/master/agent/asm/asm.go); the execution role needs permission to read the
secret; a secret that is marked for deletion has no value. A secret that cannot be read fails the task with a
ResourceInitializationError and the message of Secrets Manager
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html).
Without this patch: the emulator gives any role the current version, as Python's ``str`` of the value.

A role that does not exist is not refused here: ``release_checks`` reports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

_ACTION = "secretsmanager:GetSecretValue"
#: The execution role of the task that is starting. The emulator resolves secrets for each container separately.
_role: ContextVar[str] = ContextVar("execution_role", default="")


@extends("ecs", "_resolve_container_secrets")
def resolve_container_secrets(resolve: Handler, definition: dict[str, Any]) -> dict[str, str]:
    ecs = emulator.service("ecs")
    ours: list[dict[str, str]] = []
    others: list[dict[str, str]] = []
    for secret in definition.get("secrets") or []:
        (ours if secret["valueFrom"].split(":")[2:3] == ["secretsmanager"] else others).append(secret)
    values: dict[str, str] = resolve({**definition, "secrets": others})
    return values | {secret["name"]: _value(ecs, secret["valueFrom"]) for secret in ours}


@extends("ecs", "_start_task_worker")
def start_task_worker(start: Handler, task: dict[str, Any], task_definition: dict[str, Any], *rest: Any) -> None:
    token = _role.set(task_definition.get("executionRoleArn", ""))
    try:
        start(task, task_definition, *rest)
    finally:
        _role.reset(token)


def _value(ecs: Any, value_from: str) -> str:
    parts = value_from.split(":")
    arn = ":".join(parts[:7])
    key, stage, version_id = (*parts[7:10], "", "", "")[:3]

    def refused(code: str, message: str) -> Exception:
        error: Exception = ecs._SecretResolutionError(
            "unable to retrieve secret from asm: service call has been retried 1 time(s): "
            f"failed to fetch secret {arn} from secrets manager: {code}: {message}"
        )
        return error

    manager = emulator.service("secretsmanager")
    _, found = manager._resolve(arn, use_arn_scope=True)
    tags = {tag["Key"]: tag["Value"] for tag in (found or {}).get("Tags") or []}
    if (role := _role.get()) and not _may_read(role, arn, tags):
        raise refused(
            "AccessDeniedException",
            f"User: {role} is not authorized to perform: {_ACTION} on resource: {arn} because no identity-based policy "
            f"allows the {_ACTION} action",
        )
    if not found:
        raise refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if found.get("DeletedDate"):
        raise refused(
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
        )
    if version_id:
        version = found["Versions"].get(version_id)
    else:
        version_id, version = manager._find_stage_version(found, stage or "AWSCURRENT")
    if not version or (stage and stage not in version["Stages"]):
        label = f"staging label: {stage or 'AWSCURRENT'}" if stage or not version_id else f"VersionId: {version_id}"
        raise refused("ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {label}")
    text = str(version.get("SecretString") or "")
    if not key:
        return text
    try:
        value = json.loads(text, parse_int=float, parse_constant=_no_number)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        # The agent repeats the parser's message, which may quote the value; this message does not.
        raise ecs._SecretResolutionError("unable to retrieve secret from asm: invalid character in the secret's JSON")
    if key not in value:
        raise ecs._SecretResolutionError(
            f"unable to retrieve secret from asm: retrieved secret from Secrets Manager did not contain json key {key}"
        )
    return go_text(value[key])


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _may_read(role_arn: str, secret_arn: str, tags: Mapping[str, str]) -> bool:
    """Return whether the role's own policies allow it to read the secret with these tags.

    The secret's resource policy is not evaluated.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourcetag
    """
    iam, evaluator = emulator.service("iam"), emulator.core("iam_evaluator")
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, name)
    if role is None:
        return True
    context = evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=account,
        action=_ACTION,
        resource_arn=secret_arn,
        region=secret_arn.split(":")[3],
        service_context={f"aws:resourcetag/{name}".lower(): value for name, value in tags.items()},
    )
    limits = evaluator._permissions_boundary(iam._roles, name, account)
    decision = evaluator.evaluate(context, evaluator._gather_role_policies(name, account), *limits).decision
    return bool(decision == "Allow")


def go_text(value: Any) -> str:
    """Return a JSON value as Go's ``%v`` prints it after encoding/json decoded it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _go_number(value)
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{go_text(value[name])}' for name in sorted(value))}]"
    return str(value)


def _go_number(value: float) -> str:
    """Return the shortest digits, with an exponent below 1e-04 and from 1e+06.

    https://github.com/golang/go/blob/master/src/strconv/ftoa.go, formatDigits with the format 'g'
    """
    number = Decimal(repr(value)).normalize()
    power = number.adjusted() if number else 0
    if -4 <= power < 6:
        return format(number, "f")
    digits = "".join(map(str, number.as_tuple().digits))
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{'-' if number < 0 else ''}{digits[0]}{fraction}e{power:+03d}"
