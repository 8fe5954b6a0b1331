"""Revisions that cannot be applied, now or at all: the message, and that the next run continues."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import settlement
from sqlalchemy import Connection, Engine, create_engine, text

from fargate_app.admin import cli
from fargate_app.admin import connection as connection_module
from fargate_app.admin import migrate as migrate_module
from fargate_app.admin.drop_index import drop_invalid_index
from fargate_app.admin.failures import AdminError, failure
from fargate_app.admin.prepare import prepare
from tests.api.conftest import Revisions, TestDatabase

VERSIONS = "settlement/migrations/versions"
ADD_COLUMN = 'op.add_column("accounts", sa.Column("note", sa.Text))'
LOCK_TIMEOUT_IS_BACK = "op.execute(\"SELECT 1 / (current_setting('lock_timeout') = '700ms')::int\")"
INDEX = "public.accounts_name_idx"
CONCURRENTLY = """
with op.get_context().autocommit_block():
    op.create_index("accounts_name_idx", "accounts", ["name"], postgresql_concurrently=True{more})
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits."""
    monkeypatch.setattr(connection_module, "_TABLE_LOCK_WAIT", "700ms")
    monkeypatch.setattr(migrate_module, "_POLL_SECONDS", 0.1)


def fails(database: TestDatabase) -> dict[str, Any]:
    """Run `prepare`, which fails. Return the task's last line."""
    with pytest.raises(AdminError) as error:
        prepare(database.admin_settings(), database.secrets_of)
    return json.loads(json.dumps(failure(error.value)))


def runs(database: TestDatabase) -> str:
    """Run `prepare`, which migrates. Return the revision reached."""
    done = prepare(database.admin_settings(), database.secrets_of)
    assert done.changed
    return done.schema_head


@contextmanager
def open_transaction(database: TestDatabase, *statements: str) -> Iterator[Connection]:
    """Open a session of the application that ran this statement and is idle in its transaction."""
    url = database.superuser_engine().url
    engine: Engine = create_engine(url, connect_args={"application_name": "settlement-api@10-0-1-7/7"})
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        yield connection
    engine.dispose()


def test_a_lock_that_is_held_is_told_with_its_session_and_the_next_run_succeeds(
    database: TestDatabase, revisions: Revisions
) -> None:
    revisions.add(
        "2026/1a31ce608336_note.py", "1a31ce608336", body='op.add_column("accounts", sa.Column("note", sa.Text))'
    )
    statement = "/*action='get_account',route='/v1/accounts/{account_id}'*/ SELECT * FROM accounts WHERE name = 'Kim'"
    with open_transaction(database, statement) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        session.execute(text(statement))
        said = fails(database)
    assert said["kind"] == "lock_wait"
    assert said["error"].startswith(
        "settlement/migrations/versions/2026/1a31ce608336_note.py: ALTER TABLE accounts ADD"
    )
    assert "lock timeout" in said["error"]
    (detail,) = said["details"]
    for part in (
        f"session {pid} (settlement-api@10-0-1-7/7, user postgres, from 127.0.0.1)",
        "idle in transaction; in a transaction of ",
        "get_account /v1/accounts/{account_id}",
        "last statement: SELECT * FROM accounts WHERE name = ?",
    ):
        assert part in detail
    assert "Kim" not in json.dumps(said)
    assert runs(database) == "1a31ce608336"


def test_an_invalid_index_is_told_with_the_command_that_drops_it(database: TestDatabase, revisions: Revisions) -> None:
    revisions.add("b.py", "b2", body=CONCURRENTLY.format(more=""))
    with open_transaction(database, "INSERT INTO accounts (name, currency) VALUES ('Kim', 'KRW')"):
        said = fails(database)
        assert (said["kind"], said["cures"]) == ("invalid_index", [f"drop-index {INDEX}"])
        assert "settlement-api@10-0-1-7/7" in said["details"][0]
        assert INDEX in said["details"][1]
    again = fails(database)
    assert (again["kind"], again["cures"]) == ("invalid_index", [f"drop-index {INDEX}"])
    assert "already exists" in again["error"]
    assert drop_invalid_index(database.admin_settings(), INDEX).changed
    assert not drop_invalid_index(database.admin_settings(), INDEX).changed
    assert runs(database) == "b2"
    with pytest.raises(AdminError, match="is not an invalid index"):
        drop_invalid_index(database.admin_settings(), INDEX)


def test_an_index_that_stays_invalid_is_no_success(database: TestDatabase, revisions: Revisions) -> None:
    """`IF NOT EXISTS` accepts the invalid index that an earlier run left."""
    revisions.add("b.py", "b2", body=CONCURRENTLY.format(more=", if_not_exists=True"))
    with open_transaction(database, "INSERT INTO accounts (name, currency) VALUES ('Kim', 'KRW')"):
        fails(database)
    assert fails(database)["cures"] == [f"drop-index {INDEX}"]
    with database.superuser() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0001"


