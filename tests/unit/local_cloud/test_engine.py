"""Which container engine, and what to say when there can be none."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from local_cloud.host import engine
from local_cloud.host.engine import Daemon, Decision, Host, Reachable
from local_cloud.host.errors import LocalCloudError

DEBIAN = frozenset({"debian"})
FEDORA = frozenset({"fedora"})


def host(
    *,
    distribution: frozenset[str] = DEBIAN,
    root: bool = True,
    user: str = "alice",
    systemd: bool = False,
    installed: bool = False,
) -> Host:
    return Host(distribution, root, user, systemd, installed)


@pytest.mark.parametrize(
    ("machine", "reachable", "decision"),
    [
        (host(installed=True), Reachable.YES, Decision.USE),
        (host(root=False, installed=True), Reachable.YES, Decision.USE),
        (host(distribution=FEDORA, installed=True), Reachable.NO, Decision.START),
        (host(installed=True), Reachable.NO, Decision.START),
        (host(), Reachable.NO, Decision.INSTALL),
        (host(distribution=frozenset({"linuxmint", "ubuntu"})), Reachable.NO, Decision.INSTALL),
    ],
)
def test_decide(machine: Host, reachable: Reachable, decision: Decision) -> None:
    assert engine.decide(machine, reachable) is decision


@pytest.mark.parametrize(
    ("machine", "reachable", "message"),
    [
        (host(root=False, installed=True), Reachable.DENIED, "alice may not use.*usermod -aG docker alice"),
        (
            host(root=False, user="", installed=True),
            Reachable.DENIED,
            r"uid \d+ may not use.*stat -c %g /var/run/docker.sock",
        ),
        (host(root=False, installed=True, systemd=True), Reachable.NO, "sudo systemctl start docker"),
        (host(root=False, installed=True), Reachable.NO, "sudo dockerd"),
        (host(root=False), Reachable.NO, "sudo apt-get install docker.io"),
        (host(distribution=FEDORA), Reachable.NO, "docs.docker.com/engine/install"),
    ],
)
def test_decide_refuses_with_the_next_command(machine: Host, reachable: Reachable, message: str) -> None:
    with pytest.raises(LocalCloudError, match=message):
        engine.decide(machine, reachable)


def test_another_system_is_refused() -> None:
    engine.need_linux("Linux")
    with pytest.raises(LocalCloudError, match=r"needs Linux.*Darwin.*limactl"):
        engine.need_linux("Darwin")


def test_a_user_without_an_entry_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    assert engine.observe().user == ""


APT = """#!/bin/sh
case "$0 $*" in
  *"apt-get update"*) touch "$LISTS" ;;
  *"apt-cache policy docker-cli"*) test -e "$LISTS" && test -n "$PACKED_APART" && echo "  Candidate: 26.1" ;;
  *"apt-get install"*) echo "$WAY $*" >> "$INSTALLED" ;;
esac
exit 0
"""
#: The password is needed when PASSWORD is set.
SUDO = """#!/bin/sh
test "$1" = -n && test -z "$PASSWORD" || exit 1
shift
WAY=sudo exec "$@"
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the distribution by programs that record in this file what they install, and how."""
    for name in ("dpkg", "apt-get", "apt-cache"):
        (tmp_path / name).write_text(APT)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("WAY", "directly")
    monkeypatch.setenv("LISTS", str(tmp_path / "lists"))
    monkeypatch.setenv("INSTALLED", str(tmp_path / "installed"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path / "installed"


@pytest.fixture
def sudo(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Become a user whom sudo asks for no password."""
    (installed.parent / "sudo").write_text(SUDO)
    (installed.parent / "sudo").chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)


@pytest.mark.parametrize(("packed_apart", "packages"), [("1", "docker.io docker-cli"), ("", "docker.io")])
def test_the_docker_command_is_installed_too_when_apts_lists_are_empty_at_first(
    installed: Path, monkeypatch: pytest.MonkeyPatch, packed_apart: str, packages: str
) -> None:
    monkeypatch.setenv("PACKED_APART", packed_apart)
    engine.install(lambda line: None)
    assert installed.read_text() == f"directly install -q -y --no-install-recommends {packages}\n"


