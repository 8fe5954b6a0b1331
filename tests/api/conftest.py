"""Fixtures of the application's tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from settlement.app import create_app
from settlement.service import service
from starlette.testclient import TestClient

from tests.support.databases import TestDatabase
from tests.support.databases import make_database as make_database
from tests.support.databases import master as master
from tests.support.databases import server as server


@pytest.fixture(scope="session")
def prepared(make_database: Callable[..., TestDatabase]) -> TestDatabase:
    """A prepared database. Do not write to it: it is the others' template."""
    database = make_database(service)
    database.prepare()
    return database


@pytest.fixture
def database(make_database: Callable[..., TestDatabase], prepared: TestDatabase) -> TestDatabase:
    """A prepared database for one test."""
    return make_database(service, prepared)


@pytest.fixture
def client(database: TestDatabase) -> Iterator[TestClient]:
    """A client of an application on `database`."""
    with TestClient(create_app(database.settings())) as test_client:
        yield test_client


@pytest.fixture(scope="module")
def shared_client(make_database: Callable[..., TestDatabase], prepared: TestDatabase) -> Iterator[TestClient]:
    """A client of one application for all tests of a module that check only the response."""
    with TestClient(create_app(make_database(service, prepared).settings())) as test_client:
        yield test_client


@pytest.fixture
def account(client: TestClient) -> dict[str, Any]:
    """An account in won."""
    answer = client.post("/v1/accounts", json={"name": "Cheongdam store", "currency": "KRW"})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created
