from __future__ import annotations

import base64
import gc
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException
from urllib3.exceptions import ProtocolError

from fargate_ops.core.problem import ProblemError
from fargate_ops.image import docker_host, engine
from fargate_ops.image.registry import Credentials
from tests.unit.image.stub_engine import StubEngine

pytestmark = pytest.mark.usefixtures("docker_variables")

ARGUMENTS = {"GIT_HASH": "v1", "BASE_IMAGE": "nowhere/base"}
LOGIN = Credentials("AWS", "top-secret")


class Api:
    """The low-level client: returns prepared events and records its calls."""

    def __init__(self, events: Iterable[Mapping[str, Any]] | APIError) -> None:
        self.events = events
        self.called: dict[str, Any] = {}

    def _answer(self, arguments: dict[str, Any]) -> Any:
        self.called = arguments
        if isinstance(self.events, APIError):
            raise self.events
        return iter(self.events)

    def build(self, **arguments: Any) -> Any:
        return self._answer(arguments)

    def push(self, repository: str, **arguments: Any) -> Any:
        return self._answer(arguments)


def client(*events: Mapping[str, Any], fails: APIError | None = None, root: str | None = "/var/lib/docker") -> Any:
    def info() -> dict[str, str]:
        if root is None:
            raise DockerException("gone")
        return {"DockerRootDir": root}

    return SimpleNamespace(api=Api(fails or events), info=info, version=lambda: {"Arch": "arm64"})


def build(fake: Any, said: list[str], platform: str = "") -> None:
    engine.build(
        fake,
        Path("/context"),
        "localhost:4566/settlement:v1",
        arguments=ARGUMENTS,
        labels={"schema_head": "1"},
        platform=platform,
        say=said.append,
    )


def push(fake: Any, said: list[str]) -> str:
    return engine.push(fake, "localhost:4566/settlement", "v1", LOGIN, said.append)


def test_a_build_says_its_steps() -> None:
    said: list[str] = []
    fake = client(
        {"stream": "Step 1/2 : FROM base\n"},
        {"status": "Downloading", "id": "aa", "progressDetail": {"current": 1, "total": 2}},
        {"stream": " ---> 0123\n"},
        {"stream": "Step 2/2 : COPY . .\n"},
        {"aux": {"ID": "sha256:image"}},
        {"stream": "\n"},
    )
    build(fake, said, platform="linux/arm64")
    assert said == ["Step 1/2 : FROM base", "Step 2/2 : COPY . ."]
    assert fake.api.called["platform"] == "linux/arm64"
    assert fake.api.called["buildargs"] == ARGUMENTS
    assert engine.architecture(fake) == "arm64"


@pytest.mark.parametrize(
    ("events", "what", "next_step"),
    [
        (
            [{"stream": "Step 1/2 : FROM ${BASE_IMAGE}\n"}, {"error": "manifest unknown"}],
            "The base image cannot be had: manifest unknown",
            "set base_image",
        ),
        (
            [
                {"stream": "Step 2/2 : RUN pip install\n"},
                {"stream": "ERROR: x\n"},
                {"error": "returned a non-zero code: 1"},
            ],
            "ERROR: x\n    returned a non-zero code: 1",
            "fix the step",
        ),
        (
            [{"stream": "Step 2/2 : COPY a b\n"}, {"error": "write /x: no space left on device"}],
            "The disk became full while the image was built",
            "docker system df",
        ),
    ],
)
def test_a_failed_build_says_which_step_and_what_helps(
    events: list[Mapping[str, Any]], what: str, next_step: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        build(client(*events), [])
    assert what in caught.value.problem.what
    assert next_step in caught.value.problem.next_step


def test_a_missing_base_is_named_and_not_only_its_argument() -> None:
    with pytest.raises(ProblemError) as caught:
        build(client({"stream": "Step 1/2 : FROM ${BASE_IMAGE}\n"}, {"error": "manifest unknown"}), [])
    assert caught.value.problem.where == "FROM nowhere/base"


def test_a_full_disk_names_the_engines_storage() -> None:
    full = {"error": "No space left on device"}
    with pytest.raises(ProblemError, match="/mnt/docker"):
        build(client(full, root="/mnt/docker"), [])
    with pytest.raises(ProblemError, match="wherever it keeps its images"):
        build(client(full, root=None), [])


def test_a_dockerfile_that_the_engine_refuses() -> None:
    with pytest.raises(ProblemError, match="unknown instruction"):
        build(client(fails=APIError("bad", explanation="unknown instruction: FORM")), [])


def test_a_push_adds_up_the_layers_and_gives_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_PROGRESS_SECONDS", 0)
    said: list[str] = []
    fake = client(
        {"status": "The push refers to repository"},
        {"status": "Preparing", "id": "aa", "progressDetail": {}},
        {"status": "Pushing", "id": "aa", "progressDetail": {"current": 1 << 20, "total": 4 << 20}},
        {"status": "Pushing", "id": "bb", "progressDetail": {"current": 1 << 20}},
        {"progressDetail": {}, "aux": {"Tag": "v1", "Digest": "sha256:aa", "Size": 1}},
    )
    assert push(fake, said) == "sha256:aa"
    assert said[0] == "pushed 1.0 of 4.0 MiB, 1 layers"
    assert said[-1] == "pushed 2.0 of 5.0 MiB, 2 layers"
    assert fake.api.called["auth_config"] == {"username": "AWS", "password": "top-secret"}


@pytest.mark.parametrize("message", ["tag 'v1' is immutable", "The image tag 'v1' already exists in the repository"])
def test_a_taken_tag_is_told_apart(message: str) -> None:
    with pytest.raises(engine.TagTakenError, match="v1"):
        push(client({"error": message}), [])


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("denied: User is not authorized to perform: ecr:PutImage", "refuses the push"),
        ("no basic auth credentials", "refuses the push"),
        ("write /x: no space left on device", "disk is full"),
        ("dial tcp 127.0.0.1:4566: connect: connection refused", "cannot be pushed: dial tcp"),
    ],
)
def test_a_failed_push_is_explained(message: str, what: str) -> None:
    with pytest.raises(ProblemError, match=what):
        push(client({"error": message}), [])
    with pytest.raises(ProblemError, match=what):
        push(client(fails=APIError("x", explanation=message)), [])


