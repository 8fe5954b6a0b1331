"""A connection pool in front of one PostgreSQL, as RDS Proxy documents it.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.howitworks.html and, for what pins a session,
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html:

- A client proves by SCRAM-SHA-256 that it knows the password in a secret; a role without a secret is refused.
- A connection to the database is borrowed for one transaction, or for the rest of a session that it is pinned to.
- More clients than connections wait, for the borrow timeout at most.
- libpq's ``options`` are refused.

A pooler from a package would need an image of its own, and neither refuses nor pins what RDS Proxy does.

PostgreSQL's protocol: https://www.postgresql.org/docs/17/protocol-message-formats.html. Not done: cancelling a query,
which RDS Proxy does not do either, and flushing an extended query before its end.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import re
import secrets
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

_PROTOCOL, _CANCEL, _SSL, _GSS = 196608, 80877102, 80877103, 80877104
_ITERATIONS = 4096
_CONNECT_SECONDS = 5.0
_MAX_MESSAGE_BYTES = 1 << 30
_MAX_STARTUP_BYTES = 10_000

_PINS = re.compile(
    rb"^\s*(?:SET|PREPARE|EXECUTE|DISCARD|DEALLOCATE|LISTEN|LOAD|DECLARE)\b"
    rb"|^\s*CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP"
    rb"|\b(?:nextval|setval|set_config|pg_(?:try_)?advisory_\w*lock\w*)\s*\(",
    re.IGNORECASE,
)


class ProxyError(Exception):
    """What a client is told before its connection is closed: an SQLSTATE and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Target:
    """The database behind the proxy, as it is now, and how much of it the proxy may use."""

    host: str
    port: int
    authority: str
    """Certificate (PEM) of the authority that signed the database's."""
    max_connections_percent: int
    borrow_timeout: float
    """Seconds that a client waits for a connection when all are in use."""
    require_tls: bool
    idle_timeout: float
    """Seconds after which an idle client is disconnected."""


