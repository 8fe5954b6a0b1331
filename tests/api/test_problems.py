"""No input makes the service answer 500: every error is a problem document."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.fargate_app.test_server import service
from tests.support.databases import TestDatabase

any_text = st.text(st.characters(codec=None, categories=None), max_size=20)  # U+0000 and lone surrogates too
scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.integers(2**62, 2**70)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(any_text, inner), max_leaves=8)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "account_id": st.uuids().map(str) | values,
        "amount": st.integers(-5, 5) | values,
        "currency": st.sampled_from(["KRW", "USD"]) | values,
        "description": any_text | values,
        "occurred_at": st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()) | values,
        "name": any_text | values,
    },
)
url_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PATHS = [
    "/v1/accounts",
    "/v1/accounts/{}",
    "/v1/accounts/{}/transactions",
    "/v1/transactions",
    "/v1/statements/{}",
    "/healthz",
    "/readyz",
    "/version",
    "/{}",
]
header_values = st.binary(max_size=40).filter(lambda value: not set(value) & set(b"\r\n\x00"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
    path=st.sampled_from(PATHS),
    segment=url_text | st.uuids().map(str) | st.just("2024-01"),
    parameters=st.dictionaries(st.sampled_from(["limit", "cursor", "x"]), url_text | st.integers().map(str)),
    body=near_misses | values,
    key=header_values | st.just(b"key"),
    trace=header_values,
)
def test_nothing_is_500(
    shared_client: TestClient,
    method: str,
    path: str,
    segment: str,
    parameters: dict[str, str],
    body: Any,
    key: bytes,
    trace: bytes,
) -> None:
    answer = shared_client.request(
        method,
        path.replace("{}", quote(segment, safe="")),
        params=parameters,
        content=json.dumps(body).encode(),
        headers=[(b"Content-Type", b"application/json"), (b"Idempotency-Key", key), (b"X-Amzn-Trace-Id", trace)],
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"name": "\xff", "currency": "KRW"}',
        b'{"name": "a", "currency": "KRW", "amount": ' + b"9" * 5000 + b"}",
        b"[" * 60_000,
        b'{"name": NaN}',
        b'{"name": "\\ud800", "currency": "KRW"}',
        b'{"\\ud800": 1}',
        b"\x00",
    ],
    ids=["empty", "cut", "not-utf8", "bad-string", "long-integer", "deep", "nan", "surrogate", "surrogate-key", "nul"],
)
def test_a_body_that_is_no_json_is_422(shared_client: TestClient, body: bytes) -> None:
    answer = shared_client.post("/v1/accounts", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_body_of_another_type_is_422(shared_client: TestClient) -> None:
    assert (
        shared_client.post("/v1/accounts", content=b"name=a", headers={"Content-Type": "text/plain"}).status_code == 422
    )


def test_a_huge_body_is_413(shared_client: TestClient) -> None:
    answer = shared_client.post("/v1/accounts", json={"name": "x" * 70_000, "currency": "KRW"})
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_an_unknown_path_and_method_are_problems(shared_client: TestClient) -> None:
    unknown = shared_client.get("/nothing")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "about:blank")
    wrong = shared_client.delete("/v1/transactions")
    assert wrong.status_code == 405
    assert wrong.headers["Allow"] == "POST"
    assert wrong.headers["Content-Type"] == "application/problem+json"


def test_behind_https_a_slash_too_many_leads_nowhere(database: TestDatabase) -> None:
    with service(database, "settlement.app:from_environment()", FORWARDED_ALLOW_IPS="10.0.0.0/18") as running:
        account = {"name": "a", "currency": "KRW"}
        status, problem = running.request("POST", "/v1/accounts/", account, {"X-Forwarded-Proto": "https"})
    assert (status, problem["detail"]) == (404, "No path of this service ends with a slash.")


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/{}"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_answer_sends_a_client_to_another_scheme(shared_client: TestClient, method: str, path: str) -> None:
    """Behind the load balancer the service uses http: an absolute address would lead a client away from TLS."""
    answer = shared_client.request(
        method, f"{path.replace('{}', '2024-01')}/", headers={"X-Forwarded-Proto": "https"}, follow_redirects=False
    )
    assert answer.status_code == 404
    assert "Location" not in answer.headers
    assert answer.json()["detail"] == "No path of this service ends with a slash."
