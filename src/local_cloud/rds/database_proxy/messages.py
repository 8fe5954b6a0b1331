"""Messages of PostgreSQL's frontend/backend protocol, version 3.0, and the stream that carries them.

https://www.postgresql.org/docs/17/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from typing import NamedTuple, Self

_MAX_MESSAGE_BYTES = 1 << 30

# Types of messages from a frontend
QUERY = b"Q"
PARSE = b"P"
SYNC = b"S"
FUNCTION_CALL = b"F"
COPY_DONE = b"c"
COPY_FAIL = b"f"
SASL_RESPONSE = b"p"
TERMINATE = b"X"

# Types of messages from a backend
AUTHENTICATION = b"R"
BACKEND_KEY_DATA = b"K"
COPY_IN_RESPONSE = b"G"
DATA_ROW = b"D"
ERROR_RESPONSE = b"E"
PARAMETER_STATUS = b"S"
READY_FOR_QUERY = b"Z"


class ProxyError(Exception):
    """Ends a client's session: the SQLSTATE and the message of the ErrorResponse that the client receives."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate

    @classmethod
    def from_response(cls, response: Message) -> Self:
        """Read the database's ErrorResponse."""
        fields = {part[:1]: part[1:] for part in response.body.decode(errors="replace").split("\0") if part}
        return cls(fields.get("C", "XX000"), fields.get("M", "the database failed"))

    def response(self) -> Message:
        """Return the ErrorResponse for the client."""
        fields = {"S": "FATAL", "V": "FATAL", "C": self.sqlstate, "M": str(self)}
        body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items())
        return Message(ERROR_RESPONSE, body + b"\0")


class Message(NamedTuple):
    """One message: its type (one byte) and its body."""

    type: bytes
    body: bytes

    def encode(self) -> bytes:
        return self.type + struct.pack("!i", len(self.body) + 4) + self.body


@dataclass(frozen=True)
class MessageStream:
    """Reads and writes messages on one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def abort(self) -> None:
        """Close the connection at once: a graceful close of TLS would wait for the other side's answer."""
        with contextlib.suppress(AttributeError):  # Python 3.11.2 raises it if the connection is lost already
            self.writer.transport.abort()

    async def read(self) -> Message:
        """Read the next message.

        Raises:
            EOFError: the connection was closed, or the length is impossible.
        """
        head = await self.reader.readexactly(5)
        (length,) = struct.unpack_from("!i", head, 1)
        if not 4 <= length <= _MAX_MESSAGE_BYTES:
            raise EOFError(f"a message of {length} bytes")
        return Message(head[:1], await self.reader.readexactly(length - 4))

    async def expect(self, type_: bytes) -> bytes:
        """Read the next message and return its body.

        Raises:
            ProxyError: the message has another type.
            EOFError: see :meth:`read`.
        """
        message = await self.read()
        if message.type != type_:
            raise ProxyError("08P01", f"unexpected message {message.type!r}")
        return message.body

    def write(self, *messages: Message) -> None:
        self.writer.write(b"".join(message.encode() for message in messages))

    async def drain(self) -> None:
        await self.writer.drain()
