"""Bearer tokens: which are accepted, which paths need none, and how the issuer's keys are read."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr, ValidationError
from starlette.testclient import TestClient

from fargate_app.authentication import KeySet, TokenError, Verifier
from fargate_app.settings import Settings
from tests.fargate_app.shop.app import create_app
from tests.support.databases import TestDatabase

ISSUER, AUDIENCE = "https://issuer.example", "shop-api"
PROTECTED = "/openapi.json"
RSA_KEYS = {name: rsa.generate_private_key(65537, 2048) for name in ("first", "second", "foreign")}
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def jwk(name: str, **changes: Any) -> dict[str, Any]:
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEYS[name].public_key()))
    return {**key, "kid": name, "use": "sig", **changes}


@dataclass
class Issuer:
    """A server that publishes keys."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk("first")])
    port: int = 0
    asked: int = 0
    status: int = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/keys"


@contextmanager
def issuing(issuer: Issuer) -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            self.send_response(issuer.status)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": issuer.keys}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", issuer.port), Handler) as server:
        issuer.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing(Issuer()) as running:
        yield running


def settings(**changes: Any) -> Settings:
    """Settings with a database that does not answer: only one test here needs it."""
    nowhere = {"database_host": "127.0.0.1", "database_port": 9, "database_name": "none", "database_user": "none"}
    return Settings(**{**nowhere, "database_password": SecretStr("none"), **changes})


def auth_settings(issuer: Issuer) -> dict[str, Any]:
    return {"auth_jwks_url": issuer.url, "auth_issuer": ISSUER, "auth_audience": AUDIENCE}


@pytest.fixture
def client(issuer: Issuer) -> Iterator[TestClient]:
    with TestClient(create_app(settings(**auth_settings(issuer)))) as test_client:
        yield test_client


def token(key: Any = None, *, algorithm: str = "RS256", kid: str | None = "first", **changes: Any) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "caller", "exp": int(time.time()) + 300, **changes}
    headers = {"kid": kid} if kid else {}
    payload = {name: value for name, value in claims.items() if value is not None}
    signer = None if algorithm == "none" else key or RSA_KEYS["first"]
    return jwt.encode(payload, signer, algorithm=algorithm, headers=headers)


def get(client: TestClient, sent: str | None = None, path: str = PROTECTED) -> Any:
    return client.get(path, headers={"Authorization": f"Bearer {sent}"} if sent else {})


def test_without_settings_nobody_is_asked() -> None:
    with TestClient(create_app(settings())) as client:
        assert get(client).status_code == 200


def test_a_valid_token_is_accepted(client: TestClient, issuer: Issuer) -> None:
    assert get(client, token()).status_code == 200
    assert get(client, token(aud=["another", AUDIENCE])).status_code == 200
    assert get(client, token(kid=None)).status_code == 200, "there is one key only"
    assert get(client, token(exp=int(time.time()) - 10)).status_code == 200, "clocks may differ by half a minute"
    assert issuer.asked == 1


def test_a_key_of_an_elliptic_curve_is_accepted(issuer: Issuer) -> None:
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key()))
    issuer.keys = [public | {"kid": "curve"}]
    with TestClient(create_app(settings(**auth_settings(issuer)))) as client:
        assert get(client, token(EC_KEY, algorithm="ES256", kid="curve")).status_code == 200


def _shared_secret() -> str:
    """Sign a token with the published key as a shared secret."""
    return token(jwk("first")["n"], algorithm="HS256")


