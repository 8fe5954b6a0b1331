"""What the playbook hands to the page's process, and the port that a person chooses."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fargate_ops.console.__main__ import listen
from fargate_ops.console.settings import Settings, port_of
from fargate_ops.core.problem import OperationsError

SETTINGS = Settings(
    environment="test",
    region="ap-northeast-2",
    bucket="state-bucket",
    stack={"name_prefix": "app-test"},
    aws_environment={"AWS_REGION": "ap-northeast-2"},
    direct_addresses=["172.31.240.1"],
)


def test_the_file_is_this_users_only_even_if_it_was_readable_before(tmp_path: Path) -> None:
    path = tmp_path / "below" / "console.json"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o644)
    SETTINGS.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Settings.read(path) == SETTINGS


def test_the_process_has_the_environment_of_a_task() -> None:
    shell = {"AWS_PROFILE": "ann", "AWS_ENDPOINT_URL": "http://elsewhere", "HOME": "/home/ann", "no_proxy": "intranet"}
    SETTINGS.apply(shell)
    addresses = shell.pop("no_proxy")
    assert addresses == shell.pop("NO_PROXY") == "intranet,localhost,127.0.0.1,::1,172.31.240.1"
    assert shell == {"AWS_PROFILE": "ann", "HOME": "/home/ann", "AWS_REGION": "ap-northeast-2"}


def test_keys_of_the_inventory_replace_the_shells() -> None:
    shell = {"AWS_PROFILE": "ann", "AWS_SESSION_TOKEN": "hers"}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    Settings(**vars(SETTINGS) | {"aws_environment": keys}).apply(shell)
    assert {name: value for name, value in shell.items() if name.startswith("AWS_")} == keys


@pytest.mark.parametrize(("text", "port"), [("", 0), ("8321", 8321)])
def test_a_port(text: str, port: int) -> None:
    assert port_of({"PORT": text}) == port


@pytest.mark.parametrize("text", ["80", "65536", "-1", "http", "\uff18\uff13\uff12\uff11"])
def test_no_port(text: str) -> None:
    with pytest.raises(OperationsError, match=r"is no port from 1024 to 65535\. Next: make console PORT=8321"):
        port_of({"PORT": text})


def test_only_this_machine_can_connect_and_a_taken_port_is_reported() -> None:
    with listen(0) as listener:
        address, port = listener.getsockname()
        socket.create_connection(("127.0.0.1", port)).close()  # the server need not run yet
        assert address == "127.0.0.1"
        with pytest.raises(OperationsError, match=rf"port {port} of this machine cannot be used .*Next: make console"):
            listen(port)
    assert isinstance(listener, socket.socket)
