"""Where a task definition says that a secret is, and what can be told of it without letting its value out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from botocore.exceptions import ClientError


class UnreadableError(Exception):
    """A store gave no answer that can be read. The message is the kind of the error and nothing of the answer."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A ``valueFrom``, apart. ``arn`` names the secret or the parameter; ``key`` is empty for the whole value.

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
        """Of the Systems Manager Parameter Store, and not of Secrets Manager."""
        return self.arn.split(":")[2:3] != ["secretsmanager"]

    @property
    def name(self) -> str:
        return self.arn.split(":", 5)[-1].split(":", 1)[-1]


def keys_of(secretsmanager: Any, secret: Reference) -> frozenset[str] | None:
    """The names of a secret's JSON keys; None when its value is no JSON object. The value ends here.

    Raises:
        botocore.exceptions.ClientError: Secrets Manager refused; it names the secret only.
        UnreadableError: the answer did not come, or could not be read.
    """
    wanted = {name: value for name, value in (("VersionStage", secret.stage), ("VersionId", secret.version)) if value}
    answer = _answer(secretsmanager.get_secret_value, SecretId=secret.arn, **wanted)
    try:
        value = json.loads(answer.get("SecretString", ""))
    except (ValueError, RecursionError):
        return None
    return frozenset(map(str, value)) if isinstance(value, dict) else None


def see_parameter(ssm: Any, parameter: Reference) -> None:
    """See that a parameter is there; a SecureString is not even decrypted.

    Raises:
        botocore.exceptions.ClientError: it is not there, or the caller may not ask.
        UnreadableError: the answer did not come, or could not be read.
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
    # Raised out here, so that it does not carry the error along: botocore's parsers quote what they cannot read.
    raise UnreadableError(kind)
