"""Each AWS call is logged, if ``call_log`` names a file.

What AWS does: CloudTrail records the caller and the action
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference.html).
Without this patch: the emulator's trail has IAM's names of few actions, and contains whole requests with their secrets.

Requests in the registry's own protocol are not signed: they are attributed to the access key that got the last token.
``moto_server/call_log.py`` logs the calls to moto's server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from local_cloud.core import call_log, emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.core.service_request import ServiceRequest

#: Services whose operations botocore's routes name.
_BY_ROUTE = ("lambda", "arc-zonal-shift")
_EC2_ID = re.compile(r"[a-z]+-[0-9a-f]+")


def apply(cloud: Cloud) -> None:
    if cloud.config.call_log is not None:
        # The emulator's own table of Lambda's paths is incomplete, and it has none of ARC's.
        emulator.core("iam_actions")._BOTOCORE_SERVICE_MAP.update({name: [name] for name in _BY_ROUTE})
        install(Handlers(call_log.CallLog(cloud.config.call_log)))


class Handlers:
    """Logs each signed request before it is dispatched."""

    def __init__(self, log: call_log.CallLog) -> None:
        self._log = log
        self._token_key: str | None = None

    @extends("app", "_dispatch_service_request")
    async def dispatch_service_request(self, dispatch: Handler, *arguments: Any) -> Any:
        request = ServiceRequest.parse(*arguments)
        action = _action(request)
        if request.access_key and action:
            named, given = (
                call_log.from_json(request.body) if request.is_json else call_log.from_form(request.parameters)
            )
            self._write(request.access_key, action, _resource(request), named, given)
            if action == "ecr:GetAuthorizationToken":
                self._token_key = request.access_key
        return await dispatch(*arguments)

    @extends("app", "_handle_ecr_registry_request")
    async def handle_ecr_registry_request(self, registry: Handler, method: str, path: str, *further: Any) -> Any:
        responses = emulator.core("responses")
        found = call_log.registry_call(method, path)
        if found and self._token_key:
            here = f"{responses.get_region()}:{responses.get_account_id()}"
            self._write(self._token_key, found[0], f"arn:aws:ecr:{here}:repository/{found[1]}", {}, {})
        return await registry(method, path, *further)

    def _write(
        self, key: str, action: str, resource: str, parameters: call_log.Parameters, given: dict[str, str]
    ) -> None:
        responses = emulator.core("responses")
        self._log.write(
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


def _action(request: ServiceRequest) -> str:
    """Return IAM's name of the action."""
    if request.service in _BY_ROUTE:
        match = emulator.core("iam_actions")._match_rest_action
        if operation := match(request.service, request.method, request.path, request.query):
            return f"{request.service}:{operation}"
    return request.action


def _resource(request: ServiceRequest) -> str:
    """Return the ARN of the request's resource."""
    if request.service == "arc-zonal-shift":
        return unquote(request.path.partition("/managedresources/")[2]) or "*"
    actions, responses = emulator.core("iam_actions"), emulator.core("responses")
    arn: str = actions.extract_resource_arn(
        request.service,
        request.method,
        request.path,
        request.headers,
        request.body,
        request.parameters,
        responses.get_region(),
        responses.get_account_id(),
    )
    return arn.replace(":rule/default/", ":rule/")


def tags(named: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the tags of resources by identifier or ARN. Resources without tags are left out."""
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
