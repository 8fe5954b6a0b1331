"""The admin command's `sessions` on a real server: the sessions that it lists, and those that it terminates."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from fargate_app.admin import cli
from fargate_app.admin import connection as connection_module
from fargate_app.admin.sessions import EndLimits, masked, sessions, tag_of
from tests.fargate_app.shop.app import service
from tests.fargate_app.test_health import wait_for_lock
from tests.support.databases import TestDatabase
from tests.support.ports import closed_port

LIMITS = EndLimits(idle_in_transaction_seconds=0.01, idle_seconds=0.01, idle_above=0.8)


def application(
    database: TestDatabase, name: str = "shop-api@host/7", user: str = "", password: str = "", clone: bool = False
) -> Any:
    """Open a session like the application's, outside its pool; `clone`: as its second user."""
    credentials = json.loads((database.clone_secret if clone else database.secret).value or "")
    connection = psycopg2.connect(
        host=database.server.host,
        port=database.server.port,
        dbname=database.name,
        user=user or credentials["username"],
        password=password or credentials["password"],
        sslmode=database.server.sslmode,
        sslrootcert=database.server.ca_file,
        application_name=name,
    )
    return connection


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Close what a test opened."""
    with ExitStack() as stack:
        yield stack


def leak(database: TestDatabase, opened: ExitStack, statement: str = "SELECT 1", clone: bool = False) -> Any:
    """Open a session that is idle in a transaction."""
    connection = application(database, clone=clone)
    opened.callback(connection.close)
    connection.cursor().execute(statement)
    return connection


def records(database: TestDatabase, limits: EndLimits | None = None) -> list[dict[str, Any]]:
    """Return the command's records, as JSON represents them."""
    found = [json.loads(json.dumps(record)) for record in sessions(database.admin_settings(), limits)]
    # Other tests share the server.
    return [
        record
        for record in found
        if record["kind"] != "session" or record["user"] in (*database.secrets_of, database.master)
    ]


def is_open(connection: Any) -> bool:
    """Return whether a session still answers."""
    try:
        connection.cursor().execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error:
        return False
    return True


@pytest.mark.usefixtures("driver")
def test_it_tells_of_each_session_with_its_endpoint_and_without_values(
    database: TestDatabase, opened: ExitStack
) -> None:
    statement = "/*action='get_item',route='/items/{item_id}'*/ SELECT 'Ann''s', 4711, name FROM items"
    leaked = leak(database, opened, statement)
    found = records(database)
    assert found[0]["kind"] == "server"
    assert (found[0]["max_connections"], found[0]["reserved"] >= 3) == (100, True)
    # The server may still be ending a session of the previous test.
    (session,) = [record for record in found if record.get("pid") == leaked.info.backend_pid]
    assert session["kind"] == "session"
    assert session["state"] == "idle in transaction"
    assert session["user"] == database.role
    assert session["application"] == "shop-api@host/7"
    assert session["address"] == "127.0.0.1"
    assert session["tag"] == "get_item /items/{item_id}"
    assert session["statement"] == "SELECT ?, ?, name FROM items"
    assert 0 <= session["state_seconds"] <= session["transaction_seconds"] <= session["age_seconds"] < 60
    assert found[-1] == {"kind": "end", "app_users": list(database.secrets_of)}
    assert is_open(leaked)


@pytest.mark.usefixtures("driver")
def test_it_tells_who_blocks_whom(database: TestDatabase, opened: ExitStack) -> None:
    blocker = leak(database, opened, "INSERT INTO items (name, id) VALUES ('a', gen_random_uuid())")
    blocker.cursor().execute("SELECT id FROM items")
    insert = "INSERT INTO items (name, id) SELECT 'b', %s"
    identifier = "00000000-0000-0000-0000-000000000001"
    blocker.cursor().execute(insert, (identifier,))
    waiting = application(database)
    opened.callback(waiting.close)

    def wait() -> None:
        with pytest.raises(psycopg2.Error):
            waiting.cursor().execute(insert, (identifier,))

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        with database.superuser() as connection:
            wait_for_lock(connection)
        (blocked,) = [record for record in records(database) if record.get("blocked_by")]
        assert blocked["pid"] == waiting.info.backend_pid
        assert blocked["blocked_by"] == [blocker.info.backend_pid]
        assert blocked["state"] == "active"
    finally:
        blocker.commit()
        thread.join()


