"""Health, readiness and version, for the load balancer and the release."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from tests.fargate_app.conftest import Revisions
from tests.fargate_app.shop.app import create_app
from tests.support.databases import TestDatabase
from tests.support.ports import closed_port

pytestmark = pytest.mark.usefixtures("engine")


@contextmanager
def outage(database: TestDatabase) -> Iterator[None]:
    """Make the database refuse new connections and close the old ones."""
    with database.superuser_engine("postgres").connect() as connection:
        connection.execute(text(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name"),
            {"name": database.name},
        )
        try:
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true"))


def test_wrong_credentials_never_become_healthy(database: TestDatabase) -> None:
    with TestClient(create_app(database.settings(database_password="wrong"))) as client:
        for _ in range(3):
            answer = client.get("/healthz")
            assert answer.status_code == 503
            assert answer.json()["type"].endswith(":database-not-seen")
            assert database.role not in answer.text


def test_a_database_that_is_not_there_is_not_healthy(database: TestDatabase) -> None:
    with TestClient(create_app(database.settings(database_port=closed_port()))) as client:
        assert client.get("/healthz").status_code == 503
        assert client.get("/readyz").status_code == 503


def test_once_seen_an_outage_is_no_reason_to_be_replaced(database: TestDatabase, client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    with outage(database):
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        read = client.get(f"/items/{uuid4()}")
        assert read.status_code == 503
        assert read.json()["type"].endswith(":database-unavailable")
    assert client.get("/readyz").status_code == 200


def test_connections_that_the_server_cut_are_not_seen_by_clients(database: TestDatabase, client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    with outage(database):
        pass
    assert client.get(f"/items/{uuid4()}").status_code == 404  # the check before use found the connection closed


def test_a_connection_that_is_well_is_used_without_asking(database: TestDatabase, client: TestClient) -> None:
    if database.server.log is None:
        pytest.skip("the statements of a server that was not started here cannot be seen")
    assert client.get("/readyz").status_code == 200
    before = len(database.server.log.read_text().splitlines())
    assert client.get(f"/items/{uuid4()}").status_code == 404
    said = [
        line for line in database.server.log.read_text().splitlines()[before:] if " LOG: " in line and "SELECT" in line
    ]
    assert len(said) == 1, said


def test_a_full_pool_answers_503_and_stays_healthy(database: TestDatabase) -> None:
    tight = database.settings(database_pool_size=1, database_max_overflow=0, database_pool_timeout_seconds=0.2)
    with TestClient(create_app(tight)) as client, ThreadPoolExecutor() as pool:
        item = client.post("/items", json={"name": "a"}).json()
        assert client.get("/healthz").status_code == 200
        with database.superuser() as blocker:
            # An insert that waits for ours to commit: the pool's only connection is in use.
            blocker.execute(text("LOCK TABLE items IN EXCLUSIVE MODE"))
            waiting = pool.submit(client.post, "/items", json={"name": "b"})
            wait_for_lock(blocker)
            answer = client.get(f"/items/{item['id']}")
            assert answer.status_code == 503
            assert answer.json()["type"].endswith(":database-pool-exhausted")
            assert client.get("/healthz").status_code == 200
        assert waiting.result().status_code == 201
        assert client.get(f"/items/{item['id']}").status_code == 200


def assert_healthy_while_full(database: TestDatabase, client: TestClient) -> None:
    """Check the health of a service with one connection, while a request has it."""
    with ThreadPoolExecutor() as pool:
        with database.superuser() as blocker:
            blocker.execute(text("LOCK TABLE items IN EXCLUSIVE MODE"))
            waiting = pool.submit(client.post, "/items", json={"name": "a"})
            wait_for_lock(blocker)
            assert client.get("/healthz").status_code == 200
        assert waiting.result().status_code == 201


def test_a_worker_is_healthy_before_its_connections_are_in_use(database: TestDatabase) -> None:
    """Another worker may have answered all health checks."""
    settings = database.settings(database_pool_size=1, database_pool_timeout_seconds=0.2)
    with TestClient(create_app(settings)) as client:
        assert_healthy_while_full(database, client)


def test_a_worker_whose_first_check_failed_is_healthy_once_a_request_reached_the_database(
    database: TestDatabase,
) -> None:
    settings = database.settings(database_pool_size=1, database_pool_timeout_seconds=0.2)
    with ExitStack() as stack:
        with outage(database):
            client = stack.enter_context(TestClient(create_app(settings)))
            assert client.get("/healthz").status_code == 503
        assert_healthy_while_full(database, client)


def wait_for_lock(connection: Any) -> None:
    """Wait until a session of this database waits for a lock. Raise an error after two minutes."""
    connection.execute(
        text(
            "DO $$ BEGIN FOR i IN 1..12000 LOOP PERFORM pg_stat_clear_snapshot();"
            " IF EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock') THEN RETURN; END IF; PERFORM pg_sleep(0.01); END LOOP;"
            " RAISE 'no session waits for a lock'; END $$"
        )
    )


def test_a_later_schema_is_ready_an_earlier_one_is_not(database: TestDatabase, revisions: Revisions) -> None:
    revisions.add("1a31ce608336_trial.py", "1a31ce608336")
    with TestClient(create_app(database.settings(), revisions.service)) as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "at 0001, this image needs 1a31ce608336 or later" in answer.json()["detail"]
        with database.superuser() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = 'of_a_later_image'"))
        assert client.get("/readyz").json() == {"status": "ready", "schema_revision": "of_a_later_image"}
        assert client.get("/healthz").status_code == 200


def test_a_schema_that_nobody_made_is_not_ready(database: TestDatabase, client: TestClient) -> None:
    with database.superuser() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":schema-too-old")


@contextmanager
def metadata_endpoint(document: bytes) -> Iterator[str]:
    """Run an ECS task metadata endpoint with this answer. Yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/v4/id/task" else 404)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v4/id"
        finally:
            server.shutdown()
            thread.join()


DIGEST = f"sha256:{'0a' * 32}"


def test_version_tells_commit_image_revision_and_schema(database: TestDatabase) -> None:
    with metadata_endpoint(json.dumps({"Family": "shop-local", "Revision": "7"}).encode()) as uri:
        settings = database.settings(git_hash="0123456789ab", image_digest=DIGEST, ecs_container_metadata_uri_v4=uri)
        with TestClient(create_app(settings)) as client:
            assert client.get("/version").json() == {
                "git_hash": "0123456789ab",
                "image_digest": DIGEST,
                "task_definition_revision": 7,
                "schema_head": "0001",
            }


def test_version_shows_nothing_that_is_not_a_version(database: TestDatabase) -> None:
    for value in ("hunter2-hunter2", "postgresql://user:hunter2@db/shop", "0123456789ab\nhunter2"):
        with TestClient(create_app(database.settings(git_hash=value, image_digest=value))) as client:
            assert "hunter2" not in client.get("/version").text + client.get("/openapi.json").text
    with TestClient(create_app(database.settings(git_hash="0123456789ab-dirty-01234567"))) as client:
        assert client.get("/version").json()["git_hash"] == "0123456789ab-dirty-01234567"


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"Revision": null}', b'{"Revision": "x"}'])
def test_version_does_without_the_metadata_endpoint(database: TestDatabase, document: bytes) -> None:
    with metadata_endpoint(document) as uri:
        for address in (uri, f"http://127.0.0.1:{closed_port()}/v4/id", None):
            with TestClient(create_app(database.settings(ecs_container_metadata_uri_v4=address))) as client:
                assert client.get("/version").json()["task_definition_revision"] is None
