"""Databases for the tests of applications.

Each test has a database of its own, cloned from one that the admin command prepared. As on RDS, the master user is not
a superuser. The application connects over verified TLS, as the role that `prepare` created.
"""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from psycopg2.extensions import encrypt_password
from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text

from fargate_app.admin.prepare import Prepared, prepare
from fargate_app.migrations import Migrations
from fargate_app.service import Service
from fargate_app.settings import AdminSettings, DatabaseSettings
from tests.support.postgres import Server, running_server


@dataclass
class MemorySecret:
    """A secret store that is a variable."""

    value: str | None = None
    writes: int = 0

    def read(self) -> str | None:
        """Return the value."""
        return self.value

    def write(self, value: str) -> None:
        """Set the value."""
        self.value = value
        self.writes += 1


@dataclass(frozen=True)
class TestDatabase:
    """A database of the server, with the application's users and their settings."""

    __test__ = False

    server: Server
    service: Service
    name: str
    master: str
    master_password: str = field(repr=False)
    role: str
    secret: MemorySecret
    clone_secret: MemorySecret = field(default_factory=MemorySecret)

    @property
    def secrets_of(self) -> dict[str, MemorySecret]:
        """The secret of each of the application's users."""
        return {self.role: self.secret, f"{self.role}_clone": self.clone_secret}

    @property
    def address(self) -> dict[str, Any]:
        """The settings that every process shares."""
        return {
            "database_host": self.server.host,
            "database_port": self.server.port,
            "database_name": self.name,
            "database_sslmode": self.server.sslmode,
            "database_ca_file": self.server.ca_file,
            # With the default, 3 s, a login fails on a machine whose processors are all in use.
            "database_connect_timeout_seconds": 30,
        }

    def prepare(self, migrations: Migrations | None = None, **changes: Any) -> Prepared:
        """Prepare this database for its service, by default with the service's own migrations."""
        settings, service = self.admin_settings(**changes), self.service
        return prepare(settings, self.secrets_of, migrations or service.migrations, service.grants)

    def settings(self, **changes: Any) -> Any:
        """The service's settings for this database."""
        credentials = json.loads(self.secret.value or "{}")
        values = self.address | {
            "database_user": credentials.get("username", self.role),
            "database_password": credentials.get("password", "unknown"),
        }
        kind = self.service.settings or DatabaseSettings
        return kind(**(values | changes))

    def admin_settings(self, **changes: Any) -> AdminSettings:
        """The admin task's settings for this database."""
        values = self.address | {
            "master_username": self.master,
            "master_password": SecretStr(self.master_password),
            "app_database_user": self.role,
            "app_database_secret_arn": "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:app",
            "app_database_clone_secret_arn": "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:clone",
            "aws_region": "ap-northeast-2",
        }
        return AdminSettings(**(values | changes))

    def admin_environment(self) -> dict[str, str]:
        """The admin task's environment for this database."""
        values = {name: str(value) for name, value in self.address.items()} | {
            "master_username": self.master,
            "master_password": self.master_password,
            "app_database_user": self.role,
            "app_database_secret_arn": "arn",
            "app_database_clone_secret_arn": "arn-clone",
            "aws_region": "ap-northeast-2",
        }
        return {name.upper(): value for name, value in values.items()}

    def superuser_engine(self, database: str | None = None) -> Engine:
        """Return an engine of the superuser, in autocommit."""
        return superuser_engine(self.server, database or self.name)

    @contextmanager
    def superuser(self) -> Iterator[Connection]:
        """Open a connection of the superuser, in one transaction."""
        with (
            superuser_engine(self.server, self.name)
            .execution_options(isolation_level="READ COMMITTED")
            .begin() as connection
        ):
            yield connection


def superuser_engine(server: Server, database: str) -> Engine:
    """Return an engine of the server's superuser, in autocommit, without a pool."""
    url = URL.create("postgresql+psycopg2", server.user, server.password, server.host, server.port, database, {})
    tls = {"sslmode": server.sslmode, "sslrootcert": server.ca_file}
    return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=tls)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL server."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="session")
def master(server: Server) -> Iterator[tuple[str, str]]:
    """Name and password of a master user as on RDS: it owns its databases and creates roles, and is no superuser."""
    name, password = f"master_{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    with superuser_engine(server, server.database).connect() as connection:
        # Sent as a verifier: a test searches the server's log for this password.
        scope = connection.connection.driver_connection
        verifier = {"verifier": encrypt_password(password, name, scope=scope, algorithm="scram-sha-256")}
        connection.execute(text(f"CREATE ROLE {name} LOGIN CREATEROLE CREATEDB PASSWORD :verifier"), verifier)
        # On RDS the master has this through rds_superuser.
        connection.execute(text(f"GRANT pg_monitor, pg_signal_backend TO {name}"))
        yield name, password
        if server.log is None:
            connection.execute(text(f"DROP ROLE {name}"))


@pytest.fixture(scope="session")
def make_database(server: Server, master: tuple[str, str]) -> Iterator[Callable[..., TestDatabase]]:
    """Create databases: `make_database(service)` an empty one with its own role name, or a copy of a `template`."""
    made: list[TestDatabase] = []
    engine = superuser_engine(server, server.database)

    def make(service: Service, template: TestDatabase | None = None) -> TestDatabase:
        suffix = secrets.token_hex(4)
        database = TestDatabase(
            server,
            service,
            name=f"test_{suffix}",
            master=master[0],
            master_password=master[1],
            role=template.role if template else f"app_{suffix}",
            secret=template.secret if template else MemorySecret(),
            clone_secret=template.clone_secret if template else MemorySecret(),
        )
        source = template.name if template else "template0"
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {database.name} OWNER {master[0]} TEMPLATE {source}"))
            # A copy does not inherit revoked permissions on the database itself.
            connection.execute(
                text(f"REVOKE TEMPORARY ON DATABASE {database.name} FROM PUBLIC" if template else "SELECT 1")
            )
        made.append(database)
        return database

    yield make
    if server.log is not None:
        return  # the server is removed with everything in it
    with engine.connect() as connection:
        for database in made:
            connection.execute(text(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)"))
        for role in {role for database in made for role in database.secrets_of}:
            connection.execute(text(f"DROP ROLE IF EXISTS {role}"))
