"""A stand-in for the issuer of GitHub's tokens: each run's identity, signed, with the claims that GitHub puts into it.

    issuer = Issuer()
    token = issuer.token(Repository(), "environment:staging")

Claims and forms of the subject: https://docs.github.com/actions/reference/openid-connect-reference.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

URL = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
#: How long GitHub's tokens are good for.
LIFETIME_SECONDS = 300


@dataclass(frozen=True)
class Repository:
    """One of GitHub's, with the numbers of its owner and of itself."""

    name: str = "example/settlement"
    owner_id: int = 123456
    id: int = 456789

    @property
    def subject(self) -> str:
        """How a token names a repository that is made or renamed since 2026-07-15."""
        owner, _, name = self.name.partition("/")
        return f"{owner}@{self.owner_id}/{name}@{self.id}"


class Issuer:
    """One signing key, and its public half as the issuer publishes it."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    def keys(self) -> dict[str, Any]:
        """The JWKS."""
        return {"keys": [self._key.as_dict(private=False)]}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"typ": "JWT", "alg": "RS256", "kid": self._key.kid}, claims, self._key)

    def token(self, repository: Repository, context: str, **others: Any) -> str:
        """The token of one run. `context` is the subject's end: ``environment:staging``, ``pull_request``, ``ref:…``;
        `others` are further claims, or other ones."""
        now = int(time.time())
        claims = {
            "jti": str(uuid.uuid4()),
            "iss": URL,
            "aud": AUDIENCE,
            "sub": f"repo:{repository.subject}:{context}",
            "repository": repository.name,
            "repository_id": str(repository.id),
            "repository_owner": repository.name.partition("/")[0],
            "repository_owner_id": str(repository.owner_id),
            "runner_environment": "github-hosted",
            "nbf": now - 600,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        return self.sign(claims | others)