def test_a_revision_that_drops_what_it_left_needs_no_help(database: TestDatabase, revisions: Revisions) -> None:
    readme = (Path(settlement.__file__).parents[1] / "README.md").read_text()
    example = readme.partition("```python\n")[2].partition("```")[0]
    upgrade = example.partition("def upgrade() -> None:\n")[2].replace("\n    ", "\n").removeprefix("    ")
    assert "autocommit_block" in upgrade
    revisions.add("b.py", "b2", body=upgrade.replace("10min", "700ms"))
    with open_transaction(database, "INSERT INTO accounts (name, currency) VALUES ('Kim', 'KRW')"):
        fails(database)
    revisions.add("c.py", "c3", "b2", body='op.execute("SET lock_timeout = 0")')
    revisions.add(
        "d.py", "d4", "c3", body="op.execute(\"SELECT 1 / (current_setting('lock_timeout') = '700ms')::int\")"
    )
    assert runs(database) == "d4"


def test_an_invalid_index_of_others_stops_no_revision(database: TestDatabase, revisions: Revisions) -> None:
    with database.superuser() as connection:
        connection.execute(text("CREATE INDEX others ON accounts (name)"))
        connection.execute(text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'others'::regclass"))
    revisions.add("b.py", "b2", body='op.execute("SELECT 1")')
    assert runs(database) == "b2"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('op.execute("SELECT 1 / 0")', "SELECT ? / ?: DivisionByZero: division by zero"),
        ('raise KeyError("x")', "KeyError: 'x'"),
        ("op.execute(\"INSERT INTO accounts (id, name, currency) VALUES ('Kim', 'a', 'KRW')\")", 'type uuid: "…"'),
        ("op.execute(\"INSERT INTO accounts (name, currency) VALUES ('Kim', 'won')\")", "violates check constraint"),
    ],
)
def test_a_revision_that_is_wrong_is_told_by_its_file_without_values(
    database: TestDatabase, revisions: Revisions, body: str, said: str
) -> None:
    revisions.add("b.py", "b2", body='op.execute("CREATE TABLE b ()")')
    revisions.add("c.py", "c3", "b2", body=body)
    told = fails(database)
    assert told["kind"] == "migration"
    assert told["error"].startswith(f"{VERSIONS}/c.py: ")
    assert said in told["error"]
    assert "Kim" not in json.dumps(told)
    with database.superuser() as connection:  # the revision before it stays
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "b2"


def test_a_statement_over_its_time_ends_in_the_server(database: TestDatabase, revisions: Revisions) -> None:
    revisions.add("b.py", "b2", body='op.execute("SELECT pg_sleep(60)")')
    with pytest.raises(AdminError, match="statement timeout") as error:
        prepare(database.admin_settings(prepare_timeout_seconds=1), database.secrets_of)
    assert error.value.kind == "time_limit"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_task_that_is_stopped_ends_in_the_server_too(
    database: TestDatabase, revisions: Revisions, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    revisions.add("b.py", "b2", body='op.execute("SELECT pg_sleep(600)")')
    monkeypatch.setitem(connection_module._WHILE_CLIENT_LIVES, "client_connection_check_interval", "200ms")
    for name, value in database.admin_environment().items():
        monkeypatch.setenv(name, value)
    running = text(
        "SELECT count(*), pg_sleep(0.05) FROM pg_stat_activity"
        " WHERE datname = :name AND query LIKE 'SELECT pg_sleep(600)%'"
    )
    reading, writing = os.pipe()
    process = os.fork()  # a new interpreter would take seconds to import
    if process == 0:
        os.dup2(writing, 1)
        sys.stdout = os.fdopen(1, "w")
        code = cli.main(["prepare"])
        sys.stdout.flush()
        os._exit(code)
    os.close(writing)
    with database.superuser_engine("postgres").connect() as connection, os.fdopen(reading) as output:
        while not connection.scalar(running, {"name": database.name}):
            assert os.waitpid(process, os.WNOHANG) == (0, 0)
        os.kill(process, how)
        lines = output.read().splitlines()
        status = os.waitpid(process, 0)[1]
        if how is signal.SIGTERM:
            said = json.loads(lines[-1])
            assert os.waitstatus_to_exitcode(status) == 1
            assert (said["kind"], said["details"]) == ("stopped", [])
            assert "QueryCanceled" in said["error"]
            assert not connection.scalar(running, {"name": database.name})
        while connection.scalar(running, {"name": database.name}):
            pass  # until the server has checked whether its client is connected
