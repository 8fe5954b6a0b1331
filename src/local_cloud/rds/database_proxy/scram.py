"""SCRAM-SHA-256 (RFC 5802) as the server, for the proxy's clients, and as the client, for the database.

Names are those of the RFC.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct

from local_cloud.rds.database_proxy.messages import (
    AUTHENTICATION,
    ERROR_RESPONSE,
    SASL_RESPONSE,
    Message,
    MessageStream,
    ProxyError,
)

_MECHANISM = b"SCRAM-SHA-256"
_ITERATIONS = 4096

# The first integer of an Authentication message
_OK, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 10, 11, 12


def authentication_ok() -> Message:
    return _authentication(_OK)


async def verify_client(client: MessageStream, role: str, password: str) -> None:
    """Make the client prove that it knows the role's password.

    Raises:
        ProxyError: the client does not.
    """
    wrong_password = ProxyError("28P01", f"The password that was provided for the role {role} is wrong.")
    client.write(_authentication(_SASL, _MECHANISM + b"\0\0"))
    mechanism, _, response = (await client.expect(SASL_RESPONSE)).partition(b"\0")
    if mechanism != _MECHANISM:
        raise wrong_password
    client_first = response[4:].decode()
    header_end = client_first.index(",", 2) + 1
    gs2_header, client_first_bare = client_first[:header_end], client_first[header_end:]
    salt = secrets.token_bytes(16)
    nonce = _attributes(client_first_bare)["r"] + secrets.token_urlsafe(18)
    server_first = f"r={nonce},s={_base64(salt)},i={_ITERATIONS}"
    client.write(_authentication(_SASL_CONTINUE, server_first.encode()))
    client_final = (await client.expect(SASL_RESPONSE)).decode()
    without_proof, _, proof = client_final.rpartition(",p=")
    salted_password = _salted_password(password, salt, _ITERATIONS)
    auth_message = f"{client_first_bare},{server_first},{without_proof}"
    expected_proof = _client_proof(salted_password, auth_message)
    if without_proof != f"c={_base64(gs2_header.encode())},r={nonce}" or not hmac.compare_digest(expected_proof, proof):
        raise wrong_password
    signature = _server_signature(salted_password, auth_message)
    client.write(_authentication(_SASL_FINAL, f"v={signature}".encode()))


async def log_in(database: MessageStream, role: str, password: str) -> None:
    """Prove to the database that the proxy knows the role's password.

    Raises:
        ProxyError: the database refuses, or asks for something other than SCRAM-SHA-256.
    """
    nonce, client_first_bare = secrets.token_urlsafe(18), ""
    while True:
        message = await database.read()
        if message.type == ERROR_RESPONSE:
            raise ProxyError.from_response(message)
        if message.type != AUTHENTICATION:
            raise ProxyError("08P01", f"unexpected message {message.type!r}")
        (request,) = struct.unpack_from("!i", message.body)
        if request == _OK:
            return
        if request == _SASL:
            client_first_bare = f"n=,r={nonce}"
            client_first = f"n,,{client_first_bare}".encode()
            initial_response = _MECHANISM + b"\0" + struct.pack("!i", len(client_first)) + client_first
            database.write(Message(SASL_RESPONSE, initial_response))
        elif request == _SASL_CONTINUE:
            server_first = message.body[4:].decode()
            challenge = _attributes(server_first)
            salted_password = _salted_password(password, base64.b64decode(challenge["s"]), int(challenge["i"]))
            without_proof = f"c=biws,r={challenge['r']}"  # biws: "n,," in base64
            proof = _client_proof(salted_password, f"{client_first_bare},{server_first},{without_proof}")
            database.write(Message(SASL_RESPONSE, f"{without_proof},p={proof}".encode()))
        elif request != _SASL_FINAL:
            raise ProxyError("28000", f"The database does not offer SCRAM-SHA-256 to the role {role}.")


def _authentication(request: int, data: bytes = b"") -> Message:
    return Message(AUTHENTICATION, struct.pack("!i", request) + data)


def _attributes(message: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in message.split(","))


def _salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def _client_proof(salted_password: bytes, auth_message: str) -> str:
    client_key = hmac.digest(salted_password, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    client_signature = hmac.digest(stored_key, auth_message.encode(), "sha256")
    return _base64(bytes(a ^ b for a, b in zip(client_key, client_signature, strict=True)))


def _server_signature(salted_password: bytes, auth_message: str) -> str:
    server_key = hmac.digest(salted_password, b"Server Key", "sha256")
    return _base64(hmac.digest(server_key, auth_message.encode(), "sha256"))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