@dataclass
class _Connection:
    """One connection to the database, ready for a query."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()

    def close(self) -> None:
        self.writer.write(_message(b"X", b""))
        self.writer.transport.abort()  # PostgreSQL has heard enough; TLS would wait for its answer


class DatabaseProxy:
    """Serves clients on one address.

    `target` gives the database, or None while there is none; `password` gives a role's, or None. Both are asked at each
    login, in this proxy's event loop, and must not block for long.
    """

    def __init__(self, target: Callable[[], Target | None], password: Callable[[str], str | None]) -> None:
        self._target = target
        self._password = password
        self._idle: dict[tuple[str, str], list[_Connection]] = {}
        self._open = 0
        self._limit: int | None = None
        self._free = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Listen. Raises OSError when the address is taken."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a callback of a server is a task
            self._clients[task] = writer
            try:
                await self._client(reader, writer, tls)
            except (OSError, EOFError, asyncio.CancelledError):
                pass  # it went away, or we do
            except Exception:
                logger.exception("database proxy: a client's connection broke")
            finally:
                del self._clients[task]
                writer.close()

        self._server = await asyncio.start_server(accept, host, port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        clients = dict(self._clients)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for writer in clients.values():
            writer.transport.abort()
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        await asyncio.sleep(0)  # aborted connections are closed by the loop

    # --- a client -----------------------------------------------------------------------------------

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext) -> None:
        try:
            startup = await _startup(reader, writer, tls)
            if startup is None:
                return
            encrypted, parameters = startup
            target = self._target()
            if target is None:
                raise ProxyError("08001", "The proxy has no database to connect to.")
            if target.require_tls and not encrypted:
                raise ProxyError("28000", "This RDS Proxy requires TLS connections.")
            if "options" in parameters:
                raise ProxyError(
                    "0A000", "Feature not supported: RDS Proxy currently doesn't support command-line options."
                )
            user = parameters.get("user", "")
            password = await self._log_in(reader, writer, user)
            session = _Session(self, target, user, password, parameters.get("database", user))
            await session.greet(writer)
        except ProxyError as error:
            await _refuse(writer, error)
            return
        try:
            await session.serve(reader, writer)
        except ProxyError as error:
            await _refuse(writer, error)
        finally:
            await session.end()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str) -> str:
        """Have the client prove that it knows its password (RFC 5802), which is returned. Raises ProxyError."""
        password = self._password(user)
        if password is None:
            raise ProxyError(
                "28000",
                f"This RDS proxy has no credentials for the role {user}. "
                "Check the credentials for this role and try again.",
            )
        wrong = ProxyError("28P01", f"The password that was provided for the role {user} is wrong.")
        writer.write(_message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
        mechanism, _, rest = _body(await _read(reader), b"p").partition(b"\0")
        if mechanism != b"SCRAM-SHA-256":
            raise wrong
        first = rest[4:].decode()
        header, first_bare = first[: first.index(",", 2) + 1], first[first.index(",", 2) + 1 :]
        client_nonce = dict(part.split("=", 1) for part in first_bare.split(","))["r"]
        salt = secrets.token_bytes(16)
        server_first = f"r={client_nonce}{secrets.token_urlsafe(18)},s={_base64(salt)},i={_ITERATIONS}"
        writer.write(_message(b"R", struct.pack("!i", 11) + server_first.encode()))
        final = _body(await _read(reader), b"p").decode()
        without_proof, _, proof = final.rpartition(",p=")
        salted = _salted(password, salt, _ITERATIONS)
        signed = f"{first_bare},{server_first},{without_proof}"
        expected_start = f"c={_base64(header.encode())},r={server_first[2 : server_first.index(',s=')]}"
        if without_proof != expected_start or not hmac.compare_digest(_base64(_proof(salted, signed)), proof):
            raise wrong
        writer.write(_message(b"R", struct.pack("!i", 12) + f"v={_base64(_server_signature(salted, signed))}".encode()))
        return password

    # --- the pool -----------------------------------------------------------------------------------

    async def borrow(self, target: Target, user: str, password: str, database: str) -> _Connection:
        """A connection that nobody else has. Raises ProxyError when none gets free in time, or the database refuses."""
        try:
            async with asyncio.timeout(target.borrow_timeout):
                async with self._free:
                    await self._free.wait_for(lambda: self._has_room(user, database))
                    idle = self._idle.get((user, database), [])
                    while idle:
                        connection = idle.pop()
                        if connection.usable:
                            return connection
                        self._open -= 1
                    while self._limit is not None and self._open >= self._limit:
                        self._drop_one()  # of another role or database
                    self._open += 1
        except TimeoutError:
            raise ProxyError("53300", "Timed-out waiting to acquire database connection.") from None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                connection = await _connect(target, user, password, database)
                if self._limit is None:
                    self._limit = max(1, await _max_connections(connection) * target.max_connections_percent // 100)
        except BaseException as error:
            await self._closed()
            if isinstance(error, OSError | EOFError):  # TimeoutError is one
                raise ProxyError("08006", f"The proxy cannot reach the database: {error or 'no answer'}.") from error
            raise
        return connection

    async def give_back(self, connection: _Connection, user: str, database: str) -> None:
        if not connection.usable:
            await self.discard(connection)
            return
        async with self._free:
            self._idle.setdefault((user, database), []).append(connection)
            self._free.notify()

    async def discard(self, connection: _Connection) -> None:
        connection.close()
        await self._closed()

    async def _closed(self) -> None:
        async with self._free:
            self._open -= 1
            self._free.notify()

    def limits_changed(self) -> None:
        """Ask the database again how many connections it has."""
        self._limit = None

    def _has_room(self, user: str, database: str) -> bool:
        if self._idle.get((user, database)) or self._limit is None or self._open < self._limit:
            return True
        return any(self._idle.values())

    def _drop_one(self) -> None:
        for connections in self._idle.values():
            if connections:
                connections.pop().close()
                self._open -= 1
                return
        raise AssertionError("there is room, so one is idle")


class _Session:
    """One client that has logged in, and the connection that it has borrowed, if it has."""

    def __init__(self, proxy: DatabaseProxy, target: Target, user: str, password: str, database: str) -> None:
        self._proxy = proxy
        self._target = target
        self._user = user
        self._password = password
        self._database = database
        self._borrowed: _Connection | None = None
        self._pinned = False

    async def greet(self, writer: asyncio.StreamWriter) -> None:
        """Tell the client that it is in, with the database's parameters. Raises ProxyError."""
        connection = await self._connection()
        writer.write(_message(b"R", struct.pack("!i", 0)))
        for name, value in connection.parameters.items():
            writer.write(_message(b"S", f"{name}\0{value}\0".encode()))
        writer.write(_message(b"K", secrets.token_bytes(8)) + _message(b"Z", b"I"))
        await writer.drain()
        await self._release()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand messages to and fro until the client leaves. Raises ProxyError."""
        while True:
            try:
                async with asyncio.timeout(self._target.idle_timeout):
                    message = await _read(reader)
            except TimeoutError:
                raise ProxyError("57P05", "Idle client connection timeout.") from None
            kind = message[:1]
            if kind == b"X":
                return
            connection = await self._connection()
            if not self._pinned and kind in b"QP" and (reason := _pins(message)):
                self._pinned = True
                logger.warning(
                    "database proxy: the client session was pinned to the database connection for the remainder of the "
                    "session. Reason: %s",
                    reason,
                )
            connection.writer.write(message)
            if kind in b"QSF":
                try:
                    status = await _relay(connection, reader, writer)
                except (OSError, EOFError) as error:
                    raise ProxyError("08006", f"The database closed the connection: {error}.") from error
                if status == b"I" and not self._pinned:
                    await self._release()

    async def end(self) -> None:
        """A pinned session, or one that left in the middle, leaves a connection that nobody else may have."""
        if self._borrowed is not None:
            connection, self._borrowed = self._borrowed, None
            await self._proxy.discard(connection)

    async def _connection(self) -> _Connection:
        if self._borrowed is None:
            self._borrowed = await self._proxy.borrow(self._target, self._user, self._password, self._database)
        return self._borrowed

    async def _release(self) -> None:
        if self._borrowed is not None:
            connection, self._borrowed = self._borrowed, None
            await self._proxy.give_back(connection, self._user, self._database)


# --- the protocol -----------------------------------------------------------------------------------


async def _startup(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext
) -> tuple[bool, dict[str, str]] | None:
    """Whether the client speaks TLS, and its parameters; None for one that only wanted to cancel."""
    encrypted = False
    while True:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        if not 8 <= length <= _MAX_STARTUP_BYTES:
            return None
        body = await reader.readexactly(length - 4)
        (code,) = struct.unpack_from("!i", body)
        if code == _SSL and not encrypted:
            writer.write(b"S")
            await writer.start_tls(tls)
            encrypted = True
        elif code == _GSS:
            writer.write(b"N")
        elif code == _CANCEL:
            return None
        elif code >> 16 != _PROTOCOL >> 16:
            raise ProxyError("0A000", "RDS Proxy supports only version 3.0 of the PostgreSQL messaging protocol.")
        else:
            words = body[4:].decode(errors="replace").split("\0")
            return encrypted, {name: value for name, value in zip(words[::2], words[1::2], strict=False) if name}


async def _connect(target: Target, user: str, password: str, database: str) -> _Connection:
    """Log in to the database. Raises ProxyError with the database's own words, OSError, EOFError."""
    reader, writer = await asyncio.open_connection(target.host, target.port)
    connection = _Connection(reader, writer)
    try:
        writer.write(struct.pack("!ii", 8, _SSL))
        if await reader.readexactly(1) != b"S":
            raise ProxyError("08001", "The database does not speak TLS.")
        trusted = ssl.create_default_context(cadata=target.authority)
        await writer.start_tls(trusted, server_hostname=target.host)
        words = f"user\0{user}\0database\0{database}\0client_encoding\0UTF8\0\0".encode()
        writer.write(struct.pack("!ii", 8 + len(words), _PROTOCOL) + words)
        await _authenticate(reader, writer, user, password)
        while (message := await _read(reader))[:1] != b"Z":
            if message[:1] == b"E":
                raise ProxyError(*_reason(message))
            if message[:1] == b"S":
                name, value, _ = message[5:].decode().split("\0")
                connection.parameters[name] = value
    except BaseException:
        writer.close()
        raise
    return connection


