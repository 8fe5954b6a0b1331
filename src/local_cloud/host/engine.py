"""The container engine: use a running Docker, else start an installed one, else install the distribution's.

An environment stops a daemon that it started: a record beside its folder names the daemon's process.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from local_cloud.host.commands import Progress, last_lines, run
from local_cloud.host.errors import LocalCloudError

SOCKET = Path("/var/run/docker.sock")
CPU_SHARES = Path("/sys/fs/cgroup/cpu/docker/cpu.shares")
"""The CPU shares of all containers together, with cgroup v1 and without systemd's slice. A process has 1,024."""
START_SECONDS = 60.0
STOP_SECONDS = 30.0


class Reachable(Enum):
    """The state of the daemon's socket."""

    YES = "yes"
    DENIED = "denied"
    NO = "no"


class Decision(Enum):
    """The way to a running engine."""

    USE = "use it"
    START = "start it"
    INSTALL = "install and start it"


@dataclass(frozen=True)
class Host:
    """The facts about this machine that decide the way to a running engine."""

    distribution: frozenset[str]
    root: bool
    user: str
    systemd: bool
    installed: bool

    @property
    def debian_like(self) -> bool:
        return bool(self.distribution & {"debian", "ubuntu"})


def read_os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """Return os-release(5) as a mapping, empty if the file does not exist."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}


def observe() -> Host:
    """Read the facts about this machine."""
    release = read_os_release()
    return Host(
        distribution=frozenset([release.get("ID", ""), *release.get("ID_LIKE", "").split()]),
        root=os.geteuid() == 0,
        user=user_name(),
        systemd=Path("/run/systemd/system").is_dir(),
        installed=shutil.which("dockerd", path=os.defpath + ":/usr/sbin:/sbin:/usr/local/sbin") is not None
        or shutil.which("dockerd") is not None,
    )


def user_name() -> str:
    """Return the name of this process's user, or an empty string if its uid has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def need_linux(system: str) -> None:
    """Raise LocalCloudError if `system` (a name of `platform.system`) is not Linux."""
    if system != "Linux":
        raise LocalCloudError(
            f"The local environment needs Linux, where the host reaches the containers' addresses; this is "
            f"{system}. Run it in a Linux virtual machine (macOS: `limactl start`; Windows: `wsl --install`)."
        )


