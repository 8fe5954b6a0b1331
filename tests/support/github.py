"""A fake issuer of GitHub's OIDC tokens. It signs a run's identity with the claims that GitHub sets.

    issuer = Issuer()
    token = issuer.token(Repository(), "environment:staging")

Claims and formats of the subject: https://docs.github.com/actions/reference/openid-connect-reference.
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
#: The lifetime of GitHub's tokens.
LIFETIME_SECONDS = 300


@dataclass(frozen=True)
class Repository:
    """A repository at GitHub, with its owner's id and its own."""

    name: str = "example/settlement"
    owner_id: int = 123456
    id: int = 456789

    @property
    def subject(self) -> str:
        """The repository in a token's subject, if it was created or renamed since 2026-07-15."""
        owner, _, name = self.name.partition("/")
        return f"{owner}@{self.owner_id}/{name}@{self.id}"


class Issuer:
    """A signing key and the JWKS that the issuer publishes."""

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    def keys(self) -> dict[str, Any]:
        """Return the JWKS."""
        return {"keys": [self._key.as_dict(private=False)]}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"typ": "JWT", "alg": "RS256", "kid": self._key.kid}, claims, self._key)

    def token(self, repository: Repository, context: str, **others: Any) -> str:
        """Return the token of one run. `context` is the end of the subject: ``environment:staging``, ``pull_request``,
        ``ref:…``. `others` adds or replaces claims."""
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
