"""An application of a few lines: items and their orders. With SHOP_ASYNCHRONOUS it has an asynchronous engine."""

import logging
import os
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from fargate_app.dependencies import async_database_of, database_of
from fargate_app.problems import NotFound
from fargate_app.responses import json_response
from fargate_app.service import Service
from fargate_app.settings import DatabaseSettings

service = Service(
    "shop",
    migrations=Path(__file__).parent / "migrations",
    grants={"items": ("SELECT", "INSERT"), "orders": ("SELECT", "INSERT")},
    autocommit=True,
    asynchronous=bool(os.environ.get("SHOP_ASYNCHRONOUS")),
)
router = APIRouter()
T = TypeVar("T")
_log = logging.getLogger(__name__)


class ItemIn(BaseModel):
    name: str


class ItemOut(ItemIn):
    id: UUID


def read_item(connection: Connection, item_id: UUID) -> ItemOut:
    row = connection.execute(text("SELECT id, name FROM items WHERE id = :id"), {"id": item_id}).one_or_none()
    if row is None:
        raise NotFound("item-not-found", f"There is no item {item_id}.")
    return ItemOut(id=row.id, name=row.name)


def add_item(connection: Connection, item: ItemIn) -> ItemOut:
    row = connection.execute(text("INSERT INTO items (name) VALUES (:name) RETURNING id"), {"name": item.name}).one()
    return ItemOut(id=row.id, name=item.name)


def count_orders(connection: Connection) -> int:
    return connection.execute(text("SELECT count(*) FROM orders")).scalar_one()


async def run(request: Request, operation: Callable[..., T], *arguments: Any) -> T:
    if not service.asynchronous:
        return await database_of(request).run(operation, *arguments)
    return await async_database_of(request).run(lambda connection: connection.run_sync(operation, *arguments))


@router.post("/items")
async def post_item(item: ItemIn, request: Request) -> Response:
    _log.info("an item comes")
    return json_response(await run(request, add_item, item), HTTPStatus.CREATED)


@router.post("/session/items")
def post_item_in_a_session(item: ItemIn, request: Request) -> Response:
    with Session(database_of(request).engine) as session, session.begin():
        return json_response(add_item(session.connection(), item), HTTPStatus.CREATED)


@router.get("/orders")
async def get_orders(request: Request) -> dict[str, int]:
    return {"count": await run(request, count_orders)}


@router.get("/items/{item_id}")
async def get_item(item_id: UUID, request: Request) -> Response:
    # By its name in the module, which a test may replace.
    return json_response(await run(request, read_item, item_id))


def create_app(settings: DatabaseSettings | None = None, service: Service = service, **options: Any) -> FastAPI:
    """Build the application. `service` has other migrations in some tests."""
    app = FastAPI(lifespan=service.lifespan, routes=router.routes, redirect_slashes=False, **options)
    service.install(app, settings)
    return app


def create_redirecting_app() -> FastAPI:
    """Build the application with FastAPI's default: a path with a slash too many is redirected."""
    app = create_app()
    app.router.redirect_slashes = True
    return app