@pytest.mark.parametrize(
    "make",
    [
        lambda: token(RSA_KEYS["foreign"]),
        lambda: token(kid="unknown"),
        lambda: token(iss="https://other.example"),
        lambda: token(aud="other-api"),
        lambda: token(exp=int(time.time()) - 120),
        lambda: token(exp=None),
        lambda: token(iss=None),
        lambda: token(aud=None),
        lambda: token(nbf=int(time.time()) + 120),
        lambda: token(algorithm="none"),
        _shared_secret,
        lambda: "no.jwt.atall",
        lambda: "x" * 10_000,
    ],
)
def test_any_other_token_is_refused(client: TestClient, make: Callable[[], str]) -> None:
    answer = get(client, make())
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"].endswith(":token-refused")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}])
def test_without_a_token_the_answer_says_what_to_send(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.get(PROTECTED, headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["detail"] == "Send a token: Authorization: Bearer <token>."


def test_two_tokens_are_refused(client: TestClient) -> None:
    both = [("Authorization", f"Bearer {token()}"), ("Authorization", f"Bearer {token()}")]
    assert client.get(PROTECTED, headers=both).status_code == 401


def test_every_path_but_three_asks_for_a_token(client: TestClient) -> None:
    paths = [str(route.path) for route in create_app(settings()).routes]  # type: ignore[attr-defined]
    refused = {path for path in [*paths, "/no-such-path", "/healthz/"] if get(client, path=path).status_code == 401}
    assert {*paths, "/no-such-path", "/healthz/"} - refused == {"/healthz", "/readyz", "/version"}


def test_a_new_key_is_read_when_a_token_names_it(issuer: Issuer) -> None:
    now = [1000.0]
    keys = KeySet(issuer.url, clock=lambda: now[0])
    keys.refresh()
    issuer.keys = [jwk("first"), jwk("second")]
    assert not keys.should_refresh("second"), "the keys have just been read"
    now[0] += 31
    assert not keys.should_refresh("first")
    assert keys.should_refresh("second")
    keys.refresh()
    assert keys.find("second")
    assert keys.find(None) is None, "a token has to name one of two keys"
    assert not keys.should_refresh("forged"), "forged tokens do not make the issuer work"
    now[0] += 3601
    assert keys.should_refresh("first"), "a withdrawn key is found out"
    issuer.keys = [jwk("second")]
    keys.refresh()
    assert keys.find("first") is None


def test_a_remembered_token_ends_with_its_time_and_with_its_key(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = jwt.decode

    def counting(sent: str, *arguments: Any, **options: Any) -> Any:
        decoded.append(sent)
        return decode(sent, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", counting)
    clock, wall = [1000.0], [time.time()]
    keys = KeySet(issuer.url, clock=lambda: clock[0])
    verifier = Verifier(keys, issuer=ISSUER, audience=AUDIENCE, now=lambda: wall[0])
    sent = token()
    for _ in range(3):
        asyncio.run(verifier.verify(sent))
    assert decoded == [sent]
    wall[0] += 331  # five minutes, and the leeway for clocks
    asyncio.run(verifier.verify(sent))
    assert decoded == [sent, sent]
    issuer.keys = [jwk("second")]
    clock[0] += 3601
    with pytest.raises(TokenError, match="does not publish"):
        asyncio.run(verifier.verify(sent))


@pytest.mark.parametrize(
    "useless", [[], [jwk("first", use="enc")], [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}], [{"kty": "odd"}]]
)
def test_known_keys_are_kept_while_the_issuer_gives_none(issuer: Issuer, useless: list[dict[str, Any]]) -> None:
    now = [1000.0]
    keys = KeySet(issuer.url, clock=lambda: now[0])
    keys.refresh()
    now[0] += 4000
    issuer.keys = useless
    keys.refresh()
    assert keys.find("first")
    now[0] += 31
    issuer.status = 500
    keys.refresh()
    assert keys.find("first")
    assert issuer.asked == 3


def test_a_task_that_cannot_read_the_keys_does_not_become_healthy(database: TestDatabase) -> None:
    """So a release with a wrong address of the keys never replaces a running one."""
    with issuing(Issuer()) as issuer:
        pass
    with TestClient(create_app(database.settings(**auth_settings(issuer)))) as client:
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "issuer-not-seen")
        assert get(client, token()).status_code == 503
        with issuing(issuer):
            assert client.get("/healthz").status_code == 200
        assert get(client, token()).status_code == 200, "an issuer's outage does not stop who has a token"
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"auth_jwks_url": "http://issuer.example/keys", "auth_issuer": "i", "auth_audience": "a"},
        {"auth_jwks_url": "issuer.example/keys", "auth_issuer": "i", "auth_audience": "a"},
        {"auth_jwks_url": "https://issuer.example/keys"},
        {"auth_jwks_url": "https://issuer.example/keys", "auth_issuer": "i"},
        {"auth_issuer": "i", "auth_audience": "a"},
    ],
)
def test_settings_that_would_not_protect_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="auth_"):
        settings(**changes)
