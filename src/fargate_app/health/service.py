"""The health of a process, and its task definition's revision."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from fargate_app.health.schemas import ReadinessOut

_log = logging.getLogger(__name__)
_METADATA_TIMEOUT_SECONDS = 1


T = TypeVar("T")


class Shared(Generic[T]):
    """A check that runs once at a time: callers that come meanwhile get the same result.

    So however often it is called, it occupies one connection and no more.
    """

    def __init__(self, check: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._check = check
        self._running: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return the check's result. Raises what it raises."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._check())
        return await asyncio.shield(self._running)


class Health:
    """The health of this process.

    It becomes healthy once every check has passed, so a release with wrong credentials never replaces a task. From then
    on only the process counts: a short database outage must not make the load balancer replace all tasks at once.
    """

    def __init__(self, checks: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """A check raises Unavailable if it fails."""
        self._checks = checks
        self.is_healthy = False
        self.check = Shared(self._check)

    async def _check(self) -> None:
        """Run the checks. Raises Unavailable if one fails."""
        for check in self._checks:
            await check()
        self.is_healthy = True


async def always_ready() -> ReadinessOut:
    """Return the readiness of a service without a database."""
    return ReadinessOut()


def task_definition_revision(metadata_uri: str | None) -> int | None:
    """Return this task's revision from the task metadata endpoint; None outside ECS or without an answer.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
    """
    if metadata_uri is None:
        return None
    address = urlsplit(metadata_uri)
    try:
        connection = HTTPConnection(address.hostname or "", address.port, timeout=_METADATA_TIMEOUT_SECONDS)
        try:
            connection.request("GET", f"{address.path}/task")
            return int(json.loads(connection.getresponse().read())["Revision"])
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        _log.warning("the task metadata endpoint did not answer", extra={"reason": repr(error)})
        return None
