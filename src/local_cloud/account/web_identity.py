"""Only a token that is signed by its issuer can assume a role, and only a role that trusts it.

What AWS does: AssumeRoleWithWebIdentity finds the account's OIDC provider by the token's issuer. It verifies the
signature with the issuer's published keys, the audience against the provider's client ids, and the times. Then the
role's trust policy decides, with the claims as condition keys
(https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif).

Without this patch: the emulator gives any caller any role without reading the token.

AWS downloads the keys from the issuer. Here they are configuration (``oidc_keys``), because the issuer may be
unreachable. The emulator's ``sts._sessions[<access key>]["Arn"]`` is the role session of an access key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud

ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
CLOCK_SKEW_SECONDS = 60


class RefusedError(Exception):
    """STS's answer to a token that it refuses."""

    def __init__(self, message: str, code: str = "InvalidIdentityToken") -> None:
        super().__init__(message)
        self.code = code


def apply(cloud: Cloud) -> None:
    install(Handlers(cloud.config.oidc_keys))


class Handlers:
    """STS's actions on tokens of OIDC issuers. `keys` are the JWKS of the issuers, by the issuer's URL."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._keys = keys

    @extends("sts", "handle_request")
    async def handle_request(
        self,
        handle: Handler,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, Any],
    ) -> Any:
        sts, iam = emulator.service("sts"), emulator.service("iam")
        parameters = {**query, **parse_qs(body.decode(errors="replace"))}
        if sts._p(parameters, "Action") != "AssumeRoleWithWebIdentity":
            return await handle(method, path, headers, body, query)
        role, token = sts._p(parameters, "RoleArn"), sts._p(parameters, "WebIdentityToken")
        try:
            provider = _provider(iam, role, _issuer(token))
            claims = verify(token, provider, self._keys)
        except RefusedError as error:
            return iam._error(400, error.code, escape(str(error)), ns="sts")
        if denied := sts._web_identity_trust_denied(role, parameters, False):
            return denied
        status, answer_headers, answer = await handle(method, path, headers, body, query)
        told = {"SubjectFromWebIdentityToken": claims["sub"], "Audience": claims["aud"], "Provider": provider["Arn"]}
        return status, answer_headers, _fill(answer, told)


def verify(token: str, provider: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the token's claims. `provider` is IAM's, `keys` are the JWKS of the issuers, by the issuer's URL.

    Raises:
        RefusedError: the signature, the audience or the times are not valid.
    """
    issuer = f"https://{provider['Url'].removeprefix('https://')}"
    if issuer not in keys:
        raise RefusedError("Couldn't retrieve verification key from your identity provider")
    try:
        claims = jwt.decode(token, KeySet.import_key_set(keys[issuer]), algorithms=ALGORITHMS).claims
    except (JoseError, ValueError) as error:
        raise RefusedError(f"The signature of the token is not one of {issuer}: {error}") from error
    registry = jwt.JWTClaimsRegistry(
        leeway=CLOCK_SKEW_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "values": provider["ClientIDList"]},
        sub={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
    )
    try:
        registry.validate(claims)
    except ExpiredTokenError as error:
        raise RefusedError(f"Token expired at {claims['exp']}", "ExpiredTokenException") from error
    except InvalidClaimError as error:
        audience = error.claim == "aud"
        raise RefusedError("Incorrect token audience" if audience else str(error)) from error
    except JoseError as error:
        raise RefusedError(str(error)) from error
    return claims


def _issuer(token: str) -> str:
    """Return the issuer that the token claims. Its keys verify the signature."""
    try:
        return str(json.loads(extract_compact(token.encode()).payload)["iss"])
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise RefusedError("The ID Token provided is not a valid JWT.") from error


def _provider(iam: Any, role: str, issuer: str) -> Mapping[str, Any]:
    """Return the OIDC provider of the role's account for this issuer."""
    account = role.split(":")[4] if role.count(":") >= 5 else ""
    arn = f"arn:aws:iam::{account}:oidc-provider/{issuer.removeprefix('https://')}"
    found: Mapping[str, Any] | None = iam._oidc_providers.get_scoped(account, None, arn)
    if found is None:
        raise RefusedError(f"No OpenIDConnect provider found in your account for {issuer}")
    return found


def _fill(body: bytes, values: Mapping[str, str]) -> bytes:
    """Return the answer with these texts in its elements."""
    text = body.decode()
    for element, value in values.items():
        before, _, rest = text.partition(f"<{element}>")
        text = f"{before}<{element}>{escape(value)}{rest[rest.index('<') :]}"
    return text.encode()
