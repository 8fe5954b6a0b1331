"""The admin command's `prepare` and `renew`, as a master user that is no superuser."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError
from starlette.testclient import TestClient

from fargate_app.admin.failures import AdminError
from fargate_app.admin.prepare import Prepared, prepare
from fargate_app.admin.renew import Renewed, renew
from fargate_app.admin.secret_store import SecretsManagerSecret
from fargate_app.database import Database
from tests.fargate_app.shop.app import create_app, service
from tests.support.databases import MemorySecret, TestDatabase
from tests.support.postgres import write_certificate


def credentials(database: TestDatabase) -> dict[str, str]:
    """Return the credentials in the application's secret."""
    value: dict[str, str] = json.loads(database.secret.value or "")
    return value


@pytest.mark.usefixtures("driver")
def test_the_service_works_after_it_and_a_second_run_changes_nothing(empty_database: TestDatabase) -> None:
    assert empty_database.prepare() == Prepared("0001", changed=True)
    before = empty_database.secret.value
    assert empty_database.prepare() == Prepared("0001", changed=False)
    assert (empty_database.secret.value, empty_database.secret.writes) == (before, 1)
    assert set(credentials(empty_database)) == {"username", "password"}
    with TestClient(create_app(empty_database.settings())) as client:
        assert client.get("/readyz").status_code == 200
        assert client.post("/items", json={"name": "a"}).status_code == 201


@pytest.mark.usefixtures("driver")
def test_no_password_reaches_the_servers_log(empty_database: TestDatabase, capsys: pytest.CaptureFixture[str]) -> None:
    if empty_database.server.log is None:
        pytest.skip("the log of the server that TEST_DATABASE_URL names cannot be read here")
    empty_database.prepare()
    clone, secret = list(empty_database.secrets_of.items())[1]
    renew(empty_database.admin_settings(), clone, secret)
    log = empty_database.server.log.read_text()
    output = "".join(capsys.readouterr())
    for role, times in ((empty_database.role, 1), (clone, 2)):
        assert log.count(f"ALTER ROLE {role} PASSWORD 'SCRAM-SHA-256$4096:") == times
    renewed = json.loads(secret.value or "")
    assert renewed["username"] == clone
    for password in (credentials(empty_database)["password"], renewed["password"], empty_database.master_password):
        assert password not in log
        assert password not in output


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "ALTER TABLE items ADD COLUMN mine int",
        "DROP TABLE orders",
        "TRUNCATE orders",
        "UPDATE items SET price = 1",
        "DELETE FROM items",
        "UPDATE alembic_version SET version_num = '0000'",
        "COPY items TO PROGRAM 'true'",
    ],
)
def test_the_application_cannot(database: TestDatabase, statement: str) -> None:
    application = Database(database.settings())
    try:
        with (
            pytest.raises(ProgrammingError, match=r"permission denied|must be"),
            application.connect() as connection,
        ):
            connection.execute(text(statement))
    finally:
        application.close()


def test_the_role_carries_the_timeouts(empty_database: TestDatabase) -> None:
    empty_database.prepare(database_statement_timeout_ms=1234, database_idle_in_transaction_timeout_ms=5678)

    def timeouts() -> tuple[str, ...]:
        application = Database(empty_database.settings())
        try:
            with application.connect() as connection:
                names = ("statement_timeout", "idle_in_transaction_session_timeout")
                return tuple(connection.execute(text(f"SHOW {name}")).scalar_one() for name in names)
        finally:
            application.close()

    assert timeouts() == ("1234ms", "5678ms")
    assert empty_database.prepare(database_statement_timeout_ms=2000).changed
    assert timeouts() == ("2s", "30s")


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "not json",
        "[]",
        "{}",
        '{"username": "somebody_else", "password": "x"}',
        '{"username": "%s", "password": 1}',
        '{"username": "%s", "password": "wrong"}',
    ],
)
def test_a_secret_that_does_not_work_is_replaced(empty_database: TestDatabase, value: str | None) -> None:
    empty_database.prepare()
    empty_database.secret.value = value and value.replace("%s", empty_database.role)
    assert empty_database.prepare().changed
    assert not empty_database.prepare().changed


