"""The chosen engine; no other one gets a request."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image import docker_host, engine
from fargate_ops.image.docker_host import LOCAL, find
from tests.unit.image.stub_engine import StubEngine

pytestmark = pytest.mark.usefixtures("docker_variables")


def context(folder: Path, name: str, address: str, *, certificates: bool = False, **endpoint: object) -> None:
    """Write a context as the docker command stores it."""
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts/meta" / identity / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": address, **endpoint}}}))
    if certificates:
        (folder / "contexts/tls" / identity / "docker").mkdir(parents=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / ".docker"
    context(folder, "prod", "tcp://prod.example.com:2376", certificates=True)
    context(folder, "rootless", "unix:///run/user/1000/docker.sock")
    return folder


def use(folder: Path, name: str) -> None:
    (folder / "config.json").write_text(json.dumps({"currentContext": name, "credsStore": "desktop"}))


@pytest.mark.parametrize(
    ("variables", "current", "shown"),
    [
        ({}, "", LOCAL),
        ({}, "default", LOCAL),
        ({}, "rootless", "unix:///run/user/1000/docker.sock (Docker context rootless)"),
        ({"DOCKER_CONTEXT": "default"}, "rootless", LOCAL),
        ({"DOCKER_CONTEXT": "prod"}, "rootless", "tcp://prod.example.com:2376 (Docker context prod)"),
        ({"DOCKER_CONTEXT": "prod", "DOCKER_HOST": "ssh://build"}, "rootless", "ssh://build (DOCKER_HOST)"),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}, "rootless", "unix:///run/user/1000/docker.sock"),
    ],
)
def test_the_order_is_that_of_the_docker_command(
    folder: Path, variables: dict[str, str], current: str, shown: str
) -> None:
    if current:
        use(folder, current)
    assert str(find({"HOME": str(folder.parent), **variables})).startswith(shown)
    elsewhere = {"HOME": "/nonexistent", "DOCKER_CONFIG": str(folder), **variables}
    assert str(find(elsewhere)).startswith(shown)


def test_without_a_home_it_is_the_socket_of_this_machine() -> None:
    assert find({}).address == LOCAL


@pytest.mark.parametrize(
    ("variables", "current", "said", "undo"),
    [
        ({}, "prod", "Docker context prod is tcp://prod.example.com:2376", "docker context use default"),
        ({"DOCKER_CONTEXT": "prod"}, "", "Docker context prod is tcp", "unset DOCKER_CONTEXT"),
        ({}, "rootless", "Docker context rootless is unix:///run/user/1000", "docker context use default"),
        ({"DOCKER_HOST": "tcp://10.1.2.3:2375"}, "", "DOCKER_HOST is tcp://10.1.2.3:2375", "unset DOCKER_HOST"),
        ({"DOCKER_CONTEXT": "gone"}, "", "no Docker context gone", "unset DOCKER_CONTEXT"),
    ],
)
def test_another_engine_than_the_required_one_is_refused_by_name(
    folder: Path, variables: dict[str, str], current: str, said: str, undo: str
) -> None:
    if current:
        use(folder, current)
    with pytest.raises(ProblemError, match=said) as caught:
        find({"HOME": str(folder.parent), **variables}, LOCAL)
    assert caught.value.problem.next_step == undo


def test_a_context_of_the_required_engine_is_that_engine(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    required = f"unix://{tmp_path}/var/docker.sock"
    context(folder, "here", f"unix://{tmp_path}/run/docker.sock")
    use(folder, "here")
    assert find({"HOME": str(tmp_path)}, required).address == required


def test_no_request_reaches_an_engine_that_is_not_the_required_one(folder: Path, tmp_path: Path) -> None:
    with StubEngine(tmp_path) as stub:
        context(folder, "other", stub.address)
        use(folder, "other")
        with pytest.raises(ProblemError, match="Docker context other"):
            engine.connect(find({"HOME": str(tmp_path)}, LOCAL))
        assert not stub.requests
        engine.connect(find({"HOME": str(tmp_path)})).close()
        assert stub.requests, "where none is required, it is the context's"


def test_what_is_started_afterwards_speaks_to_the_same_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DOCKER_CONTEXT": "prod", "DOCKER_TLS_VERIFY": "1", "DOCKER_API_VERSION": "1.24"}.items():
        monkeypatch.setenv(name, value)
    docker_host.DockerHost(LOCAL).adopt()
    variables = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    assert variables.pop("DOCKER_HOST") == LOCAL
    assert json.loads(Path(variables.pop("DOCKER_CONFIG"), "config.json").read_text()) == {}
    assert not variables


def test_a_context_brings_its_certificates(folder: Path) -> None:
    context(folder, "test", "tcp://10.1.2.3:2376", certificates=True, SkipTLSVerify=True)
    home = {"HOME": str(folder.parent)}
    prod, unverified = (find({**home, "DOCKER_CONTEXT": name}).variables() for name in ("prod", "test"))
    assert prod["DOCKER_CERT_PATH"].startswith(f"{folder}/contexts/tls/")
    assert (prod["DOCKER_TLS_VERIFY"], unverified["DOCKER_TLS_VERIFY"]) == ("1", "")
    given = {"DOCKER_HOST": "tcp://10.1.2.3:2376", "DOCKER_TLS_VERIFY": "1"}
    assert find({**home, **given}).variables()["DOCKER_CERT_PATH"] == str(folder)
    assert "DOCKER_CERT_PATH" not in find({**home, "DOCKER_HOST": LOCAL, "DOCKER_TLS_VERIFY": "1"}).variables()
