"""SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677) in the form that PostgreSQL stores.

Made on the client, as psql's \\password does, so that the password itself never reaches the server, nor a log of
its statements: https://www.postgresql.org/docs/current/catalog-pg-authid.html
"""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 4096  # PostgreSQL's own default; the password is 256 bits of chance, so more would add nothing
_SALT_BYTES = 16


def scram_sha_256_verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """The verifier of a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

    Raises ValueError when the password is not plain ASCII: others would need SASLprep (RFC 4013), not done here.
    """
    if not (password.isascii() and password.isprintable() and password):
        raise ValueError("only a printable ASCII password can be made into a verifier here")
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    salted_password = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted_password, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted_password, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
