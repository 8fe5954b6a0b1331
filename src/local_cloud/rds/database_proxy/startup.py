"""A connection's first messages, which have no type: requests for encryption, then the startup message."""

from __future__ import annotations

import ssl
import struct
from dataclasses import dataclass

from local_cloud.rds.database_proxy.messages import MessageStream, ProxyError

_PROTOCOL_VERSION = 3 << 16
_CANCEL_REQUEST, _SSL_REQUEST, _GSSENC_REQUEST = 80877102, 80877103, 80877104
_MAX_STARTUP_BYTES = 10_000


@dataclass(frozen=True)
class Startup:
    """A client's startup message."""

    encrypted: bool
    """Whether the connection uses TLS."""
    parameters: dict[str, str]

    @property
    def user(self) -> str:
        return self.parameters.get("user", "")

    @property
    def database(self) -> str:
        return self.parameters.get("database", self.user)


async def receive(client: MessageStream, tls: ssl.SSLContext) -> Startup | None:
    """Read a client's startup message, after encrypting the connection if the client asks for it.

    Returns None for a request to cancel a query and for a message of an impossible length.

    Raises:
        ProxyError: the client speaks another version of the protocol.
    """
    reader, writer = client.reader, client.writer
    encrypted = False
    while True:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        if not 8 <= length <= _MAX_STARTUP_BYTES:
            return None
        body = await reader.readexactly(length - 4)
        (code,) = struct.unpack_from("!i", body)
        if code == _SSL_REQUEST and not encrypted:
            writer.write(b"S")
            await writer.start_tls(tls)
            encrypted = True
        elif code == _GSSENC_REQUEST:
            writer.write(b"N")
        elif code == _CANCEL_REQUEST:
            return None
        elif code >> 16 != _PROTOCOL_VERSION >> 16:
            raise ProxyError("0A000", "RDS Proxy supports only version 3.0 of the PostgreSQL messaging protocol.")
        else:
            words = body[4:].decode(errors="replace").split("\0")
            parameters = {name: value for name, value in zip(words[::2], words[1::2], strict=False) if name}
            return Startup(encrypted, parameters)


async def send(database: MessageStream, host: str, authority: str, user: str, name: str) -> None:
    """Start a session of `user` in the database `name`, over TLS with a certificate of `authority` (PEM) for `host`.

    Raises:
        ProxyError: the database does not offer TLS.
        OSError: its certificate is not trusted.
    """
    database.writer.write(struct.pack("!ii", 8, _SSL_REQUEST))
    if await database.reader.readexactly(1) != b"S":
        raise ProxyError("08001", "The database does not speak TLS.")
    await database.writer.start_tls(ssl.create_default_context(cadata=authority), server_hostname=host)
    parameters = f"user\0{user}\0database\0{name}\0client_encoding\0UTF8\0\0".encode()
    database.writer.write(struct.pack("!ii", 8 + len(parameters), _PROTOCOL_VERSION) + parameters)