@pytest.mark.usefixtures("driver")
def test_only_the_applications_unused_sessions_are_ended(database: TestDatabase, opened: ExitStack) -> None:
    leaked = [leak(database, opened, clone=number % 2 == 0) for number in range(20)]  # of both users
    idle = application(database)
    opened.callback(idle.close)
    masters = application(database, user=database.master, password=database.master_password)
    opened.callback(masters.close)
    masters.cursor().execute("SELECT 1")
    busy = application(database)
    opened.callback(busy.close)
    answer: list[Any] = []

    def work() -> None:
        busy.cursor().execute("INSERT INTO items (name) VALUES ('kept'); SELECT pg_advisory_xact_lock(1)")
        busy.commit()
        answer.append("committed")

    thread = threading.Thread(target=work)
    with database.superuser() as blocker:
        blocker.execute(text("SELECT pg_advisory_xact_lock(1)"))
        thread.start()
        wait_for_lock(blocker)
        found = records(database, LIMITS)
    ended = {record["pid"] for record in found if record["kind"] == "ended"}
    assert ended == {connection.info.backend_pid for connection in leaked}
    assert found[-1]["ended"] == 20
    assert found[-1]["before"] - found[-1]["after"] >= 20
    assert not any(is_open(connection) for connection in leaked)
    assert is_open(idle)  # the server is not full: an idle session is normal
    assert is_open(masters)
    thread.join()
    assert answer == ["committed"]
    with database.superuser() as connection:
        assert connection.scalar(text("SELECT count(*) FROM items WHERE name = 'kept'")) == 1
    again = records(database, LIMITS)
    assert again[-1]["ended"] == 0


def test_idle_sessions_are_ended_while_the_server_is_full(database: TestDatabase, opened: ExitStack) -> None:
    idle = application(database)
    opened.callback(idle.close)
    with database.superuser() as connection:
        connection.execute(text("SELECT pg_sleep(0.1)"))
    found = records(database, EndLimits(0.01, 0.01, idle_above=0.0))
    assert [record["pid"] for record in found if record["kind"] == "ended"] == [idle.info.backend_pid]
    assert not is_open(idle)


@pytest.mark.usefixtures("driver")
def test_of_a_pool_that_grew_the_longest_idle_are_ended_and_no_more_than_are_too_many(
    database: TestDatabase, opened: ExitStack
) -> None:
    grown = [application(database) for _ in range(12)]
    for connection in grown:
        opened.callback(connection.close)
    for connection in grown:
        connection.rollback()
    taken = records(database, EndLimits(3600, 3600, idle_above=1.0, spare_seconds=3600))[-1]["before"]
    # None is idle for an hour; four are too many, of a hundred.
    found = records(database, EndLimits(3600, 3600, idle_above=(taken - 3) / 100, spare_seconds=0.001))
    ended = [record["pid"] for record in found if record["kind"] == "ended"]
    assert 0 < len(ended) < len(grown)
    assert ended == [connection.info.backend_pid for connection in grown[: len(ended)]]
    assert found[-1]["before"] - found[-1]["after"] >= len(ended)
    assert all(is_open(connection) for connection in grown[len(ended) :])
    patient = EndLimits(3600, 3600, idle_above=0.0, spare_seconds=3600)
    assert records(database, patient)[-1]["ended"] == 0


def test_each_process_keeps_the_two_that_its_next_request_would_take(database: TestDatabase, opened: ExitStack) -> None:
    processes = ["shop-api@host/7", "shop-api@host/8", "shop-api@other/7"]
    pools = [[application(database, name) for _ in range(4)] for name in processes]
    pools[1] = pools[1][:1]
    for connection in [connection for pool in pools for connection in pool]:
        opened.callback(connection.close)
    for place in range(4):  # used in turn, so that no process's are the longest idle
        for pool in pools:
            assert all(is_open(connection) for connection in pool[place : place + 1])
    limits = EndLimits(3600, 3600, idle_above=0.0, spare_seconds=0.001)
    ended = {record["pid"] for record in records(database, limits) if record["kind"] == "ended"}
    assert ended == {connection.info.backend_pid for pool in pools for connection in pool[:-2]}
    assert records(database, limits)[-1]["ended"] == 0
    assert all(is_open(connection) for pool in pools for connection in pool[-2:])


