"""Settings, read from the environment once, when the process starts.

A value that is missing or wrong stops the process with pydantic's message, which names the variable and
never shows a value: inputs are hidden, since one of them is a password.
"""

import re
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SslMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
Driver = Literal["psycopg", "psycopg2"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

DEFAULT_NAME = "app"


class _EnvironmentSettings(BaseSettings):
    """Settings of every process of an image."""

    # An empty variable counts as not set: a task definition cannot leave one out conditionally.
    model_config = SettingsConfigDict(hide_input_in_errors=True, env_ignore_empty=True, frozen=True, extra="ignore")

    log_level: LogLevel = "INFO"
    # The service's name in problem types, metrics and database sessions. If unset, the Service's own name.
    app_name: str = Field(default=DEFAULT_NAME, pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


_S = TypeVar("_S", bound=_EnvironmentSettings)


def named(settings: _S, name: str | None) -> _S:
    """Return the settings with this name of the service, unless they contain one."""
    if name is None or "app_name" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"app_name": name})


class DatabaseAddress(_EnvironmentSettings):
    """Which database to use, and how to connect to it."""

    database_host: str = Field(min_length=1)
    database_port: int = Field(default=5432, ge=1, le=65535)
    database_name: str = Field(min_length=1)
    # Only verify-full proves which server answers; the other modes are for a test database.
    database_sslmode: SslMode = "verify-full"
    database_ca_file: str = "/etc/ssl/rds/ca.pem"
    # By default psycopg, which is version 3, if it is installed; else psycopg2.
    database_driver: Driver | None = None
    database_connect_timeout_seconds: int = Field(default=3, ge=2, le=60)  # libpq's minimum is 2


class Settings(_EnvironmentSettings):
    """Settings of a service without a database. An application may add its own in a subclass."""

    # Callers' bearer tokens: where the issuer publishes its keys, the issuer's name (`iss`) and this service's (`aud`).
    # All three or none; without them every caller is served.
    auth_jwks_url: str | None = None
    auth_issuer: str | None = None
    auth_audience: str | None = None

    # The environment's name, a dimension of the metrics.
    app_environment: str = "unknown"

    # The values in /version. The image contains the hash; the digest comes from the task definition.
    # /version is public, so only hashes are accepted: it never shows a secret that was set under one of these names by
    # mistake.
    git_hash: str = "unknown"
    image_digest: str | None = None
    ecs_container_metadata_uri_v4: str | None = None

    @field_validator("auth_jwks_url")
    @classmethod
    def _read_over_tls(cls, value: str | None) -> str | None:
        url = urlsplit(value or "https://none")
        if not url.hostname or (url.scheme != "https" and (url.scheme, url.hostname) != ("http", "127.0.0.1")):
            raise ValueError("must be an https address: whoever can change the keys can make tokens")
        return value

    @model_validator(mode="after")
    def _issuer_and_audience(self) -> Self:
        given = (self.auth_jwks_url, self.auth_issuer, self.auth_audience)
        if any(given) and not all(given):
            raise ValueError("auth_jwks_url, auth_issuer and auth_audience have to be set together, or none of them")
        return self

    @field_validator("git_hash")
    @classmethod
    def _only_a_version(cls, value: str) -> str:
        return value if re.fullmatch(r"[0-9a-f]{12,40}(-dirty-[0-9a-f]{8})?", value) else "unknown"

    @field_validator("image_digest")
    @classmethod
    def _only_a_digest(cls, value: str | None) -> str | None:
        return value if value and re.fullmatch(r"sha256:[0-9a-f]{64}", value) else None


class EngineSettings(Settings):
    """Settings of a service that makes its own engine. An application may add its own in a subclass."""

    # Whether a connection that the server closed is replaced before a request uses it.
    database_pool_pre_ping: bool = True
    # A session that a request holds longer than this logs a warning with its endpoint: a leak, or a slow statement. It
    # is below the statement timeout.
    database_session_warning_seconds: float = Field(default=10, gt=0)
    # How many requests may wait for each connection; beyond them a request gets 503 at once. With 50, and the default
    # pool timeout of 5 seconds, operations of up to 100 ms are all served in time.
    database_pool_backlog_per_connection: int = Field(default=50, ge=0)
    # How often each worker logs its pool's metrics.
    metrics_period_seconds: float = Field(default=60, gt=0)


class DatabaseSettings(EngineSettings, DatabaseAddress):
    """Settings of a service with a database. An application may add its own in a subclass."""

    database_user: str = Field(min_length=1)
    database_password: SecretStr

    # Connections that one worker process may hold: pool_size permanently, max_overflow more under load. The default
    # overflow is 0: an overflow connection is closed when it is returned, so under load each request would open one.
    database_pool_size: int = Field(default=10, ge=1)
    database_max_overflow: int = Field(default=0, ge=0)
    # A request that waits this long for a connection gets 503: far below the load balancer's 60 s.
    database_pool_timeout_seconds: float = Field(default=5, gt=0)
    database_pool_recycle_seconds: int = Field(default=1800, ge=1)


def _default_user(given: dict[str, Any]) -> str:
    return f"{given.get('database_name', 'database')}_app"


class AdminSettings(DatabaseAddress):
    """Settings of the admin command, the one process that holds the master password."""

    master_username: str = Field(min_length=1)
    master_password: SecretStr
    # By default the database's name with _app.
    app_database_user: str = Field(default_factory=_default_user, pattern="^[a-z][a-z0-9_]{0,56}$")
    app_database_secret_arn: str = Field(min_length=1)
    # The second user's secret; empty in an environment that was applied before there were two users.
    app_database_clone_secret_arn: str = ""
    aws_region: str = Field(min_length=1)
    database_statement_timeout_ms: int = Field(default=15_000, ge=1)
    database_idle_in_transaction_timeout_ms: int = Field(default=30_000, ge=1)
    # The longest time for a statement of `prepare`. The release waits as long, then stops the task. 0 is no limit.
    prepare_timeout_seconds: int = Field(default=0, ge=0)

    @property
    def app_users(self) -> tuple[str, str]:
        """The application's two database users, which have the same permissions.

        The service uses one while the other gets a new password. They are named as AWS names alternating users:
        https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotation-strategy.html
        """
        return self.app_database_user, f"{self.app_database_user}_clone"

    @property
    def app_secret_arns(self) -> dict[str, str]:
        """The secret's ARN of each user that has one. A secret never contains another user's credentials."""
        arns = (self.app_database_secret_arn, self.app_database_clone_secret_arn)
        return {user: arn for user, arn in zip(self.app_users, arns, strict=True) if arn}
