"""The service behind the local cloud's RDS Proxy, in front of the tests' PostgreSQL."""

import asyncio
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from settlement.app import create_app
from settlement.settings import Settings
from sqlalchemy import text
from starlette.testclient import TestClient

from local_cloud.rds.database_proxy.connection import Target
from local_cloud.rds.database_proxy.proxy import DatabaseProxy
from tests.support.databases import TestDatabase
from tests.support.ports import free_port
from tests.support.postgres import write_certificate


@contextmanager
def proxied(database: TestDatabase, directory: Path, *, max_connections_percent: int = 75) -> Iterator[Settings]:
    """Run a proxy in front of the database's server. Yields the service's settings for it."""
    if not database.server.ca_file:
        pytest.skip("the proxy verifies the database's certificate, and this server has none that can be")
    write_certificate(directory)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "server.pem", directory / "server.key")
    settings = database.settings()
    target = Target(
        host=database.server.host,
        port=database.server.port,
        authority=Path(database.server.ca_file).read_text(),
        max_connections_percent=max_connections_percent,
        borrow_timeout=5,
        require_tls=True,
        idle_timeout=60,
    )
    passwords = {settings.database_user: settings.database_password.get_secret_value()}
    proxy = DatabaseProxy(lambda: target, passwords.get)
    loop, port = asyncio.new_event_loop(), free_port()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.start("localhost", port, tls), loop).result(60)
        yield database.settings(
            database_host="localhost", database_port=port, database_ca_file=str(directory / "ca.pem")
        )
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_services_share_connections_and_pin_none(
    database: TestDatabase,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    driver: str,
) -> None:
    monkeypatch.setenv("DATABASE_DRIVER", driver)
    with proxied(database, tmp_path) as settings, ExitStack() as stack, caplog.at_level(logging.WARNING):
        services = [stack.enter_context(TestClient(create_app(settings))) for _ in range(4)]
        account = services[0].post("/v1/accounts", json={"name": "가", "currency": "KRW"}).json()
        for number, service in enumerate(services):
            assert service.get("/readyz").status_code == 200
            body = {"account_id": account["id"], "amount": 1, "currency": "KRW"}
            posted = service.post("/v1/transactions", json=body, headers={"Idempotency-Key": str(number)})
            assert posted.status_code == 201
            assert service.get(f"/v1/accounts/{account['id']}").json()["name"] == "가"
            assert service.get(f"/v1/accounts/{account['id']}/transactions").status_code == 200
        with database.superuser() as connection:
            count = text("SELECT count(*) FROM pg_stat_activity WHERE usename = :role AND datname = :name")
            held = connection.scalar(count, {"role": settings.database_user, "name": database.name})
    assert held == 1, "each statement borrows a connection and gives it back"
    assert "pinned" not in caplog.text


def test_a_client_that_disconnects_during_its_login_keeps_no_connection(database: TestDatabase, tmp_path: Path) -> None:
    def connect(settings: Settings, *, timeout: int) -> Connection:
        return psycopg2.connect(
            host=settings.database_host,
            port=settings.database_port,
            dbname=settings.database_name,
            user=settings.database_user,
            password=settings.database_password.get_secret_value(),
            sslmode="verify-full",
            sslrootcert=settings.database_ca_file,
            connect_timeout=timeout,
        )

    # 1 % of max_connections is one connection: while a transaction has it, a login waits.
    with proxied(database, tmp_path, max_connections_percent=1) as settings:
        first = connect(settings, timeout=60)
        first.cursor().execute("SELECT 1")
        with pytest.raises(psycopg2.OperationalError, match="timeout expired"):
            connect(settings, timeout=2)
        first.rollback()
        connect(settings, timeout=60).close()
        first.close()
