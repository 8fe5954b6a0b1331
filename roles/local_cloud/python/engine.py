"""The container engine: use the Docker that runs, start the one that is installed, install the distribution's.

What we start we stop again: a record names the daemon's process.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from roles.local_cloud.python.commands import Progress, last_lines, run
from roles.local_cloud.python.errors import LocalCloudError

SOCKET = Path("/var/run/docker.sock")
#: Of the machine, not of a checkout: any checkout's `make down` may be the one that ends the daemon.
RECORD = Path("/run/settlement-local/dockerd.json")
LOG = Path("/var/log/settlement-local-dockerd.log")
CPU_SHARES = Path("/sys/fs/cgroup/cpu/docker/cpu.shares")
"""Of all containers together, with cgroup v1 and no systemd that gives the engine a slice. A process has 1,024."""
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class Reachable(Enum):
    """What the daemon's socket says."""

    YES = "yes"
    DENIED = "denied"
    NO = "no"


class Decision(Enum):
    """How to get a running engine."""

    USE = "use it"
    START = "start it"
    INSTALL = "install and start it"


@dataclass(frozen=True)
class Host:
    """What the decision depends on."""

    system: str
    distribution: frozenset[str]
    root: bool
    user: str
    systemd: bool
    installed: bool
    remote: str = ""

    @property
    def debian_like(self) -> bool:
        return bool(self.distribution & {"debian", "ubuntu"})


def read_os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """os-release(5) as a mapping; empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}


def observe(environment: Mapping[str, str] = os.environ) -> Host:
    """Look at this machine."""
    release = read_os_release()
    endpoint = environment.get("DOCKER_HOST", "")
    return Host(
        system=platform.system(),
        distribution=frozenset([release.get("ID", ""), *release.get("ID_LIKE", "").split()]),
        root=os.geteuid() == 0,
        user=getpass.getuser(),
        systemd=Path("/run/systemd/system").is_dir(),
        installed=shutil.which("dockerd", path=os.defpath + ":/usr/sbin:/sbin:/usr/local/sbin") is not None
        or shutil.which("dockerd") is not None,
        remote="" if endpoint in ("", f"unix://{SOCKET}", "unix:///run/docker.sock") else endpoint,
    )


def probe() -> Reachable:
    """Does a daemon answer on its socket, and may we speak to it?

    Its API is asked: a daemon that is starting accepts connections before it knows that it can run.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        try:
            client.connect(str(SOCKET))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            answer = client.recv(64)
        except PermissionError:
            return Reachable.DENIED
        except OSError:
            return Reachable.NO
    return Reachable.YES if b" 200 " in answer else Reachable.NO


def decide(host: Host, reachable: Reachable) -> Decision:
    """What to do for a running engine.

    Raises:
        LocalCloudError: there can be none here; the message is one sentence with the next command.
    """
    if host.system != "Linux":
        raise LocalCloudError(
            f"The local environment needs Linux, where the host reaches the containers' addresses; this is "
            f"{host.system}. Run it in a Linux virtual machine (macOS: `limactl start`; Windows: `wsl --install`)."
        )
    if host.remote:
        raise LocalCloudError(
            f"DOCKER_HOST is {host.remote}, but the local environment needs this machine's own engine on {SOCKET}. "
            f"Next: `unset DOCKER_HOST`."
        )
    if reachable is Reachable.YES:
        return Decision.USE
    if reachable is Reachable.DENIED:
        raise LocalCloudError(
            f"Docker runs, but {host.user} may not use {SOCKET}. "
            f"Next: `sudo usermod -aG docker {host.user}`, then log in again."
        )
    if host.installed and host.root:
        return Decision.START
    if host.installed:
        start = "systemctl start docker" if host.systemd else "dockerd"
        raise LocalCloudError(f"Docker is installed but not running, and only root can start it. Next: `sudo {start}`.")
    if host.debian_like and host.root:
        return Decision.INSTALL
    if host.debian_like:
        raise LocalCloudError(
            "Docker is not installed, and only root can install it. Next: `sudo apt-get install docker.io`."
        )
    raise LocalCloudError(
        "Docker is not installed. Next: install Docker Engine (https://docs.docker.com/engine/install/), start it, "
        "and run the same command again."
    )