def probe() -> Reachable:
    """Return whether a daemon answers on its socket, and whether this process may use it.

    The check calls the API, because a starting daemon accepts connections before it has succeeded.
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
    """Choose the way to a running engine.

    Raises:
        LocalCloudError: there is none on this machine. The message names the next command.
    """
    if reachable is Reachable.YES:
        return Decision.USE
    if reachable is Reachable.DENIED and not host.user:
        raise LocalCloudError(
            f"Docker runs, but uid {os.geteuid()} may not use {SOCKET}. Next: start this process in the socket's group "
            f"(`stat -c %g {SOCKET}` shows it; of a container: `docker run --group-add`)."
        )
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


def as_root() -> tuple[str, ...] | None:
    """Return what precedes a command that needs root: nothing as root, ``sudo -n`` if sudo needs no password.

    None: this user needs a password, or may not use sudo.
    """
    if os.geteuid() == 0:
        return ()
    sudo = ("sudo", "-n")
    allowed = shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0
    return sudo if allowed else None


def install_packages(packages: Sequence[str], progress: Progress, *, if_known: Sequence[str] = ()) -> None:
    """Install `packages` from the distribution without prompts, and those of `if_known` that the distribution has.

    Raises:
        LocalCloudError: this user cannot install packages here. The message names the next command.
        CommandError: apt-get failed.
    """
    missing = " and ".join([", ".join(packages[:-1]), packages[-1]] if packages[1:] else packages)
    if not shutil.which("apt-get"):
        raise LocalCloudError(f"Not installed: {missing}. Next: install it, and run the same command again.")
    prefix = as_root()
    if prefix is None:
        raise LocalCloudError(
            f"Not installed: {missing}. Only root can install it, and sudo needs a password here. "
            f"Next: `sudo apt-get install {' '.join(packages)}`, and the same command again."
        )
    prefix = (*prefix, "env", "DEBIAN_FRONTEND=noninteractive")
    # An interrupted installation must be completed first.
    run([*prefix, "dpkg", "--configure", "-a"], what="dpkg --configure -a", progress=progress)
    run([*prefix, "apt-get", "update", "-q"], what="apt-get update", progress=progress)
    chosen = [*packages, *filter(_is_available, if_known)]
    names = ", ".join(chosen)
    progress(f"installing {names} from the distribution")
    command = [*prefix, "apt-get", "install", "-q", "-y", "--no-install-recommends", *chosen]
    run(command, what=f"installing {names}", progress=progress)


def install(progress: Progress) -> None:
    """Install the engine, and its command if that is a separate package (Debian 13)."""
    install_packages(["docker.io"], progress, if_known=["docker-cli"])


def _is_available(package: str) -> bool:
    """Return whether apt's lists, which must exist, have a version of `package`."""
    policy = subprocess.run(
        ["apt-cache", "policy", package], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    return "Candidate: " in policy.stdout and "Candidate: (none)" not in policy.stdout


@dataclass(frozen=True)
class Daemon:
    """Starts and stops the Docker daemon for one environment.

    `folder` is the environment's own. Record and log are beside it, so that they exist as long as the daemon runs. An
    environment stops only a daemon that it started.
    """

    folder: Path

    @property
    def record(self) -> Path:
        return self.folder.with_suffix(".dockerd.json")

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".dockerd.log")

    def start(
        self, host: Host, progress: Progress, command: Sequence[str] = ("dockerd",)
    ) -> subprocess.Popen[bytes] | None:
        """Start the daemon, wait until it answers, and record that this environment started it.

        Return its process, which outlives this one, or None if systemd runs it.

        Raises:
            LocalCloudError: it ended or did not answer in time. The message has its last log lines.
        """
        progress("starting the Docker daemon")
        self.record.parent.mkdir(parents=True, exist_ok=True)
        if host.systemd:
            run(["systemctl", "start", "docker"], what="systemctl start docker", progress=progress)
            self._wait_for_socket(None)
            show = ["systemctl", "show", "--property=MainPID", "--value", "docker"]
            pid = int(subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip() or 0)
            self._write(pid, systemd=True)
            return None
        with self.log.open("ab") as log:
            # Its limits do not change: raising RLIMIT_NOFILE fails on a nested or restricted host.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd="/"
            )
        self._write(process.pid, systemd=False)
        try:
            self._wait_for_socket(process)
        except LocalCloudError:
            process.terminate()
            self.record.unlink()
            raise
        set_cpu_shares()
        return process

    def stop(self, progress: Progress) -> bool:
        """Stop the daemon if this environment started it. Return whether it was stopped.

        Raises:
            LocalCloudError: it did not end in time.
        """
        running = self.is_ours()
        if running:
            record = json.loads(self.record.read_text())
            progress("stopping the Docker daemon, which this environment had started")
            if record["systemd"]:
                stop = ["systemctl", "stop", "docker.service", "docker.socket"]
                run(stop, what="systemctl stop docker", progress=progress)
            else:
                self._terminate(record["pid"])
        self.record.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        return running

    def is_ours(self) -> bool:
        """Return whether this environment started the running daemon. A restart of either ends that."""
        try:
            record = json.loads(self.record.read_text())
            return record["start_time"] is not None and bool(process_start_time(record["pid"]) == record["start_time"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _write(self, pid: int, *, systemd: bool) -> None:
        self.record.write_text(
            json.dumps({"pid": pid, "start_time": process_start_time(pid), "systemd": systemd}) + "\n"
        )

    def _terminate(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while process_start_time(pid) is not None:
            if time.monotonic() > deadline:
                raise LocalCloudError(f"dockerd (pid {pid}) did not end within {STOP_SECONDS:.0f} s; see {self.log}.")
            time.sleep(0.1)

    def _wait_for_socket(self, process: subprocess.Popen[bytes] | None) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if probe() is Reachable.YES:
                return
            if process is not None and process.poll() is not None:
                raise LocalCloudError(f"dockerd ended with {process.returncode}; {self.log} ends with:\n{self._tail()}")
            time.sleep(0.2)
        raise LocalCloudError(
            f"dockerd did not answer within {START_SECONDS:.0f} s; {self.log} ends with:\n{self._tail()}"
        )

    def _tail(self) -> str:
        if self.log.exists():
            return last_lines(self.log.read_text(errors="replace"))
        return "  (no log; see `journalctl -u docker`)"


def set_cpu_shares() -> None:
    """Give the containers enough CPU shares on a busy machine.

    Without systemd's slice, all containers together have the shares of one process, and tasks would miss their health
    checks beside a dozen compilers. Nothing changes if the kernel has no such file or forbids writing it.
    """
    if (CPU_SHARES.parents[1] / "cgroup.procs").is_file():
        with contextlib.suppress(OSError):
            CPU_SHARES.parent.mkdir(exist_ok=True)
            CPU_SHARES.write_text("8192\n")


def process_start_time(pid: int) -> str | None:
    """Return when the process started, in clock ticks since boot, or None if it ended. Pids are reused."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