def test_an_engine_that_goes_away_in_the_middle() -> None:
    def broken() -> Iterator[Mapping[str, Any]]:
        yield {"stream": "Step 1/2 : FROM base\n"}
        raise ProtocolError("Connection broken")

    fake = client()
    fake.api.events = broken()
    with pytest.raises(ProblemError, match="stopped answering: Connection broken"):
        build(fake, [])
    fake.api.events = broken()
    with pytest.raises(ProblemError, match="stopped answering"):
        push(fake, [])


def test_a_full_disk_inside_a_step_is_told_apart_from_a_broken_step() -> None:
    output = {"stream": "ERROR: [Errno 28] No space left on device\n"}
    with pytest.raises(ProblemError, match="The disk became full"):
        build(client({"stream": "Step 2/2 : RUN pip\n"}, output, {"error": "returned a non-zero code: 1"}), [])


def test_nothing_to_transfer_says_nothing() -> None:
    said: list[str] = []
    push(client({"status": "Layer already exists", "id": "aa"}, {"aux": {"Digest": "sha256:aa"}}), said)
    assert said == []


def write(folder: Path, configuration: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(configuration)


BROKEN = [
    pytest.param('{"credsStore": "desktop"}', id="a credential helper that is not installed"),
    pytest.param('{"credHelpers": {"localhost:4566": "desktop"}}', id="one for our registry"),
    pytest.param('{"auths": {"localhost:4566": {"auth": "!"}}}', id="a login that is no login"),
    pytest.param('{"auths": {"localhost:4566": "AWS"}}', id="a login of another form"),
    pytest.param("{", id="no JSON"),
    pytest.param('{"proxies": {"default": {"httpProxy": "http://127.0.0.1:9"}}}', id="a proxy"),
]


@pytest.mark.parametrize("configuration", BROKEN)
def test_the_users_docker_configuration_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configuration: str
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    write(tmp_path / "home/.docker", configuration)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "home/.docker"))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    answers = {
        "build": b'{"stream": "built"}\n',
        "push": b'{"aux": {"Digest": "sha256:aa"}}\n',
        "images/create": b'{"status": "pulled"}\n',
    }
    with StubEngine(tmp_path, answers) as stub:
        client = engine.connect(docker_host.find(os.environ, stub.address))
        engine.build(client, tmp_path, "localhost:4566/a:v1", arguments={}, labels={}, platform="", say=print)
        assert engine.push(client, "localhost:4566/a", "v1", LOGIN, print) == "sha256:aa"
        client.close()
    build, push = (next(request for request in stub.requests if word in request.path) for word in ("build?", "/push"))
    assert "buildargs" not in build.path, "no proxy"
    assert not build.headers.get("X-Registry-Config")
    sent = json.loads(base64.urlsafe_b64decode(push.headers["X-Registry-Auth"]))
    assert sent == {"username": "AWS", "password": "top-secret"}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves its socket open
def test_no_engine(tmp_path: Path) -> None:
    host = docker_host.DockerHost(f"unix://{tmp_path}/none.sock", "Docker context prod")
    with pytest.raises(ProblemError, match="No Docker engine answers") as caught:
        engine.connect(host)
    assert caught.value.problem.where == f"unix://{tmp_path}/none.sock (Docker context prod)"
    del caught
    gc.collect()


def test_an_engine_that_is_not_for_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise DockerException("Error while fetching server API version: (13, 'Permission denied')")

    monkeypatch.setattr(docker, "from_env", refuse)
    with pytest.raises(ProblemError, match="does not let this user in") as caught:
        engine.connect(docker_host.DockerHost(docker_host.LOCAL))
    assert "usermod -aG docker" in caught.value.problem.next_step
