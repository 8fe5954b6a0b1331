"""Where a database user's credentials are stored."""

from typing import Protocol

import botocore.session
from botocore.config import Config as BotocoreConfig


class SecretStore(Protocol):
    """Where one user's credentials are kept."""

    def read(self) -> str | None:
        """The secret's current text; None when it has no value yet."""

    def write(self, value: str) -> None:
        """Make this the secret's current text."""


class SecretsManagerSecret:
    """A secret of AWS Secrets Manager. Credentials and endpoint are botocore's business (task role, AWS_ENDPOINT_URL).

    Its methods raise botocore's BotoCoreError and ClientError.
    """

    def __init__(self, arn: str, region: str) -> None:
        self._arn = arn
        self._client = botocore.session.get_session().create_client(
            "secretsmanager",
            region_name=region,
            config=BotocoreConfig(
                connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5}
            ),
        )

    def read(self) -> str | None:
        """The AWSCURRENT version."""
        try:
            value: str | None = self._client.get_secret_value(SecretId=self._arn).get("SecretString")
        except self._client.exceptions.ResourceNotFoundException:
            return None  # the secret exists, made by Terraform, without a version
        return value

    def write(self, value: str) -> None:
        """Put a new AWSCURRENT version."""
        self._client.put_secret_value(SecretId=self._arn, SecretString=value)
