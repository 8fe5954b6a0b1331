"""The application alone on one core, reading rows by key; PostgreSQL and the load use the other cores.

All variants run under gunicorn with production's worker class and settings, one worker, over the same TLS, and have a
connection for each of the load's. A rate is of the worker's CPU time, which other work on the machine changes less.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from settlement.service import service
from sqlalchemy import URL, create_engine, text

from fargate_app.admin.prepare import prepare
from fargate_app.settings import AdminSettings
from tests.bench.load import BenchError, MachineTooBusy, ensure_wrk, run_wrk
from tests.bench.measure import Row, alternate, ratio
from tests.support.ports import free_port
from tests.support.postgres import Server, running_server

REPOSITORY = Path(__file__).parents[2]
ROWS = 1000
CONNECTIONS = 16
START_SECONDS = 60
#: How long a worker must have used its core for a rate: on a busy machine it may get next to nothing of a second.
LEAST_CPU_SECONDS = 0.1
LONGEST_SECONDS = 60
#: The kind of clock that counts what the scheduler gave (linux/posix-timers.h).
CPUCLOCK_SCHED = 2

FLOOR = "bare Starlette, psycopg2 pool (floor)"
APPLICATION = "the application"
TOKENS = "the application, checking bearer tokens"
SESSION = "FastAPI, session from a generator dependency"
TEMPLATE = "the same with psycopg 3, as the full-stack template"
VARIANTS = {
    FLOOR: "tests.bench.peers.floor:app",
    APPLICATION: "settlement.app:from_environment()",
    TOKENS: "settlement.app:from_environment()",
    SESSION: "tests.bench.peers.session:app",
    TEMPLATE: "tests.bench.peers.session:app",
}


def run(rounds: int, _: object = None, *, seconds: float = 5) -> list[Row]:
    """Measure requests per second of each variant, in alternating runs."""
    ensure_wrk()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("the application's benchmark needs two cores: one for it, one for the load and PostgreSQL")
    core, rest = cores[0], set(cores[1:])
    os.sched_setaffinity(0, rest)  # inherited by PostgreSQL and wrk
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(running_server(log_statement="none"))
            issuer, caller = stack.enter_context(_issuer())
            environment, identifiers = database(server)
            paths = [f"/v1/accounts/{identifier}" for identifier in identifiers]
            environment["DATABASE_POOL_SIZE"] = str(CONNECTIONS)
            psycopg3 = environment["PEER_URL"].replace("+psycopg2:", "+psycopg:")
            own = {TOKENS: issuer, TEMPLATE: {"PEER_URL": psycopg3}}
            services = {
                variant: stack.enter_context(
                    served(app, environment | own.get(variant, {}), paths[0], folder, core=core, headers=caller)
                )
                for variant, app in VARIANTS.items()
            }
            _same_answers({variant: running.address for variant, running in services.items()}, paths[0], caller)

            def rate(running: Served) -> float:
                url = f"http://{running.address}"
                before, deadline, requests = running.cpu_seconds(), time.monotonic() + LONGEST_SECONDS, 0
                while time.monotonic() < deadline:
                    load = run_wrk(url, paths, folder, connections=CONNECTIONS, seconds=seconds, headers=caller)
                    requests += load.requests
                    if (used := running.cpu_seconds() - before) >= LEAST_CPU_SECONDS:
                        return requests / used
                raise MachineTooBusy(f"the application got {used:.3f} s of CPU time in {LONGEST_SECONDS} s")

            for running in services.values():  # fill caches and pools first
                rate(running)
            runs = alternate({variant: partial(rate, running) for variant, running in services.items()}, rounds)
    finally:
        os.sched_setaffinity(0, set(cores))
    return [
        Row(
            benchmark="read a row by key, one core",
            variant=variant,
            unit="requests/s of CPU",
            runs=runs[variant],
            ratio=None if variant == FLOOR else ratio(runs, variant, FLOOR),
            at_least=0.45 if variant == APPLICATION else None,
        )
        for variant in VARIANTS
    ] + [
        Row(
            benchmark="the application, compared with the template",
            variant=APPLICATION,
            unit="requests/s of CPU",
            runs=runs[APPLICATION],
            ratio=ratio(runs, APPLICATION, TEMPLATE),
            at_least=2,
        )
    ]


@contextmanager
def _issuer() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Run a token issuer on this machine; yield the settings that name it and a caller's headers with its token."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    published = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "bench", "use": "sig"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": [published]}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        settings = {
            "AUTH_JWKS_URL": f"http://127.0.0.1:{server.server_port}/keys",
            "AUTH_ISSUER": "https://issuer.example",
            "AUTH_AUDIENCE": "settlement-api",
        }
        claims = {"iss": settings["AUTH_ISSUER"], "aud": settings["AUTH_AUDIENCE"], "exp": int(time.time()) + 86_400}
        token = jwt.encode({**claims, "sub": "bench"}, key, algorithm="RS256", headers={"kid": "bench"})
        try:
            yield settings, {"Authorization": f"Bearer {token}"}
        finally:
            server.shutdown()
            thread.join()


def database(server: Server) -> tuple[dict[str, str], list[str]]:
    """Prepare a database with rows; return the variants' environment and the rows' identifiers."""
    name, role = f"settlement_bench_{secrets.token_hex(4)}", f"settlement_app_{secrets.token_hex(4)}"

    def url(database: str) -> URL:
        return URL.create("postgresql+psycopg2", server.user, server.password, server.host, server.port, database)

    tls = {"sslmode": server.sslmode, "sslrootcert": server.ca_file}
    with create_engine(url(server.database), isolation_level="AUTOCOMMIT", connect_args=tls).connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    secret = _Secret()
    address: dict[str, Any] = {
        "database_host": server.host,
        "database_port": server.port,
        "database_name": name,
        "database_sslmode": server.sslmode,
        "database_ca_file": server.ca_file,
    }
    prepare(
        AdminSettings(
            **address,
            master_username=server.user,
            master_password=server.password,
            app_database_user=role,
            app_database_secret_arn="arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:bench",
            aws_region="ap-northeast-2",
        ),
        {role: secret},
        service.migrations,
        service.grants,
    )
    with create_engine(url(name), connect_args=tls).begin() as connection:
        statement = text(
            "INSERT INTO accounts (name, currency) SELECT 'Store ' || n, 'KRW' FROM generate_series(1, :n) n"
        )
        connection.execute(statement, {"n": ROWS})
        identifiers = [str(row[0]) for row in connection.execute(text("SELECT id FROM accounts"))]
    credentials = json.loads(secret.value)
    user, password = credentials["username"], credentials["password"]
    peer = URL.create("postgresql+psycopg2", user, password, server.host, server.port, name, tls)
    environment = {key.upper(): str(value) for key, value in address.items()} | {
        "DATABASE_USER": user,
        "DATABASE_PASSWORD": password,
        "PEER_URL": peer.render_as_string(hide_password=False),
        "PEER_DSN": peer.set(drivername="postgresql").render_as_string(hide_password=False),
    }
    return environment, identifiers


class _Secret:
    """A secret store in memory."""

    value = ""

    def read(self) -> str | None:
        return self.value or None

    def write(self, value: str) -> None:
        self.value = value


@dataclass(frozen=True)
class Served:
    """A running gunicorn with one worker."""

    address: str
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """Return the CPU time that the worker has used, of all its threads."""
        arbiter = self.process.pid
        (worker,) = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text(encoding="ascii").split()
        # The clock of clock_getcpuclockid(3) counts nanoseconds; /proc/<pid>/stat counts hundredths of a second.
        return time.clock_gettime(~int(worker) << 3 | CPUCLOCK_SCHED)


@contextmanager
def served(
    app: str, environment: Mapping[str, str], path: str, folder: Path, *, core: int, headers: Mapping[str, str]
) -> Iterator[Served]:
    """Run gunicorn with production's configuration, pinned to one core, until the block ends."""
    address = f"127.0.0.1:{free_port()}"
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-m", "gunicorn"]
    command += ["--config", "python:fargate_app.gunicorn_conf", "--bind", address, "--workers", "1", app]
    paths = os.pathsep.join(str(REPOSITORY / path) for path in (".", "src", "app/api"))
    log = folder / f"{address.rpartition(':')[2]}.log"
    with log.open("wb") as output:  # one line for each request, as to the log driver's pipe
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment, "PYTHONPATH": paths},
            cwd=REPOSITORY,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if _get(address, path, headers)[0] == 200:
                    break
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{app} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        yield Served(address, process)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _same_answers(addresses: Mapping[str, str], path: str, caller: Mapping[str, str]) -> None:
    answers = {variant: _row(json.loads(_get(address, path, caller)[1])) for variant, address in addresses.items()}
    if len({json.dumps(answer, sort_keys=True) for answer in answers.values()}) != 1:
        raise BenchError(f"the variants' answers differ: {answers}")


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the field that the variants format differently: the time zone of ``created_at``."""
    return {key: value for key, value in answer.items() if key != "created_at"}


def _get(address: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