async def _authenticate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, user: str, password: str) -> None:
    """SCRAM-SHA-256 as the client (RFC 5802)."""
    nonce, first_bare, server_first, final = secrets.token_urlsafe(18), "", "", ""
    while True:
        message = await _read(reader)
        if message[:1] == b"E":
            raise ProxyError(*_reason(message))
        (code,) = struct.unpack_from("!i", _body(message, b"R"))
        data = message[9:]
        if code == 0:
            return
        if code == 10:
            first_bare = f"n=,r={nonce}"
            initial = f"n,,{first_bare}".encode()
            writer.write(_message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(initial)) + initial))
        elif code == 11:
            server_first = data.decode()
            parts = dict(part.split("=", 1) for part in server_first.split(","))
            salted = _salted(password, base64.b64decode(parts["s"]), int(parts["i"]))
            final = f"c=biws,r={parts['r']}"
            proof = _base64(_proof(salted, f"{first_bare},{server_first},{final}"))
            writer.write(_message(b"p", f"{final},p={proof}".encode()))
        elif code != 12:
            raise ProxyError("28000", f"The database asks the role {user} for something else than SCRAM-SHA-256.")


async def _max_connections(connection: _Connection) -> int:
    connection.writer.write(_message(b"Q", b"SHOW max_connections\0"))
    found = 0
    while (message := await _read(connection.reader))[:1] != b"Z":
        if message[:1] == b"D":
            found = int(message[11:])
        elif message[:1] == b"E":
            raise ProxyError(*_reason(message))
    return found


