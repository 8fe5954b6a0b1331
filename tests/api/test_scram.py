"""SCRAM verifiers. That PostgreSQL takes them is shown in test_admin.py, by a login."""

import base64
import hashlib
import hmac

import pytest
from settlement.scram import scram_sha_256_verifier


def test_the_verifier_answers_as_in_rfc_7677() -> None:
    """Section 3: user `user`, password `pencil`, and what client and server sent."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    authentication = (
        f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
    ).encode()

    mechanism, iterations_and_salt, keys = scram_sha_256_verifier("pencil", salt, 4096).split("$")
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))

    assert (mechanism, iterations_and_salt) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    signature = hmac.digest(server_key, authentication, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client_key = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored_key, authentication, "sha256"), strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key


def test_each_verifier_has_its_own_salt() -> None:
    assert scram_sha_256_verifier("pencil") != scram_sha_256_verifier("pencil")


@pytest.mark.parametrize("password", ["", "ключ", "tab\t", "\u00a0"])
def test_what_would_need_saslprep_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        scram_sha_256_verifier(password)
