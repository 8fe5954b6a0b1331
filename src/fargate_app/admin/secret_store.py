"""Where a database user's credentials are stored."""

from typing import Protocol

import botocore.session
from botocore.config import Config as BotocoreConfig


class SecretStore(Protocol):
    """A store for one user's credentials."""

    def read(self) -> str | None:
        """Return the secret's current text; None if it has no value yet."""

    def write(self, value: str) -> None:
        """Set the secret's current text."""


class SecretsManagerSecret:
    """A secret of AWS Secrets Manager. botocore finds credentials and endpoint (task role, AWS_ENDPOINT_URL).

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
        """Return the AWSCURRENT version."""
        try:
            value: str | None = self._client.get_secret_value(SecretId=self._arn).get("SecretString")
        except self._client.exceptions.ResourceNotFoundException:
            return None  # Terraform creates the secret without a version
        return value

    def write(self, value: str) -> None:
        """Put a new AWSCURRENT version."""
        self._client.put_secret_value(SecretId=self._arn, SecretString=value)
