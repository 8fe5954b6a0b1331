"""The schema and the permissions that the admin command gives this application."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from settlement.metadata import metadata
from settlement.service import service
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from fargate_app.database import Database
from tests.support.databases import TestDatabase


def test_the_migrations_make_what_the_models_say(prepared: TestDatabase) -> None:
    import settlement.accounts.models
    import settlement.transactions.models  # noqa: F401 - importing registers the tables

    assert metadata.tables.keys() == {"accounts", "transactions"}
    with prepared.superuser_engine().connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.parametrize(
    "statement",
    ["UPDATE transactions SET amount = 1", "DELETE FROM accounts", "UPDATE alembic_version SET version_num = '0000'"],
)
def test_the_application_cannot(database: TestDatabase, statement: str) -> None:
    application = Database(database.settings())
    try:
        with pytest.raises(ProgrammingError, match="permission denied"), application.connect() as connection:
            connection.execute(text(statement))
    finally:
        application.close()


def test_the_image_s_build_can_read_the_schema() -> None:
    folder = Path(__file__).parents[2] / "app/api"
    command = [sys.executable, "-m", "settlement.admin", "schema"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert service.migrations
    assert json.loads(built.stdout)["head"] == service.migrations.schema.head
