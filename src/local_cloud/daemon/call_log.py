"""Write each AWS call down, where ``call_log`` names a file.

What AWS does: CloudTrail records who called what
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference.html).
What the emulator does: its trail names few actions as IAM does, and keeps whole requests, with what is secret in them.

The registry's own protocol is not signed here: its calls are taken as those of whoever asked for a token last. The
calls to the other emulator are written by ``moto_server/call_log.py``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

from local_cloud.core import call_log, emulator
from local_cloud.core.runtime import Cloud

_EC2_ID = re.compile(r"[a-z]+-[0-9a-f]+")


def apply(cloud: Cloud) -> None:
    if cloud.config.call_log is None:
        return
    app, log = emulator.application(), call_log.CallLog(cloud.config.call_log)
    dispatch, registry = app._dispatch_service_request, app._handle_ecr_registry_request
    actions, responses = emulator.core("iam_actions"), emulator.core("responses")
    actions._BOTOCORE_SERVICE_MAP["lambda"] = ["lambda"]  # whose own table of its paths is short
    asked_for_a_token: str | None = None

    def write(key: str, action: str, resource: str, parameters: call_log.Parameters, given: dict[str, str]) -> None:
        log.write(
            key=key,
            principal=call_log.principal(key),
            region=responses.get_region(),
            account=responses.get_account_id(),
            action=action,
            resource=resource,
            parameters=parameters,
            request_tags=given,
            tags=tags({resource, *(value for values in parameters.values() for value in values)}),
        )

    @functools.wraps(dispatch)
    async def logged(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
    ) -> Any:
        nonlocal asked_for_a_token
        form = app._routing_params(method, path, headers, body, query)
        service = app.detect_service(method, path, headers, form)
        action = actions.extract_iam_action(service, method, path, headers, body, form)
        if service == "lambda" and (operation := actions._match_rest_action(service, method, path, query)):
            action = f"lambda:{operation}"
        key = app.extract_access_key_id(headers, query)
        if key and action:
            named, given = call_log.from_json(body) if body[:1] == b"{" else call_log.from_form(form)
            here = responses.get_region(), responses.get_account_id()
            resource = actions.extract_resource_arn(service, method, path, headers, body, form, *here)
            write(key, action, resource.replace(":rule/default/", ":rule/"), named, given)
            if action == "ecr:GetAuthorizationToken":
                asked_for_a_token = key
        return await dispatch(method, path, headers, body, query, request_id)

    @functools.wraps(registry)
    async def logged_registry(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        found = call_log.registry_call(method, path)
        if found and asked_for_a_token:
            here = f"{responses.get_region()}:{responses.get_account_id()}"
            write(asked_for_a_token, found[0], f"arn:aws:ecr:{here}:repository/{found[1]}", {}, {})
        return await registry(method, path, headers, body, query)

    app._dispatch_service_request, app._handle_ecr_registry_request = logged, logged_registry


def tags(named: Iterable[str]) -> dict[str, dict[str, str]]:
    """The tags of those of these identifiers and ARNs that have some."""
    ec2, tagging = emulator.service("ec2"), emulator.service("tagging")
    found = {}
    for name in named:
        if name.startswith("arn:"):
            here = tagging.resource_tags(name)
        elif _EC2_ID.fullmatch(name):
            here = {tag["Key"]: tag["Value"] for tag in ec2._tags.get(name, [])}
        else:
            continue
        if here:
            found[name] = here
    return found