async def _relay(
    connection: _Connection, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter
) -> bytes:
    """Hand the database's answer on, to its end. Returns the transaction's status: I, T or E."""
    while True:
        message = await _read(connection.reader)
        client_writer.write(message)
        if message[:1] == b"G":  # COPY FROM STDIN: now the client speaks
            await client_writer.drain()
            while True:
                data = await _read(client_reader)
                connection.writer.write(data)
                await connection.writer.drain()
                if data[:1] in b"cf":
                    break
        elif message[:1] == b"Z":
            await client_writer.drain()
            return message[5:6]
        elif client_writer.transport.get_write_buffer_size() > 1 << 20:
            await client_writer.drain()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """One message: a letter, the length, the body."""
    head = await reader.readexactly(5)
    (length,) = struct.unpack_from("!i", head, 1)
    if not 4 <= length <= _MAX_MESSAGE_BYTES:
        raise EOFError(f"a message of {length} bytes")
    return head + await reader.readexactly(length - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _body(message: bytes, kind: bytes) -> bytes:
    if message[:1] != kind:
        raise ProxyError("08P01", f"unexpected message {message[:1]!r}")
    return message[5:]


async def _refuse(writer: asyncio.StreamWriter, error: ProxyError) -> None:
    # libpq shows what came last, which for a session that has begun is that it was closed.
    logger.warning("database proxy: %s", error)
    writer.write(_error(error))
    await writer.drain()


def _error(error: ProxyError) -> bytes:
    fields = {"S": "FATAL", "V": "FATAL", "C": error.code, "M": str(error)}
    return _message(b"E", b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0")


def _reason(message: bytes) -> tuple[str, str]:
    """SQLSTATE and text of an ErrorResponse."""
    fields = {part[:1]: part[1:] for part in message[5:].decode(errors="replace").split("\0") if part}
    return fields.get("C", "XX000"), fields.get("M", "the database failed")


def _pins(message: bytes) -> str | None:
    """Why this Query or Parse ties the session to its connection, or None."""
    if message[:1] == b"P":
        name, _, statement = message[5:].partition(b"\0")
        if name:
            return "a named prepared statement"
    else:
        statement = message[5:]
    found = _PINS.search(statement)
    return found[0].decode(errors="replace").strip() if found else None


def _salted(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def _proof(salted: bytes, signed: str) -> bytes:
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), signed.encode(), "sha256")
    return bytes(a ^ b for a, b in zip(client_key, signature, strict=True))


def _server_signature(salted: bytes, signed: str) -> bytes:
    return hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed.encode(), "sha256")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
