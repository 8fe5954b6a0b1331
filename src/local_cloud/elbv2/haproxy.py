"""HAProxy's configuration and runtime API.

https://docs.haproxy.org/3.0/configuration.html, https://docs.haproxy.org/3.0/management.html#9.3
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from local_cloud.elbv2.targets import Target

SLOTS = 64
"""The largest number of targets at the same time, including draining ones."""
BACKEND = "targets"
PORT = 8080
"""Port inside the container; an unprivileged process may bind it."""
SOCKET = "admin.sock"
RING = "requests"
"""HAProxy's buffer of its newest log lines, each `LOG_FORMAT`."""

_TEMPLATE = """\
# Written by the local cloud. Targets are added and removed through the runtime API.
global
    stats socket {directory}/{socket} mode 600 level admin
    # For the reader of the ring: its connection is idle while no request comes.
    stats timeout 1d
    nbthread 1
    maxconn 4000
    # A nested container may not raise its limit of open files; HAProxy then serves fewer connections.
    no strict-limits
    log stdout format raw local0 err
    log ring@{ring} format raw local0 info

ring {ring}
    format raw
    maxlen 512
    size 1048576

defaults
    mode http
    log global
    # Failed requests are logged as errors, to stdout too.
    option log-separate-errors
    log-format "{log_format}"
    # An ALB documents no retries, and they would hide requests that a deployment loses.
    retries 0
    retry-on none
    http-reuse safe
    # The idle timeout of an ALB is 60 s; the application keeps connections longer than that.
    timeout client {idle}s
    timeout http-request {idle}s
    timeout http-keep-alive {idle}s
    timeout server {idle}s
    timeout tunnel {idle}s
    timeout connect 10s
    timeout queue 1s
{errors}

frontend listener
    bind :{port}
    acl forwarded req.hdr(X-Forwarded-For) -m found
    http-request set-header X-Forwarded-For "%[req.hdr(X-Forwarded-For)], %[src]" if forwarded
    http-request set-header X-Forwarded-For "%[src]" unless forwarded
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Port 80
    # Root=1-<seconds, 8 hex digits>-<24 hex digits>. A Root in the request is kept, with a Self before it.
    acl traced req.hdr(X-Amzn-Trace-Id) -m sub Root=
    http-request set-header X-Amzn-Trace-Id "Self={trace};%[req.hdr(X-Amzn-Trace-Id)]" if traced
    http-request set-header X-Amzn-Trace-Id "Root={trace}" unless traced
    default_backend {backend}

backend {backend}
    balance roundrobin
    server-template slot {slots} 127.0.0.1:1 disabled
"""
LOG_FORMAT = "%ST %Tr %b/%s %ts %HM %HP"
"""Status, milliseconds from the request to the response's headers (-1: none), server, how the session ended, request.
https://docs.haproxy.org/3.0/configuration.html#8.2.6"""
#: The Server header distinguishes an ALB's own responses from those of a target.
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
_SERVER = "awselb/2.0"
_ERRORS = {400: "Bad Request", 502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
_TRACE = "1-%[date,hex,bytes(8,8),lower]-%[uuid(4),regsub(-,,g),bytes(0,24)]"


class CommandError(RuntimeError):
    """HAProxy cannot be reached."""


class ServerState(enum.StrEnum):
    """Administrative state of a server in HAProxy's runtime API."""

    READY = "ready"
    DRAIN = "drain"
    MAINTENANCE = "maint"


#: Of ``srv_admin_state``: https://docs.haproxy.org/3.0/management.html#9.3-show%20servers%20state
_MAINTENANCE_FLAGS = 0x01 | 0x02 | 0x20
_DRAIN_FLAGS = 0x08 | 0x10


@dataclasses.dataclass(frozen=True)
class Server:
    """A server of the backend: where HAProxy sends requests to."""

    name: str
    target: Target
    state: ServerState
    unchanged: int
    """Seconds since its state changed."""

    @property
    def path(self) -> str:
        return f"{BACKEND}/{self.name}"

    def set_state(self, state: ServerState) -> str:
        return f"set server {self.path} state {state}"

    def set_target(self, target: Target) -> str:
        return f"set server {self.path} addr {target.address} port {target.port}"


class RuntimeApi:
    """HAProxy's admin socket, in a directory of this machine."""

    def __init__(self, directory: Path, *, timeout: float = 5.0) -> None:
        self._directory = directory
        self._timeout = timeout

    def run(self, *commands: str) -> str:
        """Run commands one after the other and return their output; most have none when they succeed.

        Raises:
            CommandError: the socket cannot be used.
        """
        try:
            # The path of a Unix socket has at most 107 bytes; a path through a file descriptor is always short.
            with _open_directory(self._directory) as path, socket.socket(socket.AF_UNIX) as client:
                client.settimeout(self._timeout)
                client.connect(f"{path}/{SOCKET}")
                client.sendall((";".join(commands) + "\n").encode())
                answer = b"".join(iter(lambda: client.recv(65536), b""))
        except OSError as error:
            raise CommandError(f"HAProxy's runtime API does not answer: {error}") from error
        return answer.decode()

    def follow(self) -> Iterator[str]:
        """Yield each new line of the log until HAProxy ends.

        Raises:
            CommandError: the socket cannot be used.
        """
        try:
            with _open_directory(self._directory) as path, socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{path}/{SOCKET}")
                client.sendall(f"show events {RING} -w -n\n".encode())
                with client.makefile(encoding="utf-8", errors="replace") as lines:
                    yield from lines
        except OSError as error:
            raise CommandError(f"HAProxy's log cannot be read: {error}") from error

    def servers(self) -> list[Server]:
        """Return the backend's servers as they are now.

        Raises:
            CommandError: the socket cannot be used.
        """
        _version, header, *rows = self.run(f"show servers state {BACKEND}").strip().splitlines()
        names = header.removeprefix("# ").split()
        return [_server(dict(zip(names, row.split(), strict=True))) for row in rows]


def _server(row: dict[str, str]) -> Server:
    flags = int(row["srv_admin_state"])
    state = ServerState.DRAIN if flags & _DRAIN_FLAGS else ServerState.READY
    return Server(
        name=row["srv_name"],
        target=Target(row["srv_addr"], int(row["srv_port"])),
        state=ServerState.MAINTENANCE if flags & _MAINTENANCE_FLAGS else state,
        unchanged=int(row["srv_time_since_last_change"]),
    )


@contextlib.contextmanager
def _open_directory(path: Path) -> Iterator[str]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def render(directory: str, *, idle_seconds: int = 60) -> str:
    """Return the configuration; ``directory`` is the path of the socket's directory in the container."""
    return _TEMPLATE.format(
        directory=directory,
        socket=SOCKET,
        ring=RING,
        log_format=LOG_FORMAT,
        idle=idle_seconds,
        errors="\n".join(
            f'    http-error status {status} content-type text/html string "<h1>{status} {reason}</h1>"'
            f" hdr Server {_SERVER}"
            for status, reason in _ERRORS.items()
        ),
        port=PORT,
        trace=_TRACE,
        backend=BACKEND,
        slots=SLOTS,
    )
