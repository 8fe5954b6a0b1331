"""The floor: Starlette with a psycopg2 pool, without validation, logging or error handling."""

import os

from psycopg2.pool import ThreadedConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

CONNECTIONS = 16  # one for each connection of the load: an empty pool raises instead of waiting

pool = ThreadedConnectionPool(CONNECTIONS, CONNECTIONS, os.environ["PEER_DSN"])


def account(request: Request) -> JSONResponse:
    connection = pool.getconn()
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(
            "SELECT id::text, name, currency, created_at FROM accounts WHERE id = %s",
            (request.path_params["account_id"],),
        )
        row = cursor.fetchone()
    finally:
        pool.putconn(connection)
    assert row is not None
    return JSONResponse({"id": row[0], "name": row[1], "currency": row[2], "created_at": row[3].isoformat()})


app = Starlette(routes=[Route("/v1/accounts/{account_id}", account)])