def test_packages_are_installed_by_sudo_if_it_needs_no_password(installed: Path, sudo: None) -> None:
    engine.install_packages(["jq"], lambda line: None)
    assert installed.read_text() == "sudo install -q -y --no-install-recommends jq\n"


def test_a_user_who_cannot_install_gets_the_command(
    installed: Path, sudo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "needed")
    with pytest.raises(LocalCloudError, match=r"Not installed: jq and wrk.* Next: `sudo apt-get install jq wrk`"):
        engine.install_packages(["jq", "wrk"], lambda line: None)
    assert not installed.exists()


def test_another_distribution_is_named_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalCloudError, match=r"Not installed: jq\. Next: install it"):
        engine.install_packages(["jq"], lambda line: None)


def test_read_os_release(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n\nVERSION_CODENAME=bookworm\n')
    assert engine.read_os_release(path) == {
        "ID": "debian",
        "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)",
        "VERSION_CODENAME": "bookworm",
    }
    assert engine.read_os_release(tmp_path / "missing") == {}


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """The daemon of an environment whose folder, and whose socket, are the test's own."""
    monkeypatch.setattr(engine, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(engine, "CPU_SHARES", tmp_path / "docker" / "cpu.shares")
    return Daemon(tmp_path / "local" / "cloud")


DAEMON = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    client, _ = server.accept()
    client.recv(64)
    client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nOK")
    client.close()
"""


@pytest.mark.usefixtures("daemon")
def test_probe_wants_an_answer() -> None:
    assert engine.probe() is Reachable.NO
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(engine.SOCKET))
        assert engine.probe() is Reachable.NO, "nobody listens yet"


def test_what_an_environment_starts_it_stops_and_no_other_does(daemon: Daemon, tmp_path: Path) -> None:
    lines: list[str] = []
    process = daemon.start(host(installed=True), lines.append, [sys.executable, "-c", DAEMON, str(engine.SOCKET)])
    assert engine.probe() is Reachable.YES
    assert process is not None
    assert daemon.is_ours()

    other = Daemon(tmp_path / "other" / "cloud")
    assert not other.is_ours()
    assert not other.stop(lines.append)
    assert engine.probe() is Reachable.YES

    assert daemon.stop(lines.append)
    assert engine.process_start_time(process.pid) is None
    assert not daemon.is_ours()
    assert not list(daemon.folder.parent.iterdir())
    assert not daemon.stop(lines.append), "there is nothing left to stop"
    process.wait()


@pytest.mark.usefixtures("daemon")
def test_containers_weigh_more_than_one_process() -> None:
    engine.set_cpu_shares()
    assert not engine.CPU_SHARES.exists(), "no cgroup v1"
    (engine.CPU_SHARES.parents[1] / "cgroup.procs").touch()
    engine.set_cpu_shares()
    assert engine.CPU_SHARES.read_text() == "8192\n"


def test_a_daemon_that_ends_at_once_is_reported_with_its_log(daemon: Daemon) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('failed to mount cgroups')"]
    with pytest.raises(LocalCloudError, match=r"ended with 1(.|\n)*failed to mount cgroups"):
        daemon.start(host(installed=True), lambda line: None, failing)
    assert not daemon.is_ours()


@pytest.mark.parametrize("record", [{"pid": os.getpid(), "start_time": "1", "systemd": False}, {"systemd": True}, []])
def test_another_process_of_the_same_pid_is_left_alone(daemon: Daemon, record: object) -> None:
    daemon.record.parent.mkdir()
    daemon.record.write_text(json.dumps(record))
    assert not daemon.is_ours()
    assert not daemon.stop(lambda line: None)
    assert not daemon.record.exists()
