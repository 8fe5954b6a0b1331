"""Answer as a cloud in bad weather does, where ``weather`` has a seed: see ``weather``.

What AWS does: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html and the links of ``weather``.
What the emulator does: each read has every write before it. Calls of the cloud's own parts have no weather.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud
from local_cloud.core.weather import Answer, Weather


def apply(cloud: Cloud) -> None:
    if cloud.config.weather is not None:
        install(Handlers(Weather(cloud.config.weather, created=_created), cloud.config.account_id))


class Handlers:
    """Dispatches requests, in this weather. Those signed by `account` are the cloud's own."""

    def __init__(self, weather: Weather, account: str) -> None:
        self._weather = weather
        self._account = account

    @extends("app", "_dispatch_service_request")
    async def dispatch_service_request(
        self,
        dispatch: Handler,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query: dict[str, Any],
        request_id: str,
    ) -> Any:
        async def ask() -> Answer:
            answer: Answer = await dispatch(method, path, headers, body, query, request_id)
            return answer

        app, actions, responses = emulator.application(), emulator.core("iam_actions"), emulator.core("responses")
        form = app._routing_params(method, path, headers, body, query)
        service = app.detect_service(method, path, headers, form)
        action = actions.extract_iam_action(service, method, path, headers, body, form)
        caller = app.extract_access_key_id(headers, query)
        if service == "s3":
            return await self._weather.answer("s3:", None, ask)
        if not action or not caller or caller == self._account:
            return await ask()
        place = f"{responses.get_account_id()} {responses.get_region()}"
        key = (place, action, body, repr(sorted(query.items())))
        return await self._weather.answer(action, key, ask, place, _protocol(headers))


def _created(arn: str) -> float | None:
    task = emulator.service("ecs")._tasks.get(arn) or {}
    return datetime.fromisoformat(task["createdAt"]).timestamp() if "createdAt" in task else None


def _protocol(headers: dict[str, str]) -> str:
    if "cbor" in headers.get("smithy-protocol", ""):
        return "cbor"
    return "json" if "x-amz-target" in headers else ""
