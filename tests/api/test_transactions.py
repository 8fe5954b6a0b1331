"""Transactions: money, idempotency, pages."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settlement.pagination import encode_cursor
from settlement.transactions.schemas import TransactionIn
from settlement.types import MAX_AMOUNT
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.support.databases import TestDatabase

Post = Callable[..., Any]
amounts = st.integers(-MAX_AMOUNT, MAX_AMOUNT).filter(bool)
# Examples share the fixtures of their test, so each uses an account of its own.
shared_database = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def post(client: TestClient, account: dict[str, Any]) -> Post:
    """Post transactions to `account`, under a new key unless one is given."""

    def send(key: str | None = None, **changes: Any) -> Any:
        body = {"account_id": account["id"], "amount": 1000, "currency": "KRW"} | changes
        return client.post("/v1/transactions", json=body, headers={"Idempotency-Key": key or str(uuid4())})

    return send


def read_pages(client: TestClient, path: str, limit: int) -> list[list[Any]]:
    """Follow the cursors from the first page to the last."""
    pages, parameters = [], {"limit": limit}
    while True:
        answer = client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        pages.append(page["items"])
        if page["next_cursor"] is None:
            return pages
        parameters["cursor"] = page["next_cursor"]


def count_transactions(database: TestDatabase) -> int:
    """Return the number of rows."""
    with database.superuser() as connection:
        return int(connection.execute(text("SELECT count(*) FROM transactions")).scalar_one())


@pytest.mark.parametrize("amount", [1, -1, MAX_AMOUNT, -MAX_AMOUNT])
def test_an_amount_is_kept_to_the_last_minor_unit(
    client: TestClient, account: dict[str, Any], post: Post, amount: int
) -> None:
    posted = post(amount=amount, description="환불 ₩")
    assert posted.status_code == 201
    [[stored]] = read_pages(client, f"/v1/accounts/{account['id']}/transactions", 10)
    assert stored == posted.json()
    assert stored["amount"] == amount
    assert stored["description"] == "환불 ₩"


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": MAX_AMOUNT + 1},
        {"amount": -(2**63)},
        {"amount": 10**400},
        {"amount": 1.0},
        {"amount": 1.5},
        {"amount": "100"},
        {"amount": True},
        {"amount": None},
        {"currency": "won"},
        {"currency": "ZZZ"},
        {"account_id": "nobody"},
        {"description": "a\x00b"},
        {"description": "x" * 501},
        {"description": "a\u202eb"},
        {"occurred_at": "2025-01-31T00:00:00"},
        {"occurred_at": "1999-12-31T23:59:59Z"},
        {"occurred_at": "2100-01-01T00:00:00Z"},
        {"occurred_at": "0001-01-01T00:00:00+23:59"},
        {"occurred_at": "9999-12-31T23:59:59-23:59"},
        {"occurred_at": 10**30},
        {"occurred_at": 1767225600},
        {"occurred_at": "1767225600"},
        {"occurred_at": "2026-01-31"},
        {"occurred_at": "2026-02-30T00:00:00Z"},
        {"occurred_at": "2026-01-31T24:00:00Z"},
        {"unknown": 1},
    ],
)
def test_a_bad_transaction_is_422(shared_client: TestClient, changes: dict[str, Any]) -> None:
    # The account does not exist: had the body been accepted, the response would be 404.
    body = {"account_id": str(uuid4()), "amount": 1000, "currency": "KRW"} | changes
    answer = shared_client.post("/v1/transactions", json=body, headers={"Idempotency-Key": "key"})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_another_currency_than_the_accounts_is_422(post: Post) -> None:
    answer = post(currency="USD")
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":currency-mismatch")


def test_an_unknown_account_is_404(client: TestClient, post: Post) -> None:
    assert post(account_id=str(uuid4())).status_code == 404
    assert client.get(f"/v1/accounts/{uuid4()}/transactions").status_code == 404


@pytest.mark.parametrize("key", [None, "", "with space", "x" * 256, "ключ".encode()])
def test_a_bad_idempotency_key_is_422(shared_client: TestClient, key: str | bytes | None) -> None:
    body = {"account_id": str(uuid4()), "amount": 1, "currency": "KRW"}
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = shared_client.post("/v1/transactions", json=body, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 422


def test_the_same_key_and_body_get_the_same_answer_once(database: TestDatabase, post: Post) -> None:
    first = post("key", description="once")
    again = post("key", description="once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count_transactions(database) == 1


def test_a_field_at_its_default_makes_no_other_body() -> None:
    body = {"account_id": "6f1f3f3e-6f57-4b0c-9d0a-2a1f4a4f6b11", "amount": 1000, "currency": "KRW"}
    written = {"description": "", "occurred_at": None}
    assert TransactionIn(**body, **written).digest() == TransactionIn(**body).digest()
    assert TransactionIn(**body, **written | {"description": "x"}).digest() != TransactionIn(**body).digest()


def test_the_same_instant_written_in_another_zone_is_the_same_body(post: Post) -> None:
    first = post("key", occurred_at="2025-02-01T00:00:00Z")
    again = post("key", occurred_at="2025-02-01T09:00:00+09:00")
    assert first.content == again.content


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 1001},
        {"amount": -1000},
        {"currency": "USD"},
        {"description": "x"},
        {"account_id": str(uuid4())},
        {"occurred_at": "2025-02-01T00:00:00Z"},
    ],
)
def test_the_same_key_with_another_body_is_409(database: TestDatabase, post: Post, changes: dict[str, Any]) -> None:
    assert post("key").status_code == 201
    answer = post("key", **changes)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":idempotency-key-reused")
    assert count_transactions(database) == 1


def test_a_refused_transaction_does_not_use_up_its_key(post: Post) -> None:
    assert post("key", currency="USD").status_code == 422
    assert post("key").status_code == 201


def test_at_the_same_time_one_key_posts_once(database: TestDatabase, post: Post) -> None:
    callers = 12
    barrier = Barrier(callers)

    def send(number: int) -> Any:
        barrier.wait()
        return post("key", amount=1000 + number % 2)  # two bodies race for one key

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(send, range(callers)))
    assert count_transactions(database) == 1
    succeeded = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in succeeded}) == 1
    assert len(succeeded) == callers / 2
    assert sum("Idempotency-Replayed" not in answer.headers for answer in succeeded) == 1
    assert all(answer.status_code == 409 for answer in answers if answer not in succeeded)


@shared_database
@given(
    occurred=st.lists(st.integers(0, 5), max_size=30),
    limit=st.integers(1, 12),
)
def test_all_pages_are_all_rows_newest_first(client: TestClient, occurred: list[int], limit: int) -> None:
    account_id = client.post("/v1/accounts", json={"name": "pages", "currency": "JPY"}).json()["id"]
    posted = []
    for microsecond in occurred:  # few instants for many rows: rows with equal ones must not be lost between pages
        body = {"account_id": account_id, "amount": 1, "currency": "JPY"}
        body["occurred_at"] = f"2025-01-31T23:59:59.{microsecond:06d}+09:00"
        posted.append(client.post("/v1/transactions", json=body, headers={"Idempotency-Key": str(uuid4())}).json())
    pages = read_pages(client, f"/v1/accounts/{account_id}/transactions", limit)
    expected = sorted(posted, key=lambda row: (datetime.fromisoformat(row["occurred_at"]), row["id"]), reverse=True)
    assert [row for page in pages for row in page] == expected
    assert all(len(page) == limit for page in pages[:-1])


def test_rows_posted_while_paging_do_not_disturb_it(client: TestClient, account: dict[str, Any], post: Post) -> None:
    before = {post().json()["id"] for _ in range(6)}
    path = f"/v1/accounts/{account['id']}/transactions"
    first = client.get(path, params={"limit": 3}).json()
    post()
    second = client.get(path, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert {row["id"] for row in first["items"] + second["items"]} == before
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!",
        "ÿ",
        "AAAA",
        "\x00",
        "a" * 201,
        encode_cursor(1),
        encode_cursor("a", "b"),
        encode_cursor(1, 2, 3),
        encode_cursor(10**30, 1),
        encode_cursor(1, 2**63),
        encode_cursor(1, -1),
        encode_cursor("\u0661", "nan"),
    ],
)
def test_a_bad_cursor_is_422(shared_client: TestClient, cursor: str) -> None:
    path = f"/v1/accounts/{uuid4()}/transactions"
    assert shared_client.get(path, params={"cursor": cursor}).status_code == 422


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", str(10**30), "1.5"])
def test_a_bad_limit_is_422(shared_client: TestClient, limit: str) -> None:
    assert shared_client.get(f"/v1/accounts/{uuid4()}/transactions", params={"limit": limit}).status_code == 422
