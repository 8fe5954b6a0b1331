"""A request to an AWS service, as the emulator's dispatcher receives it.

A patch that sees every request extends the dispatcher and parses its arguments::

    @extends("app", "_dispatch_service_request")
    async def dispatch_service_request(dispatch: Handler, *arguments: Any) -> Any:
        request = ServiceRequest.parse(*arguments)
        ...
        return await dispatch(*arguments)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from local_cloud.core import emulator


@dataclass(frozen=True)
class ServiceRequest:
    """One request, with the service that the emulator's router finds for it."""

    method: str
    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes
    query: dict[str, Any]
    """The query string: a list of values by name."""
    parameters: dict[str, Any]
    """The query string, and the form in the body if there is one."""
    service: str
    """The emulator's name of the service, ``alb`` for Elastic Load Balancing."""

    @classmethod
    def parse(
        cls, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
    ) -> Self:
        """Parse the dispatcher's arguments."""
        app = emulator.application()
        parameters = app._routing_params(method, path, headers, body, query)
        service = app.detect_service(method, path, headers, parameters)
        return cls(method, path, headers, body, query, parameters, service)

    @cached_property
    def action(self) -> str:
        """IAM's name of the action (``ecs:StopTask``); empty if the emulator does not know it."""
        found: str | None = emulator.core("iam_actions").extract_iam_action(
            self.service, self.method, self.path, self.headers, self.body, self.parameters
        )
        return found or ""

    @property
    def access_key(self) -> str:
        """The access key that signed the request; empty if it is not signed."""
        key: str = emulator.application().extract_access_key_id(self.headers, self.query)
        return key

    @property
    def is_json(self) -> bool:
        """Whether the body is a JSON object."""
        return self.body[:1] == b"{"
