"""A secret that was created without a value has no version.

What AWS does: such a secret has no version, and GetSecretValue fails with ResourceNotFoundException until a value is
put (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html: without a value, "you can add
the secret value later").

Without this patch: the emulator creates an empty version with the stage AWSCURRENT.
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends


@extends("secretsmanager", "_store_new_secret")
def store_new_secret(
    store: Handler, name: str, secret_string: str | None = None, secret_binary: str | None = None, **settings: Any
) -> Any:
    answer = store(name, secret_string, secret_binary, **settings)
    if secret_string is None and secret_binary is None:
        emulator.service("secretsmanager")._secrets[name]["Versions"].clear()
    return answer