def install_packages(packages: Sequence[str], progress: Progress) -> None:
    """Install from the distribution, without a question.

    Raises:
        CommandError: apt-get failed.
    """
    names = ", ".join(packages)
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    progress(f"installing {names} from the distribution")
    # An installation that was interrupted has to be finished first.
    run(["dpkg", "--configure", "-a"], what="dpkg --configure -a", progress=progress, environment=environment)
    run(["apt-get", "update", "-q"], what="apt-get update", progress=progress, environment=environment)
    command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]
    run(command, what=f"installing {names}", progress=progress, environment=environment)


def engine_packages() -> list[str]:
    """``docker.io``, and its command where the distribution packs that apart (Debian 13)."""
    policy = subprocess.run(["apt-cache", "policy", "docker-cli"], capture_output=True, text=True, check=False).stdout
    return (
        ["docker.io", "docker-cli"] if "Candidate: " in policy and "Candidate: (none)" not in policy else ["docker.io"]
    )


def start(host: Host, progress: Progress, command: Sequence[str] = ("dockerd",)) -> subprocess.Popen[bytes] | None:
    """Start the daemon, wait until it answers, and leave a record that it is ours.

    Returns its process, which goes on without this one; None when systemd has it.

    Raises:
        LocalCloudError: it ended or did not answer in time; the message has its last log lines.
    """
    progress("starting the Docker daemon")
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    if host.systemd:
        run(["systemctl", "start", "docker"], what="systemctl start docker", progress=progress)
        RECORD.write_text(json.dumps({"systemd": True}))
        _wait_for_socket(None)
        return None
    with LOG.open("ab") as log:
        # Its limits are left alone: raising RLIMIT_NOFILE fails in a nested or restricted host.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd="/"
        )
    RECORD.write_text(json.dumps({"pid": process.pid, "start_time": process_start_time(process.pid)}))
    try:
        _wait_for_socket(process)
    except LocalCloudError:
        process.terminate()
        RECORD.unlink()
        raise
    weigh_containers()
    return process


def weigh_containers() -> None:
    """Let the containers have their part of a busy machine.

    Without a slice of systemd's they all together weigh as much as one process: tasks would miss their health checks
    as soon as a dozen compilers run. A kernel that has no such file, or forbids it, leaves them as they are.
    """
    if (CPU_SHARES.parents[1] / "cgroup.procs").is_file():
        with contextlib.suppress(OSError):
            CPU_SHARES.parent.mkdir(exist_ok=True)
            CPU_SHARES.write_text("8192\n")


def stop_if_ours(progress: Progress) -> bool:
    """Stop the daemon if `start` started it. Returns whether it did.

    Raises:
        LocalCloudError: it did not end in time.
    """
    try:
        record = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return False
    if record.get("systemd"):
        progress("stopping the Docker daemon, which this environment had started")
        run(["systemctl", "stop", "docker.service", "docker.socket"], what="systemctl stop docker", progress=progress)
        RECORD.unlink()
        return True
    pid = int(record["pid"])
    if process_start_time(pid) != record["start_time"]:
        RECORD.unlink()  # the machine was restarted, or somebody else ended it
        return False
    progress("stopping the Docker daemon, which this environment had started")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while process_start_time(pid) is not None:
        if time.monotonic() > deadline:
            raise LocalCloudError(f"dockerd (pid {pid}) did not end within {STOP_SECONDS:.0f} s; see {LOG}.")
        time.sleep(0.1)
    RECORD.unlink()
    return True


def is_ours() -> bool:
    """Is there a record of a daemon that this environment started?"""
    return RECORD.exists()


def process_start_time(pid: int) -> str | None:
    """When the process started, in clock ticks since boot, which with the pid names one process; None when it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _wait_for_socket(process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if probe() is Reachable.YES:
            return
        if process is not None and process.poll() is not None:
            raise LocalCloudError(f"dockerd ended with {process.returncode}; {LOG} ends with:\n{_log_tail()}")
        time.sleep(0.2)
    raise LocalCloudError(f"dockerd did not answer within {START_SECONDS:.0f} s; {LOG} ends with:\n{_log_tail()}")


def _log_tail() -> str:
    return last_lines(LOG.read_text(errors="replace")) if LOG.exists() else "  (no log; see `journalctl -u docker`)"
