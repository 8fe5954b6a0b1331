"""Start a cloud in the background, stop it, and read its status."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from local_cloud.core.config import CloudConfig
from local_cloud.core.emulator import EmulatorError
from local_cloud.core.ports import AddressError
from local_cloud.daemon.addresses import check_addresses
from local_cloud.elbv2.load_balancer import LoadBalancerError

_POLL_SECONDS = 0.1
_LOG_LINES = 30
_SWITCH_TIMEOUT_SECONDS = 10.0
HEALTH_PATH = "/_local/health"
"""Answers 503 until the cloud is ready, then 200. The body is a :class:`Health`."""
MINUTE_PATH = "/_local/minute"
"""GET and PUT: how many seconds a minute of alarms and scaling takes, see ``core/pace.py``. The body is one number."""
GIB_PATH = "/_local/gib"
"""GET and PUT: how many bytes a GiB of database storage takes, see ``core/storage.py``. The body is one number."""
CAPACITY_PATH = "/_local/capacity"
"""GET and PUT: whether Fargate can start another task, see ``ecs/capacity.py``. The body is ``true`` or ``false``."""


class ControlError(RuntimeError):
    """The cloud did not start, or did not stop."""


CONTROL_ERRORS = (ControlError, AddressError, EmulatorError, LoadBalancerError)
"""Errors that the command line reports in one line, without a traceback."""


@dataclasses.dataclass(frozen=True)
class Health:
    """The answer of a running cloud's health endpoint."""

    status: str
    pid: int
    instance: str
    config_digest: str


def probe(config: CloudConfig, *, timeout: float = 2.0) -> Health | None:
    """Return the health of the cloud on the configured port, or None if no cloud answers there."""
    try:
        try:
            answer = _opener.open(config.api_url + HEALTH_PATH, timeout=timeout)
        except urllib.error.HTTPError as starting:  # a 503 has a body too, which may be late
            answer = starting
        with answer:
            return _parse_health(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return None


def detach(config: CloudConfig, config_file: Path, *, timeout: float) -> None:
    """Start the cloud in its own session and return when it is ready.

    A running cloud with the same configuration is not touched (``changed: false``). A running cloud with another
    configuration is restarted.

    Raises:
        ControlError: it ended or was not ready in time; the last log lines are in the message.
        AddressError: a port is taken.
    """
    pid = _settle_running(config, timeout=timeout)
    if pid is not None:
        _print({"changed": False, "pid": pid})
        return
    check_addresses(config)
    config.work_dir.mkdir(parents=True, exist_ok=True)
    with config.log_file.open("ab") as log:
        log_start = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "local_cloud.daemon", "--config", str(config_file)],
            env=_environment(config),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ControlError(
                f"the local cloud ended with status {process.returncode} while starting; "
                f"its log {config.log_file} ends with:\n{_log_tail(config.log_file, log_start)}"
            )
        health = probe(config)
        if health is not None and health.pid == process.pid and health.status == "ready":
            _print({"changed": True, "pid": process.pid})
            return
        time.sleep(_POLL_SECONDS)
    process.terminate()
    raise ControlError(
        f"the local cloud was not ready within {timeout:.0f} s and was stopped; "
        f"its log {config.log_file} ends with:\n{_log_tail(config.log_file, log_start)}"
    )


def _environment(config: CloudConfig) -> dict[str, str]:
    """Return the cloud's environment: without a play's variables and proxies, and with its own folders.

    The cloud and the functions that it starts connect only to this machine. The empty Docker configuration replaces
    ``~/.docker``: Docker's SDK would pass the proxies in ``config.json`` to the containers, and use its context.
    """
    configuration = config.work_dir / "docker" / "config.json"
    configuration.parent.mkdir(exist_ok=True)
    configuration.write_text("{}\n")
    temporary = config.work_dir / "tmp"
    temporary.mkdir(exist_ok=True)
    foreign = ("AWS_", "ANSIBLE_", "DOCKER_", "TF_")
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith("_proxy")
    }
    return {**inherited, "DOCKER_CONFIG": str(configuration.parent), "TMPDIR": str(temporary)}


def _settle_running(config: CloudConfig, *, timeout: float) -> int | None:
    """Return the pid of a cloud that already runs with this configuration. Stop one that runs with another."""
    deadline = time.monotonic() + timeout
    health = probe(config)
    while health is not None and health.instance == config.instance and health.config_digest == config.digest:
        if health.status == "ready":
            return health.pid
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)  # another caller is starting it
        health = probe(config)
    if health is not None and health.instance == config.instance:
        _terminate(health.pid, timeout=timeout)
    elif (pid := running_pid(config)) is not None:  # it does not answer, or listens on another port
        _terminate(pid, timeout=timeout)
    return None


def stop(config: CloudConfig, *, timeout: float) -> None:
    """Stop the cloud in the pid file, and wait until it has ended.

    Raises:
        ControlError: it did not end in time and was killed.
    """
    pid = running_pid(config)
    if pid is not None:
        _terminate(pid, timeout=timeout)
    config.pid_file.unlink(missing_ok=True)
    _print({"changed": pid is not None})


def status(config: CloudConfig) -> None:
    """Print ``{running, pid, status, current}``. ``current`` is false if the cloud's configuration differs."""
    health = probe(config)
    _print(
        {
            "running": health is not None,
            "pid": health.pid if health else running_pid(config),
            "status": health.status if health else None,
            "current": health is not None and health.config_digest == config.digest,
        }
    )


def switch(config: CloudConfig, path: str, value: Any) -> None:
    """Set what has this path on a running cloud, until the cloud ends. Print ``{changed, before}``.

    Raises:
        ControlError: no cloud answers, or it refused the value.
    """
    url = config.api_url + path
    try:
        with _opener.open(url, timeout=_SWITCH_TIMEOUT_SECONDS) as answer:
            before = json.loads(answer.read())
        request = urllib.request.Request(url, data=json.dumps(value).encode(), method="PUT")  # noqa: S310 - the cloud's own
        with _opener.open(request, timeout=_SWITCH_TIMEOUT_SECONDS):
            _print({"changed": before != value, "before": before})
    except urllib.error.HTTPError as refused:
        raise ControlError(f"the local cloud refused {value}: {refused.read().decode()}") from refused
    except OSError as error:
        raise ControlError(f"no local cloud answers at {config.api_url}: {error}") from error


def running_pid(config: CloudConfig) -> int | None:
    """Return the pid in the pid file if that process is a local cloud (pids are reused)."""
    try:
        pid = int(config.pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"local_cloud.daemon" in command else None


def _terminate(pid: int, *, timeout: float) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not _is_alive(pid):
            return
        time.sleep(_POLL_SECONDS)
    os.kill(pid, signal.SIGKILL)
    raise ControlError(f"the local cloud (pid {pid}) did not stop within {timeout:.0f} s and was killed")


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # a zombie has ended


def _log_tail(path: Path, start: int) -> str:
    with path.open("rb") as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:]) or "  (nothing)"


def _parse_health(body: bytes) -> Health | None:
    try:
        return Health(**json.loads(body))
    except (ValueError, TypeError):
        return None


def _print(document: dict[str, Any]) -> None:
    print(json.dumps(document))


# Without the environment's proxies: the cloud is always on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
