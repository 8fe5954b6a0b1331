"""Which container engine, and what to say when there can be none."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from roles.local_cloud.python import engine
from roles.local_cloud.python.engine import Decision, Host, Reachable
from roles.local_cloud.python.errors import LocalCloudError

DEBIAN = frozenset({"debian"})
FEDORA = frozenset({"fedora"})


def host(
    *,
    system: str = "Linux",
    distribution: frozenset[str] = DEBIAN,
    root: bool = True,
    systemd: bool = False,
    installed: bool = False,
    remote: str = "",
) -> Host:
    return Host(system, distribution, root, "alice", systemd, installed, remote)


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
        (host(system="Darwin"), Reachable.YES, "needs Linux.*Darwin.*limactl"),
        (host(remote="tcp://10.1.2.3:2375"), Reachable.NO, "DOCKER_HOST is tcp.*unset DOCKER_HOST"),
        (host(root=False, installed=True), Reachable.DENIED, "alice may not use.*usermod -aG docker alice"),
        (host(root=False, installed=True, systemd=True), Reachable.NO, "sudo systemctl start docker"),
        (host(root=False, installed=True), Reachable.NO, "sudo dockerd"),
        (host(root=False), Reachable.NO, "sudo apt-get install docker.io"),
        (host(distribution=FEDORA), Reachable.NO, "docs.docker.com/engine/install"),
    ],
)
def test_decide_refuses_with_the_next_command(machine: Host, reachable: Reachable, message: str) -> None:
    with pytest.raises(LocalCloudError, match=message):
        engine.decide(machine, reachable)


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
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths of the engine in a directory of the test's own."""
    monkeypatch.setattr(engine, "RECORD", tmp_path / "run" / "dockerd.json")
    monkeypatch.setattr(engine, "LOG", tmp_path / "dockerd.log")
    monkeypatch.setattr(engine, "SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(engine, "CPU_SHARES", tmp_path / "docker" / "cpu.shares")
    return tmp_path


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


def test_probe_wants_an_answer(machine: Path) -> None:
    assert engine.probe() is Reachable.NO
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(engine.SOCKET))
        assert engine.probe() is Reachable.NO, "nobody listens yet"


def test_what_we_start_we_stop(machine: Path) -> None:
    lines: list[str] = []
    daemon = engine.start(host(installed=True), lines.append, [sys.executable, "-c", DAEMON, str(engine.SOCKET)])
    assert engine.probe() is Reachable.YES
    assert daemon is not None
    assert engine.is_ours()
    assert engine.stop_if_ours(lines.append)
    assert engine.process_start_time(daemon.pid) is None
    assert not engine.is_ours()
    assert not engine.stop_if_ours(lines.append), "there is nothing left to stop"
    daemon.wait()


def test_containers_weigh_more_than_one_process(machine: Path) -> None:
    engine.weigh_containers()
    assert not engine.CPU_SHARES.exists(), "no cgroup v1"
    (engine.CPU_SHARES.parents[1] / "cgroup.procs").touch()
    engine.weigh_containers()
    assert engine.CPU_SHARES.read_text() == "8192\n"


def test_a_daemon_that_ends_at_once_is_reported_with_its_log(machine: Path) -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('failed to mount cgroups')"]
    with pytest.raises(LocalCloudError, match=r"ended with 1(.|\n)*failed to mount cgroups"):
        engine.start(host(installed=True), lambda line: None, failing)
    assert not engine.is_ours()


def test_another_process_of_the_same_pid_is_left_alone(machine: Path) -> None:
    engine.RECORD.parent.mkdir()
    engine.RECORD.write_text(json.dumps({"pid": os.getpid(), "start_time": "1"}))
    assert not engine.stop_if_ours(lambda line: None)
    assert not engine.is_ours()