def test_a_database_of_before_a_rotation_takes_todays_password_which_stays(empty_database: TestDatabase) -> None:
    empty_database.prepare()
    secret = empty_database.secret.value
    with empty_database.superuser() as connection:  # as in a restored database
        connection.execute(text(f"ALTER ROLE {empty_database.role} PASSWORD 'of yesterday'"))
    assert empty_database.prepare().changed
    assert (empty_database.secret.value, empty_database.secret.writes) == (secret, 1)
    with TestClient(create_app(empty_database.settings())) as client:
        assert client.get("/readyz").status_code == 200


def test_what_was_taken_away_is_given_back(empty_database: TestDatabase) -> None:
    empty_database.prepare()
    with empty_database.superuser() as connection:
        connection.execute(text(f"REVOKE INSERT ON orders FROM {empty_database.role}"))
        connection.execute(text(f"ALTER ROLE {empty_database.role} NOLOGIN"))
        connection.execute(text("GRANT CREATE ON SCHEMA public TO PUBLIC"))
    assert empty_database.prepare().changed
    assert not empty_database.prepare().changed
    assert empty_database.secret.writes == 1  # the password was never wrong


def test_a_secret_that_cannot_be_written_leaves_the_old_password(empty_database: TestDatabase) -> None:
    empty_database.prepare()

    class Broken(MemorySecret):
        def write(self, value: str) -> None:
            raise OSError("no route to Secrets Manager")

    with pytest.raises(OSError, match="no route"):
        prepare(empty_database.admin_settings(), {empty_database.role: Broken()}, service.migrations, service.grants)
    assert not empty_database.prepare().changed


def test_a_role_with_too_many_rights_is_refused(empty_database: TestDatabase) -> None:
    with empty_database.superuser() as connection:
        connection.execute(text(f"CREATE ROLE {empty_database.role} LOGIN CREATEDB"))
    with pytest.raises(AdminError, match="rights that an application must not have"):
        empty_database.prepare()


def test_a_later_schema_is_left_alone(empty_database: TestDatabase) -> None:
    empty_database.prepare()
    with empty_database.superuser() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("ALTER TABLE orders RENAME TO entries"))
    assert empty_database.prepare() == Prepared("9999", changed=False)


def test_at_the_same_time_it_runs_one_after_the_other(empty_database: TestDatabase) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: empty_database.prepare(), range(4)))
    assert sorted(result.changed for result in results) == [False, False, False, True]
    assert empty_database.secret.writes == 1


