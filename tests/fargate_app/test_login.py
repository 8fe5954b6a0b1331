"""The admin command's `login`: it reports whether the service's credentials log in, and never shows them."""

import json

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from fargate_app.admin import cli
from tests.fargate_app.shop.app import service
from tests.support.databases import TestDatabase

pytestmark = pytest.mark.usefixtures("driver")


def outcome(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    code = service.admin(["login"])
    (line,) = capsys.readouterr().out.splitlines()
    return code, json.loads(line)


def test_credentials_that_log_in(
    database: TestDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "DatabaseSettings", database.settings)
    assert outcome(capsys) == (0, {"user": database.role})


def test_a_password_that_the_server_does_not_know(
    database: TestDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = SecretStr("never-shown")
    monkeypatch.setattr(cli, "DatabaseSettings", lambda: database.settings(database_password=secret))
    code, said = outcome(capsys)
    assert code == 1
    assert f'password authentication failed for user "{database.role}"' in said["error"]
    assert "never-shown" not in said["error"]


def test_a_server_without_a_connection_left(
    database: TestDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "DatabaseSettings", database.settings)
    with database.superuser_engine().connect() as connection:
        connection.execute(text(f"ALTER ROLE {database.role} CONNECTION LIMIT 0"))
        try:
            code, said = outcome(capsys)
        finally:
            connection.execute(text(f"ALTER ROLE {database.role} CONNECTION LIMIT -1"))
    assert code == 1
    assert "too many connections" in said["error"]


def test_settings_that_are_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "never-shown")
    monkeypatch.delenv("DATABASE_HOST", raising=False)
    code, said = outcome(capsys)
    assert code == 1
    assert "database_host" in said["error"]
    assert "never-shown" not in said["error"]
