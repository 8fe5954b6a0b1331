"""`prepare`: the schema, the application's users and their secrets."""

from collections.abc import Mapping
from dataclasses import dataclass

from fargate_app.admin.connection import exclusive_connection, master_engine
from fargate_app.admin.credentials import ensure_credentials
from fargate_app.admin.migrate import migrate
from fargate_app.admin.secret_store import SecretStore
from fargate_app.admin.users import Grants, ensure_user
from fargate_app.migrations import Migrations
from fargate_app.settings import AdminSettings


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`: the database's revision, empty without migrations, and whether anything changed."""

    schema_head: str
    changed: bool


def prepare(
    settings: AdminSettings,
    secrets_of: Mapping[str, SecretStore],
    migrations: Migrations | None = None,
    grants: Grants | None = None,
) -> Prepared:
    """Migrate, create or correct the application's users, and make their secrets work. Idempotent.

    `secrets_of` maps each user to its secret. Raises AdminError, SQLAlchemyError, and what the secret store raises.
    """
    with exclusive_connection(settings) as connection:
        revision, changed = migrate(connection, master_engine(settings), migrations) if migrations else ("", False)
        for user, secret in secrets_of.items():
            changed |= ensure_user(connection, settings, user, grants)
            changed |= ensure_credentials(connection, settings, user, secret)
    return Prepared(revision, changed)