@pytest.mark.usefixtures("driver")
def test_a_server_that_another_authority_vouches_for_is_refused(
    empty_database: TestDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if empty_database.server.log is None:
        pytest.skip("the server that TEST_DATABASE_URL names may speak no TLS")
    other = tmp_path_factory.mktemp("other-authority")
    write_certificate(other)
    for changes in ({"database_ca_file": str(other / "ca.pem")}, {"database_host": "127.0.0.1"}):
        with pytest.raises(OperationalError, match=r"SSL error|does not match host name"):
            empty_database.prepare(**changes)


def test_both_users_may_do_the_same(empty_database: TestDatabase) -> None:
    empty_database.prepare()
    with empty_database.superuser() as connection:
        rights = {
            role: (
                connection.execute(
                    text(
                        "SELECT table_name, privilege_type FROM information_schema.table_privileges"
                        " WHERE grantee = :role ORDER BY 1, 2"
                    ),
                    {"role": role},
                ).all(),
                connection.execute(
                    text(
                        "SELECT rolconfig, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolinherit"
                        " FROM pg_roles WHERE rolname = :role"
                    ),
                    {"role": role},
                ).one(),
                connection.scalar(text("SELECT has_schema_privilege(:role, 'public', 'CREATE')"), {"role": role}),
            )
            for role in empty_database.secrets_of
        }
    first, clone = rights.values()
    assert first == clone
    assert len(first[0]) == 5


def test_a_database_with_one_user_gets_the_second_and_keeps_the_first(empty_database: TestDatabase) -> None:
    one = {empty_database.role: empty_database.secret}
    prepare(empty_database.admin_settings(), one, service.migrations, service.grants)
    assert empty_database.prepare().changed
    assert (empty_database.secret.writes, empty_database.clone_secret.writes) == (1, 1)
    assert not empty_database.prepare().changed


@pytest.mark.usefixtures("driver")
def test_a_renewed_user_works_and_the_other_is_left_alone(database: TestDatabase) -> None:
    clone, secret = list(database.secrets_of.items())[1]
    before, other_secret = secret.value, database.secret.value
    old = Database(database.settings(**as_database_user(before)))
    serving = Database(database.settings())
    try:
        with old.connect() as session, serving.connect() as other:
            for connection in (session, other):
                connection.execute(text("SELECT 1"))
            assert renew(database.admin_settings(), clone, secret) == Renewed(clone, ended=1)
            with pytest.raises(OperationalError):  # sessions opened with the old password are terminated
                session.execute(text("SELECT 1"))
            assert other.scalar(text("SELECT 1")) == 1
    finally:
        old.close()
        serving.close()
    assert (database.secret.value, secret.value != before) == (other_secret, True)
    with TestClient(create_app(database.settings(**as_database_user(secret.value)))) as client:
        assert client.get("/readyz").status_code == 200
        assert client.post("/items", json={"name": "a"}).status_code == 201
    refused = Database(database.settings(**as_database_user(before)))
    try:
        with pytest.raises(OperationalError, match="password authentication failed"), refused.connect():
            pass
    finally:
        refused.close()


def as_database_user(secret: str | None) -> dict[str, str]:
    """Return the service's settings for the user of this secret."""
    value = json.loads(secret or "")
    return {"database_user": value["username"], "database_password": value["password"]}


@contextmanager
def secrets_manager(answers: dict[str, tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Run a Secrets Manager that gives these answers by action. Yields the calls that it gets."""
    calls: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            action = self.headers["X-Amz-Target"].removeprefix("secretsmanager.")
            calls.append((action, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            status, document = answers[action]
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield calls
        finally:
            server.shutdown()
            thread.join()


NO_VALUE = (400, {"__type": "ResourceNotFoundException", "Message": "can't find the value for AWSCURRENT"})


def test_the_secret_is_read_from_and_put_into_secrets_manager() -> None:
    with secrets_manager({"GetSecretValue": (200, {"SecretString": "old"}), "PutSecretValue": (200, {})}) as calls:
        secret = SecretsManagerSecret("arn", "ap-northeast-2")
        assert secret.read() == "old"
        secret.write("new")
    [(_, read), (action, written)] = calls
    assert read == {"SecretId": "arn"}
    assert action == "PutSecretValue"
    assert written["SecretString"] == "new"


def test_a_secret_without_a_value_is_none() -> None:
    with secrets_manager({"GetSecretValue": NO_VALUE}):
        assert SecretsManagerSecret("arn", "ap-northeast-2").read() is None


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[TestDatabase], None]:
    """Set the admin task's environment for a database."""

    def set_environment(database: TestDatabase) -> None:
        for name, value in database.admin_environment().items():
            monkeypatch.setenv(name, value)

    return set_environment


def test_the_command_ends_with_its_result(
    empty_database: TestDatabase,
    environment: Callable[[TestDatabase], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment(empty_database)
    with secrets_manager({"GetSecretValue": NO_VALUE, "PutSecretValue": (200, {})}) as calls:
        assert service.admin(["prepare"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1]) == {"schema_head": "0001", "changed": True}
    assert all(json.loads(line) for line in lines)
    assert calls[-1][0] == "PutSecretValue"


def test_a_user_is_renewed_by_its_secret(
    empty_database: TestDatabase,
    environment: Callable[[TestDatabase], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment(empty_database)
    with secrets_manager({"PutSecretValue": (200, {})}) as calls:
        assert service.admin(["renew", "--secret", "arn-clone"]) == 0
        assert [(action, call["SecretId"]) for action, call in calls] == [("PutSecretValue", "arn-clone")]
        said = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert said == {"user": f"{empty_database.role}_clone", "ended": 0, "changed": True}
        assert service.admin(["renew", "--secret", "arn-of-something"]) == 1
    assert "none of the application's database users" in capsys.readouterr().out


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("fault", ["DATABASE_PORT", "MASTER_PASSWORD", "DATABASE_NAME", "AWS"])
def test_the_command_says_what_is_wrong_without_a_password(
    empty_database: TestDatabase,
    environment: Callable[[TestDatabase], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    environment(empty_database)
    monkeypatch.setenv(
        fault, {"DATABASE_PORT": "x", "MASTER_PASSWORD": "wrong-hush", "DATABASE_NAME": "no"}.get(fault, "")
    )
    denied = (400, {"__type": "AccessDeniedException", "Message": "not authorized to perform GetSecretValue"})
    with secrets_manager({"GetSecretValue": denied}):
        assert service.admin(["prepare"]) == 1
    output = "".join(capsys.readouterr())
    assert json.loads(output.splitlines()[-1])["error"]
    assert "wrong-hush" not in output
    assert empty_database.master_password not in output
