"""Accounts."""

from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

# https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt: Bidi_Control
_BIDIRECTIONAL = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))


@pytest.mark.parametrize("name", ["정산 계좌 €", " a ", "متجر", "👩\u200d💻", "می\u200cشود", "a" * 200])
def test_an_account_is_named_in_any_script(shared_client: TestClient, name: str) -> None:
    answer = shared_client.post("/v1/accounts", json={"name": name, "currency": "KRW"})
    assert answer.status_code == 201
    assert answer.json()["name"] == name


def test_an_account_is_read_as_it_was_opened(client: TestClient) -> None:
    answer = client.post("/v1/accounts", json={"name": "정산 계좌 €", "currency": "EUR"})
    assert answer.status_code == 201
    account = answer.json()
    assert account["name"] == "정산 계좌 €"
    assert account["currency"] == "EUR"
    assert account["created_at"].endswith("Z")
    read = client.get(answer.headers["Location"])
    assert read.status_code == 200
    assert read.json() == account


def test_an_unknown_account_is_404(client: TestClient) -> None:
    answer = client.get(f"/v1/accounts/{uuid4()}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:problem-type:settlement:account-not-found"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "", "currency": "KRW"},
        {"name": "x" * 201, "currency": "KRW"},
        {"name": "a\x00b", "currency": "KRW"},
        {"name": "a\nb", "currency": "KRW"},
        {"name": " \u00a0\u3000", "currency": "KRW"},
        {"name": "\u200b\ufeff\u3164", "currency": "KRW"},
        *({"name": f"a{chr(control)}b", "currency": "KRW"} for control in _BIDIRECTIONAL),
        {"name": 7, "currency": "KRW"},
        {"name": "a", "currency": "krw"},
        {"name": "a", "currency": "ZZZ"},
        {"name": "a", "currency": "XAU"},
        {"name": "a", "currency": "KRW", "balance": 1},
        [],
        None,
        "text",
    ],
)
def test_a_bad_account_is_422(shared_client: TestClient, body: Any) -> None:
    answer = shared_client.post("/v1/accounts", json=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"]
