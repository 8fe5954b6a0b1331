"""The requests of a drill's load: to paths that need no database, and those of the application's load file.

The load file (``app_load_file``) is JSON; docs/your-application.md describes it. Its requests use the database. In
their texts, ``{unique}`` is a random value, the same in the whole load, and any other name in braces is a field of the
answer to the request ``setup``.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fargate_ops.core import trust
from fargate_ops.core.application import Application
from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.load import Clients, Request

#: Status and body. Status 0: no response.
Answer = tuple[int, str]
#: ``http_call(method, url, body, headers)``.
HttpCall = Callable[..., Answer]

#: The requests that need no database, by their names in the load.
WITHOUT_DATABASE = ("no database, kept connections", "no database, fresh connections")
#: Clients of each kind of request, on kept and on fresh connections each.
CLIENTS = 5


def http_call(method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request on a fresh connection, without a proxy if the address is local. Never raises."""
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost")
    data = None if body is None else body.encode()
    request = urllib.request.Request(url, data, {"Connection": "close", **(headers or {})}, method=method)  # noqa: S310 - from the inventory
    try:
        try:
            answer = trust.opener(url, *([urllib.request.ProxyHandler({})] if local else [])).open(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return int(answer.status), answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One request of a load file. A slow one takes ``body_seconds`` to send its body, from ``clients`` clients."""

    path: str
    name: str = ""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    status: int = 200
    body_seconds: float = 0.0
    clients: int = 6

    def request(self, values: Mapping[str, str]) -> Request:
        """Return the request with these values in its texts. A body that is no text is sent as JSON."""
        headers, body = dict(self.headers), self.body or ""
        if not isinstance(body, str):
            headers, body = {"Content-Type": "application/json"} | headers, json.dumps(body)
        return Request(
            name=self.name or f"{self.method} {self.path}",
            path=_filled(self.path, values),
            method=self.method,
            headers={name: _filled(value, values) for name, value in headers.items()},
            body=_filled(body, values),
            status=self.status,
        )


@dataclass(frozen=True, kw_only=True)
class LoadFile:
    """The requests of a load file; none if there is no file. ``setup`` is sent once, before the others."""

    setup: Step | None = None
    steps: Sequence[Step] = ()

    @classmethod
    def read(cls, path: str) -> LoadFile:
        """Read a load file. An empty or missing path is a file without requests.

        Raises:
            OperationsError: it is no load file.
        """
        if not path or not Path(path).exists():
            return cls()
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"))
            setup = Step(**plain["setup"]) if plain.get("setup") else None
            return cls(setup=setup, steps=[Step(**step) for step in plain["requests"]])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OperationsError(
                f"{path} (app_load_file) is no load file: {error!r}. Next: correct it as docs/your-application.md says"
            ) from error

    def begin(self, url: str, call: HttpCall = http_call) -> Load:
        """Send the request ``setup``, and return the load.

        Raises:
            OperationsError: the application rejected it.
        """
        values = {"unique": uuid.uuid4().hex}
        if self.setup:
            request = self.setup.request(values)
            status, body = call(request.method, f"{url}{request.path}", request.body or None, request.headers)
            if status != request.status:
                raise OperationsError(f"{url}{request.path} answered {status or 'not at all'}: {body[:200]}")
            values |= _fields(body)
        return Load(requests=[(step, step.request(values)) for step in self.steps])


@dataclass(frozen=True, kw_only=True)
class Load:
    """The requests of a load file with their values."""

    requests: Sequence[tuple[Step, Request]] = ()

    def clients(self, application: Application, per_second: float, count: int = CLIENTS) -> list[Clients]:
        """Return clients without and with the database, on kept and fresh connections, and those with a slow body.

        Half of the requests need no database. ``count`` clients send each kind of the others, on each kind of
        connection.
        """
        idle = [
            Request(name=name, path=application.version_path or application.health_path) for name in WITHOUT_DATABASE
        ]
        paced = [request for step, request in self.requests if not step.body_seconds]
        quarter = per_second / 4
        groups = [
            Clients(request=idle[0], count=CLIENTS, per_second=quarter),
            Clients(request=idle[1], count=CLIENTS, per_second=quarter, keep_alive=False),
        ]
        for request in paced:
            rate = quarter / len(paced)
            groups.append(Clients(request=request, count=count, per_second=rate))
            groups.append(Clients(request=request, count=count, per_second=rate, keep_alive=False))
        for step, request in self.requests:
            if step.body_seconds:
                fresh = step.clients // 3
                slow = Clients(request=request, count=step.clients - fresh, body_seconds=step.body_seconds)
                groups += [slow, replace(slow, count=fresh, keep_alive=False)]
        return groups

    def is_read(self, url: str, call: HttpCall = http_call) -> bool | None:
        """Return whether the first GET request succeeds: what ``setup`` wrote is there. None without such a request."""
        reading = next((request for _, request in self.requests if request.method == "GET"), None)
        if reading is None:
            return None
        return bool(call("GET", f"{url}{reading.path}", None, reading.headers)[0] == reading.status)


def _fields(body: str) -> dict[str, str]:
    """Return the fields of a JSON object; none if the text is no object."""
    try:
        plain = json.loads(body)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in plain.items()} if isinstance(plain, dict) else {}


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text
