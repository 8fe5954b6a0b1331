"""Answers are those of an unreliable cloud, if ``weather`` has a seed: see ``core/weather.py``.

What AWS does: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html and the links in
``core/weather.py``.
Without this patch: the emulator's reads are consistent.

Calls of the local cloud's own parts are not affected.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.core.service_request import ServiceRequest
from local_cloud.core.weather import Weather


def apply(cloud: Cloud) -> None:
    if cloud.config.weather is not None:
        install(Handlers(Weather(cloud.config.weather, created=_created), cloud.config.account_id))


class Handlers:
    """Dispatches requests in this weather. Requests signed by `account` are the cloud's own."""

    def __init__(self, weather: Weather, account: str) -> None:
        self._weather = weather
        self._account = account

    @extends("app", "_dispatch_service_request")
    async def dispatch_service_request(self, dispatch: Handler, *arguments: Any) -> Any:
        call = partial(dispatch, *arguments)
        request = ServiceRequest.parse(*arguments)
        if request.service == "s3":
            return await self._weather.answer("s3:", None, call)
        if not request.action or request.access_key in {"", self._account}:
            return await call()
        responses = emulator.core("responses")
        place = f"{responses.get_account_id()} {responses.get_region()}"
        key = (place, request.action, request.body, repr(sorted(request.query.items())))
        return await self._weather.answer(request.action, key, call, place, _protocol(request.headers))


def _created(arn: str) -> float | None:
    task = emulator.service("ecs")._tasks.get(arn) or {}
    return datetime.fromisoformat(task["createdAt"]).timestamp() if "createdAt" in task else None


def _protocol(headers: dict[str, str]) -> str:
    if "cbor" in headers.get("smithy-protocol", ""):
        return "cbor"
    return "json" if "x-amz-target" in headers else ""
