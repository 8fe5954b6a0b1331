"""HAProxy's configuration, its runtime API and its master's.

https://docs.haproxy.org/3.0/configuration.html, https://docs.haproxy.org/3.0/management.html#9.3,
https://docs.haproxy.org/3.0/management.html#9.4
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import hashlib
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from local_cloud.elbv2.ssl_policies import Policy
from local_cloud.elbv2.targets import Target

SLOTS = 64
"""The largest number of a group's targets at the same time, including draining ones."""
DRAWS = 1_000_000
"""A request that one of several groups may get draws a number below this one."""
_UNSERVED = "unserved"
"""The backend without servers: it answers 503."""
_MAP = "weights.map"
PORTS = {80: 8080, 443: 8443}
"""Port inside the container for each port of a listener; an unprivileged process may bind it."""
SOCKET = "admin.sock"
RING = "requests"
"""HAProxy's buffer of its newest log lines, each `LOG_FORMAT`."""
MASTER_SOCKET = "master.sock"
RELOAD_SECONDS = 60.0
"""How long the master may take to start a new process."""

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
    # After a reload, the old process may take this long to finish its requests.
    hard-stop-after 60s
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

{frontends}

backend {unserved}

{backends}
"""
_BACKEND = """\
backend {name}
    balance roundrobin
{servers}
"""
_FRONTEND = """\
frontend listener-{port}
    bind :{bind}{tls}
{responses}
    # Appended: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
    acl forwarded req.fhdr(X-Forwarded-For) -m found
    http-request set-header X-Forwarded-For "%[req.fhdr(X-Forwarded-For)], %[src]" if forwarded
    http-request set-header X-Forwarded-For "%[src]" unless forwarded
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Port {port}
    # Root=1-<seconds, 8 hex digits>-<24 hex digits>. A Root in the request is kept, with a Self before it.
    acl traced req.hdr(X-Amzn-Trace-Id) -m sub Root=
    http-request set-header X-Amzn-Trace-Id "Self={trace};%[req.hdr(X-Amzn-Trace-Id)]" if traced
    http-request set-header X-Amzn-Trace-Id "Root={trace}" unless traced
{choices}
"""
LOG_FORMAT = "%ST %Tr %b/%s %ts %HM %HP"
"""Status, milliseconds from the request to the response's headers (-1: none), server, how the session ended, request.
https://docs.haproxy.org/3.0/configuration.html#8.2.6"""
#: The Server header distinguishes an ALB's own responses from those of a target.
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
_SERVER = "awselb/2.0"
_ERRORS = {400: "Bad Request", 502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
_MOVED = {301: "Moved Permanently", 302: "Found"}
_STOPPED = re.compile(r"Proxy \S+ stopped ")
"""Matches what a process logs when a reload replaces it. It would not end while its log is read."""
_TRACE = "1-%[date,hex,bytes(8,8),lower]-%[uuid(4),regsub(-,,g),bytes(0,24)]"


@dataclasses.dataclass(frozen=True)
class Tls:
    """How a listener serves HTTPS. ``certificate``: PEM of the certificate, its key and its chain."""

    certificate: str
    policy: Policy

    @property
    def file(self) -> str:
        """The name of the certificate's file in HAProxy's directory."""
        return f"{hashlib.sha256(self.certificate.encode()).hexdigest()[:16]}.pem"


@dataclasses.dataclass(frozen=True)
class Redirect:
    """A redirect to ``origin``, for example ``https://%[req.hdr(host),host_only]:443``, with the request's path."""

    status: int
    origin: str


@dataclasses.dataclass(frozen=True)
class FixedResponse:
    status: int
    content_type: str
    body: str


@dataclasses.dataclass(frozen=True)
class Forward:
    """The backends that may get a request, each with the key of its threshold; the key of a single one is empty."""

    backends: Mapping[str, str] = dataclasses.field(default_factory=dict)


Action = Forward | Redirect | FixedResponse


@dataclasses.dataclass(frozen=True)
class Rule:
    """What is done with a request that meets all conditions, which are HAProxy's."""

    conditions: tuple[str, ...]
    action: Action


@dataclasses.dataclass(frozen=True)
class Frontend:
    """A listener: its port, how it is served, and its rules in their order, before its default action."""

    port: int
    tls: Tls | None = None
    default: Action = Forward()
    rules: tuple[Rule, ...] = ()


@dataclasses.dataclass(frozen=True)
class Settings:
    """What only a reload changes: the listeners, the load balancer's idle timeout and the backends' names.

    ``thresholds`` are the exception: the runtime API changes them and disturbs no request. A weighted group gets the
    requests whose number is below its own and not below the one before.
    """

    frontends: tuple[Frontend, ...] = (Frontend(80),)
    idle_seconds: int = 60
    backends: tuple[str, ...] = ()
    thresholds: Mapping[str, int] = dataclasses.field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        ports = ", ".join(str(frontend.port) for frontend in self.frontends)
        return f"port {ports}, idle timeout {self.idle_seconds} s, {len(self.backends)} target groups"


def backend_of(group: str) -> str:
    """Return the backend's name of a target group."""
    return f"group-{hashlib.sha256(group.encode()).hexdigest()[:12]}"


def set_thresholds(inside: str, thresholds: Mapping[str, int]) -> list[str]:
    """Return the commands that change thresholds; ``inside`` is HAProxy's directory in the container."""
    return [f"set map {inside}/{_MAP} {key} {number}" for key, number in thresholds.items()]


class CommandError(RuntimeError):
    """HAProxy cannot be reached, or refuses its configuration."""


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
    """A server of a backend: where HAProxy sends requests to."""

    backend: str
    name: str
    target: Target
    state: ServerState
    unchanged: int
    """Seconds since its state changed."""

    @property
    def path(self) -> str:
        return f"{self.backend}/{self.name}"

    def set_state(self, state: ServerState) -> str:
        return f"set server {self.path} state {state}"

    def set_target(self, target: Target) -> str:
        return f"set server {self.path} addr {target.address} port {target.port}"


class RuntimeApi:
    """A socket of HAProxy in a directory of this machine: of the serving process, or of the master."""

    def __init__(self, directory: Path, name: str = SOCKET, *, timeout: float = 5.0) -> None:
        self._directory = directory
        self._name = name
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
                client.connect(f"{path}/{self._name}")
                client.sendall((";".join(commands) + "\n").encode())
                answer = b"".join(iter(lambda: client.recv(65536), b""))
        except OSError as error:
            raise CommandError(f"HAProxy's runtime API does not answer: {error}") from error
        return answer.decode()

    def change(self, *commands: str) -> None:
        """Run commands that print nothing when they succeed.

        Raises:
            CommandError: the socket cannot be used, or a command is refused.
        """
        if refusal := self.run(*commands).strip():
            raise CommandError(f"HAProxy refuses {'; '.join(commands)}: {refusal}")

    def follow(self) -> Iterator[str]:
        """Yield each new line of the log until HAProxy ends or is reloaded.

        Raises:
            CommandError: the socket cannot be used.
        """
        try:
            with _open_directory(self._directory) as path, socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{path}/{self._name}")
                client.sendall(f"show events {RING} -w -n\n".encode())
                with client.makefile(encoding="utf-8", errors="replace") as lines:
                    for line in lines:
                        if _STOPPED.match(line):
                            return
                        yield line
        except OSError as error:
            raise CommandError(f"HAProxy's log cannot be read: {error}") from error

    def servers(self) -> list[Server]:
        """Return all backends' servers as they are now.

        Raises:
            CommandError: the socket cannot be used.
        """
        _version, header, *rows = self.run("show servers state").strip().splitlines()
        names = header.removeprefix("# ").split()
        return [_server(dict(zip(names, row.split(), strict=True))) for row in rows]


def _server(row: dict[str, str]) -> Server:
    flags = int(row["srv_admin_state"])
    state = ServerState.DRAIN if flags & _DRAIN_FLAGS else ServerState.READY
    return Server(
        backend=row["be_name"],
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


def reload(directory: Path) -> None:
    """Let HAProxy read its configuration again. A new process accepts connections, the old one finishes its own.

    Raises:
        CommandError: the configuration is refused, and the old one stays in force.
    """
    answer = RuntimeApi(directory, MASTER_SOCKET, timeout=RELOAD_SECONDS).run("reload")
    if "Success=1" not in answer:
        raise CommandError(f"HAProxy does not accept the listeners: {answer.strip()}")


def write(directory: Path, inside: str, settings: Settings, servers: Iterable[Server]) -> None:
    """Write the configuration, its map and the certificates to ``directory``, which is ``inside`` in the container.

    ``servers`` has the servers as they are now; a new process gives requests to those that are ready.
    """
    for frontend in settings.frontends:
        if frontend.tls is not None:
            path = directory / frontend.tls.file
            path.touch(mode=0o600)
            path.write_text(frontend.tls.certificate, encoding="utf-8")
    lines = [f"{key} {number}\n" for key, number in settings.thresholds.items()]
    (directory / _MAP).write_text("".join(lines), encoding="utf-8")
    (directory / "haproxy.cfg").write_text(render(inside, settings, servers), encoding="utf-8")


def render(directory: str, settings: Settings, servers: Iterable[Server]) -> str:
    """Return the configuration; ``directory`` is the path of the sockets' directory in the container."""
    return _TEMPLATE.format(
        directory=directory,
        socket=SOCKET,
        ring=RING,
        log_format=LOG_FORMAT,
        idle=settings.idle_seconds,
        errors="\n".join(
            f'    http-error status {status} content-type text/html string "<h1>{status} {reason}</h1>"'
            f" hdr Server {_SERVER}"
            for status, reason in _ERRORS.items()
        ),
        frontends="\n".join(_frontend(directory, frontend) for frontend in settings.frontends),
        unserved=_UNSERVED,
        backends="\n".join(_backends(settings.backends, servers)),
    )


def _frontend(directory: str, frontend: Frontend) -> str:
    tls = frontend.tls
    return _FRONTEND.format(
        port=frontend.port,
        bind=PORTS[frontend.port],
        tls=f" ssl crt {directory}/{tls.file} {_tls(tls.policy)}" if tls else "",
        responses="\n".join(f"    {line}" for line in _responses(frontend)),
        scheme="https" if tls else "http",
        trace=_TRACE,
        choices="\n".join(f"    {line}" for line in _choices(directory, frontend)),
    )


def _actions(frontend: Frontend) -> Iterator[tuple[str, Action]]:
    """Yield the actions, each with HAProxy's condition for it; that of a listener without rules is empty."""
    for number, rule in enumerate(frontend.rules, 1):
        yield f"{{ var(txn.rule) -m int {number} }}", rule.action
    yield "!{ var(txn.rule) -m found }" if frontend.rules else "", frontend.default


def _responses(frontend: Frontend) -> Iterator[str]:
    """Yield the lines that find a request's rule, and those of the actions that answer it."""
    for number, rule in enumerate(frontend.rules, 1):
        conditions = " ".join(["!{ var(txn.rule) -m found }", *(f"{{ {one} }}" for one in rule.conditions)])
        yield f"http-request set-var(txn.rule) int({number}) if {conditions}"
    for condition, action in _actions(frontend):
        answer = ""
        if isinstance(action, Redirect):
            answer = (
                f'status {action.status} hdr Server {_SERVER} hdr Location "{action.origin}%[pathq]"'
                f' content-type text/html string "<h1>{action.status} {_MOVED[action.status]}</h1>"'
            )
        elif isinstance(action, FixedResponse):
            answer = (
                f"status {action.status} hdr Server {_SERVER} content-type {_quoted(action.content_type)}"
                f" string {_quoted(action.body)}"
            )
        if answer:
            yield f"http-request return {answer}{_if(condition)}"


def _choices(directory: str, frontend: Frontend) -> Iterator[str]:
    """Yield the lines that choose a request's backend."""
    forwards = [(condition, action) for condition, action in _actions(frontend) if isinstance(action, Forward)]
    keys = [key for _, action in forwards for key in action.backends.values() if key]
    if keys:
        yield f"http-request set-var(txn.draw) rand({DRAWS})"
    for key in keys:
        yield f"http-request set-var(txn.{key}) str({key}),map_str_int({directory}/{_MAP},0)"
    for condition, action in forwards:
        for backend, key in action.backends.items():
            drawn = f"{{ var(txn.draw),sub(txn.{key}) -m int lt 0 }}" if key else ""
            yield f"use_backend {backend}{_if(condition, drawn)}"
    yield f"default_backend {_UNSERVED}"


def _if(*conditions: str) -> str:
    found = " ".join(filter(None, conditions))
    return f" if {found}" if found else ""


def _quoted(text: str) -> str:
    """Quote a text for HAProxy, whose single quotes have no escape."""
    return "'" + text.replace("'", "'\\''") + "'"


def _tls(policy: Policy) -> str:
    new = [cipher for cipher in policy.ciphers if cipher.startswith("TLS_")]
    old = [cipher for cipher in policy.ciphers if cipher not in new]
    words = ["alpn h2,http/1.1", f"ssl-min-ver {policy.lowest}", f"ssl-max-ver {policy.highest}"]
    if new:
        words.append(f"ciphersuites {':'.join(new)}")
    if old:
        # By default OpenSSL forbids the protocols before TLS 1.2, whatever the range says.
        words.append(f"ciphers {':'.join(old)}{'' if policy.lowest >= 'TLSv1.2' else ':@SECLEVEL=0'}")
    return " ".join(words)


def _backends(names: Iterable[str], present: Iterable[Server]) -> Iterator[str]:
    known = {server.path: server for server in present}
    for name in names:
        yield _BACKEND.format(name=name, servers="\n".join(_servers(name, known)))


def _servers(backend: str, known: Mapping[str, Server]) -> Iterator[str]:
    for name in (f"slot{number}" for number in range(1, SLOTS + 1)):
        server = known.get(f"{backend}/{name}")
        ready = server is not None and server.state is ServerState.READY
        address = f"{server.target.address}:{server.target.port}" if server else "127.0.0.1:1"
        yield f"    server {name} {address}{'' if ready else ' disabled'}"
