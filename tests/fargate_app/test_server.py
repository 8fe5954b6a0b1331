"""The service as the image runs it: gunicorn with its workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest
from sqlalchemy import text

from tests.fargate_app.test_health import wait_for_lock
from tests.support.databases import TestDatabase
from tests.support.ports import free_port

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "gunicorn", "-c", "python:fargate_app.gunicorn_conf"]
APPLICATION = "tests.fargate_app.shop.app:create_app()"
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY / 'app/api'}:{REPOSITORY}"}
_START_SECONDS = 120
#: When gunicorn kills a worker that still waits.
GRACEFUL_SECONDS = 25


@dataclass
class Service:
    """A running gunicorn."""

    process: subprocess.Popen[str]
    port: int
    output: IO[str]

    def wait(self) -> None:
        """Wait until it has ended without an error, well before gunicorn would kill a worker that still waits."""
        assert self.process.wait(GRACEFUL_SECONDS - 5) == 0, self.log()

    def log(self) -> list[str]:
        """Return the lines that it has logged."""
        self.output.seek(0)
        return self.output.readlines()

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Send one request on its own connection. Return (status, document)."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_START_SECONDS)
        try:
            all_headers = {"Content-Type": "application/json"} | (headers or {})
            connection.request(method, path, json.dumps(body) if body is not None else None, all_headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def wait_until_refusing(self) -> None:
        """Wait until no new connection is accepted: uvicorn checks for signals every 100 ms."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.request("GET", "/healthz")
            except ConnectionRefusedError:
                return
            except OSError:
                pass  # accepted by the kernel, closed by the worker
            assert time.monotonic() < deadline, "new connections are still taken"


@contextmanager
def service(database: TestDatabase, application: str = APPLICATION, **environment: str) -> Iterator[Service]:
    """Start gunicorn on this database and wait until it is healthy."""
    credentials = json.loads(database.secret.value or "")
    values = {name.upper(): str(value) for name, value in database.address.items()}
    values |= {"DATABASE_USER": credentials["username"], "DATABASE_PASSWORD": credentials["password"]}
    port = free_port()
    # Closed below. A pipe that nobody reads would block the service when it is full.
    output = TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(
        [*COMMAND, "--bind", f"127.0.0.1:{port}", application],
        cwd=REPOSITORY,
        env=ENVIRONMENT | {"WEB_CONCURRENCY": "2", "LOG_LEVEL": "info"} | values | environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    running = Service(process, port, output)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if running.request("GET", "/healthz")[0] == 200:
                    break
            except OSError:
                assert process.poll() is None, running.log()
            assert time.monotonic() < deadline, "gunicorn did not become healthy"
            time.sleep(0.05)
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers outlive a master that was killed
        process.wait()
        output.close()


@pytest.mark.parametrize("environment", [{"DATABASE_DRIVER": "psycopg2"}, {"SHOP_ASYNCHRONOUS": "1"}])
def test_on_sigterm_it_finishes_what_it_has_and_takes_nothing_new(
    database: TestDatabase, environment: dict[str, str]
) -> None:
    with service(database, **environment) as running, ThreadPoolExecutor() as pool:
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as idle, database.superuser() as blocker:
            blocker.execute(text("LOCK TABLE items IN EXCLUSIVE MODE"))
            waiting = pool.submit(running.request, "POST", "/items", {"name": "a"})
            wait_for_lock(blocker)
            running.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""  # an idle connection is closed
            running.wait_until_refusing()
            assert not waiting.done()
        status, item = waiting.result(60)
        assert (status, item["name"]) == (201, "a")
        running.wait()
        # All lines are JSON, also those of gunicorn and uvicorn.
        entries = [json.loads(line) for line in running.log()]
    assert {"gunicorn.error", "uvicorn.error", "fargate_app.access", "tests.fargate_app.shop.app"} <= {
        entry["logger"] for entry in entries
    }


def test_with_nothing_to_do_it_stops_at_once(database: TestDatabase) -> None:
    with service(database) as running:
        running.process.send_signal(signal.SIGTERM)
        running.wait()


def test_a_connection_is_kept_longer_than_the_load_balancer_keeps_it(database: TestDatabase) -> None:
    from fargate_app import gunicorn_conf

    load_balancer_idle_seconds, stop_timeout_seconds = 60, 30
    assert gunicorn_conf.keepalive > load_balancer_idle_seconds
    assert gunicorn_conf.graceful_timeout == GRACEFUL_SECONDS < stop_timeout_seconds
    with service(database, WEB_CONCURRENCY="1") as running:
        connection = HTTPConnection("127.0.0.1", running.port, timeout=60)
        for _ in range(2):
            connection.request("GET", "/version")
            response = connection.getresponse()
            assert response.read()
            assert response.headers.get("Connection", "keep-alive") == "keep-alive"
        connection.close()


@pytest.mark.parametrize(
    ("trusted", "scheme"),
    [("10.0.0.0/18,127.0.0.0/8", "https"), ("10.0.0.0/18", "http")],
)
def test_only_the_load_balancer_says_how_the_client_came(database: TestDatabase, trusted: str, scheme: str) -> None:
    application = "tests.fargate_app.shop.app:create_redirecting_app()"
    with service(database, application, WEB_CONCURRENCY="1", FORWARDED_ALLOW_IPS=trusted) as running:
        connection = HTTPConnection("127.0.0.1", running.port, timeout=60)
        connection.request("POST", "/items/", headers={"Host": "shop.example", "X-Forwarded-Proto": "https"})
        response = connection.getresponse()
        assert (response.status, response.headers["Location"]) == (307, f"{scheme}://shop.example/items")
        connection.close()


def test_sessions_say_whose_they_are(database: TestDatabase) -> None:
    with service(database), database.superuser() as connection:
        names = connection.execute(
            text("SELECT application_name FROM pg_stat_activity WHERE usename = :role AND datname = :name"),
            {"role": database.role, "name": database.name},
        ).scalars()
        assert {name.split("@")[0] for name in names} == {"shop-api"}


def test_a_missing_setting_stops_it_with_its_name_and_no_password(database: TestDatabase) -> None:
    environment = ENVIRONMENT | {"DATABASE_NAME": "x", "DATABASE_USER": "x", "DATABASE_PASSWORD": "hush"}
    done = subprocess.run(
        [*COMMAND, "--bind", "127.0.0.1:0", APPLICATION],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
    )
    assert done.returncode != 0
    assert "database_host" in done.stdout + done.stderr
    assert "hush" not in done.stdout + done.stderr
