"""The application's HTTP API as drills use it: the requests of the load, and the row that must survive a restart."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.load import Clients, Request

#: Status and body. Status 0: no response.
Answer = tuple[int, str]
#: ``http_call(method, url, body)``.
HttpCall = Callable[[str, str, Mapping[str, Any] | None], Answer]

#: The requests that need no database, by their names in the load.
WITHOUT_DATABASE = ("version, kept connections", "version, fresh connections")


def http_call(method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
    """Send one request on a fresh connection, without a proxy if the address is local. Never raises."""
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
    data = None if body is None else json.dumps(body).encode()
    headers = {"Connection": "close"} | ({"Content-Type": "application/json"} if data else {})
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - from the inventory
    try:
        try:
            answer = opener.open(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return int(answer.status), answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)


def open_account(url: str, call: HttpCall = http_call) -> str:
    """Write one account and return its id.

    Raises:
        OperationsError: the application rejected it.
    """
    status, body = call("POST", f"{url}/v1/accounts", {"name": f"drill {time.strftime('%F %T')}", "currency": "KRW"})
    if status != 201:
        raise OperationsError(f"{url}/v1/accounts answered {status or 'not at all'}: {body[:200]}")
    return str(json.loads(body)["id"])


def has_account(url: str, account: str, call: HttpCall = http_call) -> bool:
    return call("GET", f"{url}/v1/accounts/{account}", None)[0] == 200


def clients(account: str, per_second: float) -> list[Clients]:
    """Return reads with and without the database, on kept and fresh connections, and posts that last two seconds.

    All posts send one transaction with the same ``Idempotency-Key``, so the load leaves a single row.
    """
    version = Request(name=WITHOUT_DATABASE[0], path="/version")
    fresh_version = Request(name=WITHOUT_DATABASE[1], path="/version")
    read = Request(name="account", path=f"/v1/accounts/{account}")
    post = Request(
        name="transaction, sent in 2 s",
        path="/v1/transactions",
        method="POST",
        headers={"Content-Type": "application/json", "Idempotency-Key": f"drill-{uuid.uuid4()}"},
        body=json.dumps({"account_id": account, "amount": 1, "currency": "KRW", "description": "drill"}),
        status=201,
    )
    quarter = per_second / 4
    return [
        Clients(request=version, count=5, per_second=quarter),
        Clients(request=fresh_version, count=5, per_second=quarter, keep_alive=False),
        Clients(request=read, count=5, per_second=quarter),
        Clients(request=read, count=5, per_second=quarter, keep_alive=False),
        Clients(request=post, count=4, body_seconds=2.0),
        Clients(request=post, count=2, body_seconds=2.0, keep_alive=False),
    ]


def waiting_clients(account: str, key: str, count: int) -> list[Clients]:
    """Return concurrent posts of one transaction. With more clients than pool connections, every pool is full."""
    post = Request(
        name="the same transaction",
        path="/v1/transactions",
        method="POST",
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
        body=json.dumps({"account_id": account, "amount": 1, "currency": "KRW", "description": "drill"}),
        status=201,
    )
    return [Clients(request=post, count=count)]
