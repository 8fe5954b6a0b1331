"""Statements: sums, months and their boundaries."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from settlement.app import create_app
from settlement.statements.service import month_bounds
from settlement.types import MAX_AMOUNT
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.api.test_transactions import read_pages
from tests.support.databases import TestDatabase

SEOUL = ZoneInfo("Asia/Seoul")
# The month's boundaries in Seoul and in UTC, and a microsecond before each.
EDGES = [
    datetime(2024, month, 1, tzinfo=zone) + timedelta(microseconds=offset)
    for month in (2, 3)
    for zone in (SEOUL, UTC)
    for offset in (-1, 0)
]
instants = st.sampled_from(EDGES) | st.datetimes(datetime(2023, 12, 1), datetime(2024, 5, 1), timezones=st.just(UTC))
movements = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-MAX_AMOUNT, MAX_AMOUNT).filter(bool), instants), max_size=40
)


def post(client: TestClient, account_id: str, amount: int, occurred_at: str) -> None:
    """Post a transaction in won."""
    body = {"account_id": account_id, "amount": amount, "currency": "KRW", "occurred_at": occurred_at}
    answer = client.post("/v1/transactions", json=body, headers={"Idempotency-Key": str(uuid4())})
    assert answer.status_code == 201, answer.text


def test_a_month_closes_with_what_it_opened_with_plus_what_moved(client: TestClient, account: dict[str, Any]) -> None:
    post(client, account["id"], 5000, "2024-01-15T12:00:00+09:00")
    post(client, account["id"], 700, "2024-02-10T12:00:00+09:00")
    post(client, account["id"], -300, "2024-02-29T23:59:59.999999+09:00")
    post(client, account["id"], 99, "2024-03-01T00:00:00+09:00")
    page = client.get("/v1/statements/2024-02").json()
    assert page == {
        "month": "2024-02",
        "timezone": "Asia/Seoul",
        "starts_at": "2024-01-31T15:00:00Z",
        "ends_at": "2024-02-29T15:00:00Z",
        "next_cursor": None,
        "items": [
            {
                "account_id": account["id"],
                "name": account["name"],
                "currency": "KRW",
                "opening_balance": "5000",
                "credits": "700",
                "debits": "300",
                "closing_balance": "5400",
                "transaction_count": 2,
            }
        ],
    }


def test_an_account_appears_from_the_month_it_was_opened(client: TestClient, account: dict[str, Any]) -> None:
    opened = datetime.fromisoformat(account["created_at"]).astimezone(SEOUL)
    [item] = client.get(f"/v1/statements/{opened:%Y-%m}").json()["items"]
    assert (item["closing_balance"], item["transaction_count"]) == ("0", 0)
    assert client.get("/v1/statements/2001-01").json()["items"] == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(movements=movements, month=st.integers(1, 4), limit=st.integers(1, 3))
@example(movements=[(i % 4, MAX_AMOUNT, EDGES[i % 8]) for i in range(40)], month=2, limit=1)  # sums beyond 2**53
def test_statements_equal_an_oracle_in_python(
    database: TestDatabase,
    client: TestClient,
    movements: list[tuple[int, int, datetime]],
    month: int,
    limit: int,
) -> None:
    accounts = sorted(uuid4() for _ in range(4))
    with database.superuser() as connection:
        connection.execute(text("TRUNCATE accounts, transactions"))
        connection.execute(
            text("INSERT INTO accounts (id, name, currency, created_at) VALUES (:id, 'x', 'KRW', '2000-01-01')"),
            [{"id": account} for account in accounts],
        )
        if movements:
            connection.execute(
                text(
                    "INSERT INTO transactions"
                    " (account_id, amount, currency, description, occurred_at, idempotency_key, request_hash)"
                    " VALUES (:account, :amount, 'KRW', '', :at, gen_random_uuid(), '')"
                ),
                [{"account": accounts[index], "amount": amount, "at": at} for index, amount, at in movements],
            )

    opening: defaultdict[UUID, int] = defaultdict(int)
    moved: defaultdict[UUID, list[int]] = defaultdict(list)
    for index, amount, at in movements:
        local = at.astimezone(SEOUL)
        if (local.year, local.month) == (2024, month):
            moved[accounts[index]].append(amount)
        elif (local.year, local.month) < (2024, month):
            opening[accounts[index]] += amount

    items = [item for page in read_pages(client, f"/v1/statements/2024-{month:02d}", limit) for item in page]
    assert [
        (
            UUID(item["account_id"]),
            item["opening_balance"],
            item["credits"],
            item["debits"],
            item["closing_balance"],
            item["transaction_count"],
        )
        for item in items
    ] == [
        (
            account,
            str(opening[account]),
            str(sum(amount for amount in moved[account] if amount > 0)),
            str(-sum(amount for amount in moved[account] if amount < 0)),
            str(opening[account] + sum(moved[account])),
            len(moved[account]),
        )
        for account in accounts
    ]


@settings(deadline=None)
@given(month=st.integers(2000 * 12, 2099 * 12 + 11), zone=st.sampled_from(["Asia/Seoul", "UTC", "America/Sao_Paulo"]))
def test_months_follow_one_another_without_gap_or_overlap(month: int, zone: str) -> None:
    def bounds(number: int) -> tuple[datetime, datetime]:
        year, index = divmod(number, 12)
        return month_bounds(f"{year}-{index + 1:02d}", zone)

    start, end = bounds(month)
    assert bounds(month + 1)[0] == end
    assert start.day == end.day == 1
    assert 28 <= round((end.astimezone(UTC) - start.astimezone(UTC)) / timedelta(days=1)) <= 31


def test_the_zone_is_a_setting(database: TestDatabase) -> None:
    with TestClient(create_app(database.settings(settlement_timezone="America/New_York"))) as client:
        page = client.get("/v1/statements/2025-03").json()
    # Daylight saving time begins within that month.
    assert (page["starts_at"], page["ends_at"]) == ("2025-03-01T05:00:00Z", "2025-04-01T04:00:00Z")


@pytest.mark.parametrize(
    "month", ["2024-13", "2024-00", "2024-1", "24-01", "1999-12", "2100-01", "٢٠٢٤-01", "x", "%00"]
)
def test_a_bad_month_is_422(shared_client: TestClient, month: str) -> None:
    answer = shared_client.get(f"/v1/statements/{month}")
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("cursor", ["x", "AAAA", "ÿ", "bm90LWEtdXVpZA"])
def test_a_bad_cursor_is_422(shared_client: TestClient, cursor: str) -> None:
    assert shared_client.get("/v1/statements/2024-01", params={"cursor": cursor}).status_code == 422
