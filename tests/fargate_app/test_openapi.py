"""What the library adds to an application's OpenAPI document."""

from typing import Any

import pytest
from fastapi import FastAPI, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, SecretStr

from fargate_app.service import Service
from fargate_app.settings import DatabaseSettings, Settings
from tests.fargate_app.shop.app import create_app
from tests.fargate_app.test_authentication import Issuer, auth_settings

Document = dict[str, Any]


def settings(**changes: Any) -> DatabaseSettings:
    """Settings of a database, which no test here needs."""
    return DatabaseSettings(
        database_host="none", database_name="none", database_user="none", database_password=SecretStr("none"), **changes
    )


def statuses(document: Document) -> dict[str, str]:
    """Return the statuses of each operation that are problem documents."""
    return {
        f"{method.upper()} {path}": " ".join(
            status
            for status, response in operation["responses"].items()
            if response.get("content", {}).keys() == {"application/problem+json"}
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def headers(document: Document, path: str, method: str, status: str) -> set[str]:
    return set(document["paths"][path][method]["responses"][status]["headers"])


def test_every_operation_names_the_problems_that_it_may_answer_with() -> None:
    document = create_app(settings()).openapi()
    assert statuses(document) == {
        "POST /items": "413 422 503",
        "POST /session/items": "413 422 503",
        "GET /items/{item_id}": "422 503",
        "GET /orders": "503",
        "GET /healthz": "503",
        "GET /readyz": "503",
        "GET /version": "",
    }
    assert headers(document, "/items", "post", "503") == {"X-Request-Id", "Retry-After"}
    assert headers(document, "/items", "post", "200") == {"X-Request-Id"}
    assert "securitySchemes" not in document["components"]
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_where_callers_need_a_token_it_says_so() -> None:
    document = create_app(settings(**auth_settings(Issuer()))).openapi()
    assert statuses(document) == {
        "POST /items": "401 413 422 503",
        "POST /session/items": "401 413 422 503",
        "GET /orders": "401 503",
        "GET /items/{item_id}": "401 422 503",
        "GET /healthz": "503",
        "GET /readyz": "503",
        "GET /version": "",
    }
    assert headers(document, "/items", "post", "401") == {"X-Request-Id", "WWW-Authenticate"}
    (scheme,) = document["components"]["securitySchemes"]
    assert document["paths"]["/items"]["post"]["security"] == [{scheme: []}]
    assert "security" not in document["paths"]["/healthz"]["get"]


def test_a_key_that_the_application_asks_for_stays_beside_the_token() -> None:
    app = create_app(Settings(**auth_settings(Issuer())))

    @app.get("/hello", dependencies=[Security(APIKeyHeader(name="X-Key"))])
    async def hello() -> str:
        return "hello"

    assert app.openapi()["paths"]["/hello"]["get"]["security"] == [{"APIKeyHeader": [], "bearer": []}]


class Refusal(BaseModel):
    reason: str


@pytest.fixture
def app() -> FastAPI:
    """An application without a database."""
    service = Service("hello")
    app = FastAPI(lifespan=service.lifespan)
    service.install(app, Settings())
    return app


def test_an_answer_of_the_application_is_its_own(app: FastAPI) -> None:
    @app.get("/hello", responses={422: {"model": Refusal}})
    async def hello(name: str) -> str:
        return name

    response = app.openapi()["paths"]["/hello"]["get"]["responses"]["422"]
    assert response["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}


def test_a_route_that_is_added_later_is_documented_too(app: FastAPI) -> None:
    assert statuses(app.openapi()).keys() == {"GET /healthz", "GET /readyz", "GET /version"}

    @app.get("/hello")
    async def hello(name: str) -> str:
        return name

    assert statuses(app.openapi())["GET /hello"] == "422", "without a database nothing is unavailable"
