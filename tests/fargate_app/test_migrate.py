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
from sqlalchemy import Connection, Engine, create_engine, text

import fargate_app
from fargate_app.admin import connection as connection_module
from fargate_app.admin import migrate as migrate_module
from fargate_app.admin.drop_index import drop_invalid_index
from fargate_app.admin.failures import AdminError, failure
from tests.fargate_app.conftest import Revisions
from tests.support.databases import TestDatabase

pytestmark = pytest.mark.usefixtures("driver")
VERSIONS = "shop/migrations/versions"
INDEX = "public.items_name_idx"
CONCURRENTLY = """
with op.get_context().autocommit_block():
    op.create_index("items_name_idx", "items", ["name"], postgresql_concurrently=True{more})
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits."""
    monkeypatch.setattr(connection_module, "_TABLE_LOCK_WAIT", "700ms")
    monkeypatch.setattr(migrate_module, "_POLL_SECONDS", 0.1)


def fails(database: TestDatabase, revisions: Revisions) -> dict[str, Any]:
    """Run `prepare`, which fails. Return the task's last line."""
    with pytest.raises(AdminError) as error:
        database.prepare(revisions.migrations)
    return json.loads(json.dumps(failure(error.value)))


def runs(database: TestDatabase, revisions: Revisions) -> str:
    """Run `prepare`, which migrates. Return the revision reached."""
    done = database.prepare(revisions.migrations)
    assert done.changed
    return done.schema_head


@contextmanager
def open_transaction(database: TestDatabase, *statements: str) -> Iterator[Connection]:
    """Open a session of the application that ran this statement and is idle in its transaction."""
    url = database.superuser_engine().url
    engine: Engine = create_engine(url, connect_args={"application_name": "shop-api@10-0-1-7/7"})
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
        yield connection
    engine.dispose()


def test_a_lock_that_is_held_is_told_with_its_session_and_the_next_run_succeeds(
    database: TestDatabase, revisions: Revisions
) -> None:
    revisions.add(
        "2026/1a31ce608336_note.py", "1a31ce608336", body='op.add_column("items", sa.Column("note", sa.Text))'
    )
    statement = "/*action='get_item',route='/items/{item_id}'*/ SELECT * FROM items WHERE name = 'Kim'"
    with open_transaction(database, statement) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        session.execute(text(statement))
        said = fails(database, revisions)
    assert said["kind"] == "lock_wait"
    assert said["error"].startswith("shop/migrations/versions/2026/1a31ce608336_note.py: ALTER TABLE items ADD")
    assert "lock timeout" in said["error"]
    (detail,) = said["details"]
    for part in (
        f"session {pid} (shop-api@10-0-1-7/7, user postgres, from 127.0.0.1)",
        "idle in transaction; in a transaction of ",
        "get_item /items/{item_id}",
        "last statement: SELECT * FROM items WHERE name = ?",
    ):
        assert part in detail
    assert "Kim" not in json.dumps(said)
    assert runs(database, revisions) == "1a31ce608336"


def test_an_invalid_index_is_told_with_the_command_that_drops_it(database: TestDatabase, revisions: Revisions) -> None:
    revisions.add("b.py", "b2", body=CONCURRENTLY.format(more=""))
    with open_transaction(database, "INSERT INTO items (name) VALUES ('Kim')"):
        said = fails(database, revisions)
        assert (said["kind"], said["cures"]) == ("invalid_index", [f"drop-index {INDEX}"])
        assert "shop-api@10-0-1-7/7" in said["details"][0]
        assert INDEX in said["details"][1]
    again = fails(database, revisions)
    assert (again["kind"], again["cures"]) == ("invalid_index", [f"drop-index {INDEX}"])
    assert "already exists" in again["error"]
    assert drop_invalid_index(database.admin_settings(), INDEX).changed
    assert not drop_invalid_index(database.admin_settings(), INDEX).changed
    assert runs(database, revisions) == "b2"
    with pytest.raises(AdminError, match="is not an invalid index"):
        drop_invalid_index(database.admin_settings(), INDEX)


def test_an_index_that_stays_invalid_is_no_success(database: TestDatabase, revisions: Revisions) -> None:
    """`IF NOT EXISTS` accepts the invalid index that an earlier run left."""
    revisions.add("b.py", "b2", body=CONCURRENTLY.format(more=", if_not_exists=True"))
    with open_transaction(database, "INSERT INTO items (name) VALUES ('Kim')"):
        fails(database, revisions)
    assert fails(database, revisions)["cures"] == [f"drop-index {INDEX}"]
    with database.superuser() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0001"


def test_a_revision_that_drops_what_it_left_needs_no_help(database: TestDatabase, revisions: Revisions) -> None:
    readme = (Path(fargate_app.__file__).parent / "README.md").read_text()
    example = readme.partition("def upgrade() -> None:\n")[2].partition("```")[0]
    upgrade = example.replace("\n    ", "\n").removeprefix("    ")
    assert "autocommit_block" in upgrade
    revisions.add("b.py", "b2", body=upgrade.replace("10min", "700ms"))
    with open_transaction(database, "INSERT INTO items (name) VALUES ('Kim')"):
        fails(database, revisions)
    revisions.add("c.py", "c3", "b2", body='op.execute("SET lock_timeout = 0")')
    revisions.add(
        "d.py", "d4", "c3", body="op.execute(\"SELECT 1 / (current_setting('lock_timeout') = '700ms')::int\")"
    )
    assert runs(database, revisions) == "d4"


def test_an_invalid_index_of_others_stops_no_revision(database: TestDatabase, revisions: Revisions) -> None:
    with database.superuser() as connection:
        connection.execute(text("CREATE INDEX others ON items (name)"))
        connection.execute(text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'others'::regclass"))
    revisions.add("b.py", "b2", body='op.execute("SELECT 1")')
    assert runs(database, revisions) == "b2"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('op.execute("SELECT 1 / 0")', "SELECT ? / ?: DivisionByZero: division by zero"),
        ('raise KeyError("x")', "KeyError: 'x'"),
        ("op.execute(\"INSERT INTO items (id, name) VALUES ('Kim', 'a')\")", 'type uuid: "…"'),
        ("op.execute(\"INSERT INTO items (name, price) VALUES ('Kim', -1)\")", "violates check constraint"),
    ],
)
def test_a_revision_that_is_wrong_is_told_by_its_file_without_values(
    database: TestDatabase, revisions: Revisions, body: str, said: str
) -> None:
    revisions.add("b.py", "b2", body='op.execute("CREATE TABLE b ()")')
    revisions.add("c.py", "c3", "b2", body=body)
    told = fails(database, revisions)
    assert told["kind"] == "migration"
    assert told["error"].startswith(f"{VERSIONS}/c.py: ")
    assert said in told["error"]
    assert "Kim" not in json.dumps(told)
    with database.superuser() as connection:  # the revision before it stays
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "b2"


def test_a_statement_over_its_time_ends_in_the_server(database: TestDatabase, revisions: Revisions) -> None:
    revisions.add("b.py", "b2", body='op.execute("SELECT pg_sleep(60)")')
    with pytest.raises(AdminError, match="statement timeout") as error:
        database.prepare(revisions.migrations, prepare_timeout_seconds=1)
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
        code = revisions.service.admin(["prepare"])
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
