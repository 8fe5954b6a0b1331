"""A real PostgreSQL for the tests of applications: the one that TEST_DATABASE_URL names, or one started here."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import make_url

from tests.support.ports import free_port

_START_SECONDS = 120
_HOW_TO_GET_ONE = (
    "The applications' tests need a real PostgreSQL. Install one (`apt-get install postgresql`; its initdb is then "
    "found on PATH or in /usr/lib/postgresql/*/bin), or name a server that may be used, with a superuser: "
    "TEST_DATABASE_URL=postgresql://postgres:password@localhost:5432/postgres"
)


@dataclass(frozen=True)
class Server:
    """A server and its superuser. `log` is the log of its statements, None for a server that was not started here."""

    host: str
    port: int
    user: str
    password: str
    database: str
    sslmode: str
    ca_file: str
    log: Path | None


@contextmanager
def running_server(log_statement: str = "all") -> Iterator[Server]:
    """Yield the server of TEST_DATABASE_URL, or start one and remove it afterwards."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        parsed = make_url(url)
        yield Server(
            host=parsed.host or "localhost",
            port=parsed.port or 5432,
            user=parsed.username or "postgres",
            password=parsed.password or "",
            database=parsed.database or "postgres",
            sslmode=str(parsed.query.get("sslmode", "prefer")),
            ca_file=str(parsed.query.get("sslrootcert", "")),
            log=None,
        )
        return
    binaries = _find_binaries()
    # Not below pytest's own folder: PostgreSQL refuses to run as root, and the user nobody may not enter that folder.
    directory = Path(tempfile.mkdtemp(prefix="settlement-test-"))
    try:
        yield from _own_server(binaries, directory, log_statement)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _find_binaries() -> Path:
    candidates = [Path(found).resolve().parent for found in (shutil.which("initdb"),) if found]
    candidates += [Path(found).parent for found in (shutil.which("initdb"),) if found]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise RuntimeError(_HOW_TO_GET_ONE)


def _own_server(binaries: Path, directory: Path, log_statement: str) -> Iterator[Server]:
    user = "nobody" if os.geteuid() == 0 else None
    password = secrets.token_urlsafe(16)
    (directory / "password").write_text(password)
    write_certificate(directory)
    if user:
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, user)
    data, log = directory / "data", directory / "log"
    initdb: list[str | Path] = [
        "initdb",
        "--pgdata",
        data,
        "--username",
        "postgres",
        "--pwfile",
        directory / "password",
        "--no-sync",
    ]
    initdb += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]
    subprocess.run(
        initdb, executable=binaries / "initdb", check=True, user=user, cwd=directory, stdout=subprocess.DEVNULL
    )
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": directory,
        "ssl": "on",
        "ssl_cert_file": directory / "server.pem",
        "ssl_key_file": directory / "server.key",
        "log_statement": log_statement,
        "timezone": "Asia/Kolkata",  # neither UTC nor an application's: code that relies on the server's zone fails
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "autovacuum": "off",
    }
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *arguments], user=user, cwd=directory, stdout=output, stderr=output
        )
    try:
        _wait_until_up(process, port, password, log)
        yield Server("localhost", port, "postgres", password, "postgres", "verify-full", str(directory / "ca.pem"), log)
    finally:
        process.send_signal(signal.SIGQUIT)  # immediate shutdown: nothing is kept
        process.wait(_START_SECONDS)


def _wait_until_up(process: subprocess.Popen[bytes], port: int, password: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password=password, dbname="postgres").close()
            return
        except psycopg2.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{log.read_text()}") from error
            time.sleep(0.05)


def write_certificate(directory: Path) -> None:
    """Create a certificate authority (ca.pem), and a server certificate for `localhost` that it signed."""
    now = datetime.now(UTC)

    def builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = (
        builder("test CA", "test CA", ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        builder("localhost", "test CA", key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (directory / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file = directory / "server.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    # Only the authority's certificate is public; the folder itself is private.
    directory.chmod(0o755)
