"""Bearer tokens: JWTs of one issuer, verified with the keys that it publishes (JWKS).

Off unless `AUTH_JWKS_URL` is set. A token authenticates a caller; it does not restrict what the caller may do.

Sources: https://www.rfc-editor.org/rfc/rfc6750 (bearer tokens), https://www.rfc-editor.org/rfc/rfc7517 (JWK sets),
https://www.rfc-editor.org/rfc/rfc8725 (which claims to check).
"""

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException

import jwt
from jwt.exceptions import PyJWTError
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from fargate_app.health.router import PATHS as OPEN_PATHS
from fargate_app.problems import Unavailable, problem_response

_log = logging.getLogger(__name__)
#: Signatures with a public key only: with a shared secret, whoever can verify a token can also make one.
ALGORITHMS = ("RS256", "PS256", "ES256")
_LEEWAY_SECONDS = 30  # how far the clocks of issuer and task may differ
_MAX_TOKEN_CHARACTERS = 8 * 1024
_MAX_KEYS_BYTES = 1024 * 1024
_FETCH_TIMEOUT_SECONDS = 3
#: Accepted tokens that a process remembers: checking a signature costs about as much as answering a request.
_MAX_REMEMBERED = 1024
#: A withdrawn key is trusted at most this long, while the issuer answers.
_KEYS_LIFETIME_SECONDS = 3600
#: A token with an unknown key makes the service read the keys again, at most this often: anybody can send such tokens.
_FETCH_AGAIN_SECONDS = 30


class TokenError(Exception):
    """The caller has to send another token. The message is for the caller."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        """`sent`: whether the request contained a token."""
        super().__init__(message)
        self.sent = sent


class KeySet:
    """The issuer's public keys by identifier. Several threads may use it.

    Known keys stay valid while the issuer does not answer, so its outage stops no caller with a known key.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None

    @property
    def read_at(self) -> float | None:
        """When the keys were last read, by this object's clock. Tokens verified earlier are verified again."""
        return self._read_at

    @property
    def known(self) -> bool:
        """Whether the keys have been read at least once."""
        return self._read_at is not None

    def find(self, identifier: str | None) -> jwt.PyJWK | None:
        """Return a known key. Without an identifier, return the only key if there is just one."""
        if identifier is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(identifier)

    def should_refresh(self, identifier: str | None) -> bool:
        """Return whether to read the keys again before verifying a token that names this key."""
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < _FETCH_AGAIN_SECONDS:
            return False
        old = self._read_at is None or now - self._read_at > _KEYS_LIFETIME_SECONDS
        return old or self.find(identifier) is None

    def check(self) -> None:
        """Read the keys unless they have been read once. Raises Unavailable if that fails."""
        if not self.known:
            self.refresh()
        if not self.known:
            raise Unavailable("issuer-not-seen", "The issuer's keys have not been read since this process started.")

    def refresh(self) -> None:
        """Read the keys again. If that fails, log why and keep the known keys."""
        with self._lock:
            if self._tried_at is not None and self._clock() - self._tried_at < _FETCH_AGAIN_SECONDS and self.known:
                return  # another thread has just read them
            self._tried_at = self._clock()
            try:
                self._keys = _read(self._url)
            except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError, PyJWTError) as error:
                _log.warning("the issuer's keys cannot be read", extra={"url": self._url, "reason": str(error)})
                return
            self._read_at = self._clock()


def _read(url: str) -> dict[str | None, jwt.PyJWK]:
    # The settings accept only https, and http on this machine.
    with urllib.request.urlopen(url, timeout=_FETCH_TIMEOUT_SECONDS) as answer:  # noqa: S310
        document = json.loads(answer.read(_MAX_KEYS_BYTES))
    document["keys"] = [key for key in document["keys"] if key.get("use", "sig") == "sig" and key.get("kty") != "oct"]
    # Raises if no usable key is left.
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(document).keys}


class Verifier:
    """Verifies that the configured issuer made a token for this service."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str, now: Callable[[], float] = time.time) -> None:
        self.keys = keys
        self._now = now
        self._issuer = issuer
        self._audience = audience
        # By token: when it expires, the key that it names, and when the keys that verified it were read.
        self._accepted: dict[str, tuple[float, str | None, float | None]] = {}

    async def verify(self, token: str) -> None:
        """Verify a token.

        Raises:
            TokenError: the token is from another issuer, for another service, or no longer valid.
            Unavailable: the issuer's keys have never been read.
        """
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise TokenError("The token is too long.")
        if accepted := self._accepted.get(token):
            until, identifier, read_at = accepted
            current = read_at == self.keys.read_at and self._now() < until
            if current and not self.keys.should_refresh(identifier):
                return
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError:
            raise TokenError("The token is not a JWT.") from None
        identifier = header.get("kid")
        if self.keys.should_refresh(identifier):
            await run_in_threadpool(self.keys.refresh)
        key = self.keys.find(identifier)
        if key is None:
            if not self.keys.known:
                raise Unavailable("issuer-unavailable", "Tokens cannot be verified: the issuer's keys are not known.")
            raise TokenError("The token is signed with a key that the issuer does not publish.")
        read_at = self.keys.read_at
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except PyJWTError as error:
            raise TokenError(f"The token is refused: {str(error)[:200]}.") from None
        if len(self._accepted) >= _MAX_REMEMBERED:
            self._accepted.clear()
        self._accepted[token] = (float(claims["exp"]) + _LEEWAY_SECONDS, identifier, read_at)


class AuthenticationMiddleware:
    """Answers 401 to a request without a valid token, except for health, readiness and version."""

    def __init__(self, app: ASGIApp, verifier: Verifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        try:
            await self._verifier.verify(_token(scope))
        except TokenError as error:
            challenge = 'Bearer error="invalid_token"' if error.sent else "Bearer"
            response = problem_response(
                HTTPStatus.UNAUTHORIZED,
                kind="token-refused" if error.sent else "token-missing",
                detail=str(error),
                headers={"WWW-Authenticate": challenge},
            )
        except Unavailable as error:
            response = problem_response(error.status, kind=error.kind, detail=error.detail)
        else:
            await self._app(scope, receive, send)
            return
        await response(scope, receive, send)


def _token(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(values) > 1:
        raise TokenError("There is more than one Authorization header.")
    scheme, _, token = values[0].decode("latin-1").partition(" ") if values else ("", "", "")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenError("Send a token: Authorization: Bearer <token>.", sent=False)
    return token.strip()
