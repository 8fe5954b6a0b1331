"""A task definition's references to secrets, and what can be checked about a secret without revealing its value."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError


class UnreadableError(Exception):
    """A store's answer is missing or cannot be read. The message is only the kind of the error, without the answer."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A parsed ``valueFrom``. ``arn`` names the secret or the parameter; ``key`` is empty for the whole value.

    ``arn:aws:secretsmanager:<region>:<account>:secret:<name>[:<key>:<stage>:<version>]``, or a parameter's ARN or name:
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-ssm-paramstore.html
    """

    arn: str
    key: str = ""
    stage: str = ""
    version: str = ""

    @classmethod
    def parse(cls, value_from: str) -> Self:
        parts = value_from.split(":")
        if parts[2:3] != ["secretsmanager"]:
            return cls(arn=value_from)
        key, stage, version = (*parts[7:10], "", "", "")[:3]
        return cls(arn=":".join(parts[:7]), key=key, stage=stage, version=version)

    @property
    def is_parameter(self) -> bool:
        """Return whether it is in the Systems Manager Parameter Store, not in Secrets Manager."""
        return self.arn.split(":")[2:3] != ["secretsmanager"]

    @property
    def name(self) -> str:
        return self.arn.split(":", 5)[-1].split(":", 1)[-1]


def keys_of(secretsmanager: Any, secret: Reference) -> frozenset[str] | None:
    """Return the names of a secret's JSON keys; None if its value is no JSON object. The value is not returned.

    Raises:
        botocore.exceptions.ClientError: Secrets Manager refused; it names the secret only.
        UnreadableError: there was no answer, or it could not be read.
    """
    wanted = {name: value for name, value in (("VersionStage", secret.stage), ("VersionId", secret.version)) if value}
    answer = _answer(secretsmanager.get_secret_value, SecretId=secret.arn, **wanted)
    try:
        value = json.loads(answer.get("SecretString", ""))
    except (ValueError, RecursionError):
        return None
    return frozenset(map(str, value)) if isinstance(value, dict) else None


def see_parameter(ssm: Any, parameter: Reference) -> None:
    """Check that a parameter exists. A SecureString is not decrypted.

    Raises:
        botocore.exceptions.ClientError: it does not exist, or the caller has no permission.
        UnreadableError: there was no answer, or it could not be read.
    """
    _answer(ssm.get_parameter, Name=parameter.arn, WithDecryption=False)


def _answer(operation: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    kind = ""
    try:
        return operation(**arguments)
    except ClientError:
        raise
    except Exception as error:
        kind = type(error).__name__
    # Raised outside of except, without the original as its context: botocore's parsers quote what they cannot read.
    raise UnreadableError(kind)