@pytest.mark.usefixtures("driver")
def test_only_sessions_from_the_given_addresses_are_ended(database: TestDatabase, opened: ExitStack) -> None:
    idle = application(database)
    opened.callback(idle.close)
    elsewhere = EndLimits(0.001, 0.001, idle_above=0.0, addresses=["10.0.1.7"])
    assert records(database, elsewhere)[-1]["ended"] == 0
    assert is_open(idle)
    here = EndLimits(0.001, 0.001, idle_above=0.0, addresses=["10.0.1.7", "127.0.0.1"])
    assert [record["pid"] for record in records(database, here) if record["kind"] == "ended"] == [idle.info.backend_pid]


def test_younger_ones_are_left(database: TestDatabase, opened: ExitStack) -> None:
    leaked = leak(database, opened)
    limits = EndLimits(idle_in_transaction_seconds=60, idle_seconds=60, idle_above=0.0, spare_seconds=60)
    found = records(database, limits)
    assert found[-1]["ended"] == 0
    assert is_open(leaked)


@pytest.mark.parametrize("attribute", ["SUPERUSER", "REPLICATION"])
def test_a_user_with_great_rights_is_left_alone(database: TestDatabase, opened: ExitStack, attribute: str) -> None:
    leaked = leak(database, opened)
    with database.superuser_engine().connect() as connection:
        connection.execute(text(f"ALTER ROLE {database.role} {attribute}"))
        try:
            assert records(database, LIMITS)[-1]["ended"] == 0
        finally:
            connection.execute(text(f"ALTER ROLE {database.role} NO{attribute}"))
    assert is_open(leaked)


def test_the_command_prints_a_line_for_each(
    database: TestDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "AdminSettings", database.admin_settings)
    assert service.admin(["sessions"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("server", "end")
    options = ["--idle-in-transaction-seconds", "3600", "--spare-seconds", "3600", "--address", "10.0.1.7", "10.0.1.8"]
    assert service.admin(["sessions", "--end", *options]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ended"] == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "x"])
def test_no_limit_is_no_limit(seconds: str) -> None:
    with pytest.raises(SystemExit):
        service.admin(["sessions", "--end", "--idle-in-transaction-seconds", seconds])


def test_a_server_that_does_not_answer_is_said(
    database: TestDatabase, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "AdminSettings", lambda: database.admin_settings(database_port=closed_port()))
    assert service.admin(["sessions"]) == 1
    assert "refused" in json.loads(capsys.readouterr().out)["error"]


def test_a_server_that_is_full_is_asked_until_a_slot_is_free(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = database.master
    with database.superuser_engine().connect() as connection:
        connection.execute(text(f"ALTER ROLE {role} CONNECTION LIMIT 0"))
        try:
            with monkeypatch.context() as impatient:
                impatient.setattr(connection_module, "_SLOT_WAIT_SECONDS", 0)
                with pytest.raises(OperationalError, match="too many connections for role"):
                    records(database)
            refused: list[str] = []
            connect = Engine.connect

            def full_at_first(engine: Engine) -> Connection:
                if engine.url.username == role and not refused:
                    refused.append(role)
                    connection.execute(text(f"ALTER ROLE {role} CONNECTION LIMIT -1"))
                    raise OperationalError("", {}, Exception("FATAL: remaining connection slots are reserved"))
                return connect(engine)

            monkeypatch.setattr(Engine, "connect", full_at_first)
            assert records(database)[-1]["kind"] == "end"
            assert refused
        finally:
            connection.execute(text(f"ALTER ROLE {role} CONNECTION LIMIT -1"))


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT 1", "SELECT ?"),
        ("SELECT 'it''s', E'a\\nb', -4.5e10 FROM t1 WHERE a2 = $1", "SELECT ?, ?, ? FROM t1 WHERE a2 = $1"),
        ("SELECT 'cut off by track_activity_query_si", "SELECT ?"),
        ("SELECT $$secret$$, $x$a $$ b$x$", "SELECT ?, ?"),
        ("/*action='a',route='/b'*/ SELECT now() -- 'x'", "SELECT now()"),
        ("INSERT INTO t (a) VALUES ('/* no comment */')", "INSERT INTO t (a) VALUES (?)"),
        ("", ""),
    ],
)
def test_values_are_masked(statement: str, shown: str) -> None:
    assert masked(statement) == shown


@pytest.mark.parametrize(
    ("statement", "tag"),
    [
        ("/*action='a',route='/b/{c}'*/ SELECT 1", "a /b/{c}"),
        ("SELECT 1 /*route='/b'*/", "/b"),
        ("SELECT 1", ""),
        ("/* a remark */ SELECT 1", ""),
    ],
)
def test_the_tag_is_read_back(statement: str, tag: str) -> None:
    assert tag_of(statement) == tag
