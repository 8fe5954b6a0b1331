"""Docker Engine: build an image from a folder, push it, and print the progress.

This uses the engine's own API (the `docker` SDK). No CLI is needed, every engine has the builder without plugins, and
the registry's password is only in a request header, never in an argument list, a file or a log.
"""

from __future__ import annotations

import io
import tarfile
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from urllib3.exceptions import HTTPError

from fargate_ops.core.lines import Progress
from fargate_ops.core.problem import ProblemError
from fargate_ops.image.docker_host import DockerHost
from fargate_ops.image.registry import Credentials

Say = Callable[[str], None]
_BUILD_TIMEOUT_SECONDS = 1800  # without output in the engine's stream
_PROGRESS_SECONDS = 2
_LINE_LENGTH = 110
#: Labels of a container that is created to be read and never runs. An interrupted run may leave it behind.
_LABELS = {"fargate.image_build": "read"}


#: Errors that the SDK does not convert if the engine stops in the middle of a stream.
_LOST = (DockerException, HTTPError, OSError)


class TagTakenError(Exception):
    """The registry already holds another image under this immutable tag."""


def connect(host: DockerHost) -> docker.DockerClient:
    """Return a client of the engine `host`. Each call passes credentials, so the user's configuration is not read."""
    host.adopt()
    try:
        return docker.from_env(timeout=_BUILD_TIMEOUT_SECONDS, use_ssh_client=True)
    except DockerException as error:
        if "Permission denied" in str(error):
            raise ProblemError(
                f"The Docker engine does not let this user in: {error}",
                str(host),
                "sudo usermod -aG docker <user>, then log in again",
            ) from error
        raise ProblemError(
            f"No Docker engine answers: {error}",
            str(host),
            "start Docker (sudo systemctl start docker), or choose a running engine (docker context use <name>)",
        ) from error


def architecture(client: docker.DockerClient) -> str:
    """Return the engine's own architecture by its name in Go: ``amd64`` or ``arm64``."""
    return str(client.version()["Arch"])


def build(
    client: docker.DockerClient,
    context: Path,
    tag: str,
    *,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    platform: str,
    say: Say,
) -> None:
    """Build `context` as `tag`. Raises ProblemError with the builder's last lines."""
    try:
        stream = client.api.build(
            path=str(context),
            tag=tag,
            buildargs=dict(arguments),
            labels=dict(labels),
            platform=platform or None,
            network_mode="none",  # the wheels are in the context: no step may use the network
            rm=True,
            forcerm=True,  # a failed step leaves no container behind
            decode=True,
        )
        _follow_build(stream, arguments, client, say)
    except APIError as error:
        raise _build_problem(str(error.explanation or error), "", deque(), client) from error
    except _LOST as error:
        raise _lost(error) from error


def _follow_build(
    stream: Iterable[Mapping[str, Any]], arguments: Mapping[str, str], client: docker.DockerClient, say: Say
) -> None:
    step, tail = "", deque[str](maxlen=20)
    transfer = _Transfer("pulled", say)
    for event in stream:
        if "error" in event:
            raise _build_problem(str(event["error"]), step, tail, client)
        transfer.note(event)
        for line in str(event.get("stream", "")).splitlines():
            if line.startswith("Step "):
                step = Template(line).safe_substitute(arguments)  # show the value of ${BASE_IMAGE}
                tail.clear()
                say(textwrap.shorten(step, _LINE_LENGTH, placeholder=" …"))
            elif line.strip():
                tail.append(line.rstrip())


def _build_problem(message: str, step: str, tail: Iterable[str], client: docker.DockerClient) -> ProblemError:
    said = "\n    ".join([*tail, message])
    if "no space left on device" in said.lower():
        return ProblemError(
            f"The disk became full while the image was built:\n    {said}",
            f"the engine's storage, {_storage(client)}",
            "docker system df; docker builder prune (or free the disk in another way), then repeat the command",
        )
    if " : FROM " in step:
        return ProblemError(
            f"The base image cannot be had: {message}",
            step.partition(" : ")[2],
            "check that this machine reaches its registry (docker pull …), or set base_image to one that it has",
        )
    return ProblemError(
        f"The image does not build:\n    {said}",
        step or "Dockerfile",
        "fix the step named above, then repeat the command",
    )


def _lost(error: Exception) -> ProblemError:
    return ProblemError(
        f"The Docker engine stopped answering: {error}",
        "the engine",
        "see that it runs (docker info) and why it stopped (its log), then repeat the command",
    )


def _storage(client: docker.DockerClient) -> str:
    try:
        return str(client.info()["DockerRootDir"])
    except (DockerException, KeyError):
        return "wherever it keeps its images"


def label(client: docker.DockerClient, tag: str, labels: Mapping[str, str]) -> None:
    """Replace the image `tag` with one that has the same layers and additional labels. Raises ProblemError."""
    try:
        own = client.images.get(tag).attrs
        platform = f"{own['Os']}/{own['Architecture']}"
        dockerfile = io.BytesIO(f"FROM {own['Id']}\n".encode())
        stream = client.api.build(
            fileobj=dockerfile, tag=tag, labels=dict(labels), platform=platform, rm=True, forcerm=True, decode=True
        )
        _follow_build(stream, {}, client, lambda _: None)
    except _LOST as error:
        raise _lost(error) from error


def read_file(client: docker.DockerClient, image: str, path: str) -> bytes | None:
    """Return a file of a local image, or None if it has no such file. Does not run the image."""
    try:
        container = client.api.create_container(image, command=["none"])["Id"]
        try:
            pieces, _ = client.api.get_archive(container, path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
                content = archive.extractfile(archive.getmembers()[0])
                return content.read() if content else None
        except NotFound:
            return None
        finally:
            client.api.remove_container(container)
    except _LOST as error:
        raise _lost(error) from error


def read_files(
    client: docker.DockerClient, image: str, wanted: Callable[[str], bool], credentials: Credentials
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return files of `image` by path, and its environment variables. Pulls a missing image, and does not run it."""
    login = {"username": credentials.username, "password": credentials.password}
    try:
        try:
            found = client.images.get(image)
        except ImageNotFound:
            found = client.images.pull(image, auth_config=login)
        variables = dict(entry.split("=", 1) for entry in found.attrs["Config"].get("Env") or [])
        container = client.api.create_container(found.id, command=["none"], labels=_LABELS)["Id"]
        try:
            stream = _Stream(client.api.export(container, chunk_size=1 << 20))
            with tarfile.open(fileobj=io.BufferedReader(stream, 1 << 20), mode="r|") as archive:
                members = ((member, archive.extractfile(member)) for member in archive if wanted(member.name))
                return {member.name: content.read() for member, content in members if content}, variables
        finally:
            client.api.remove_container(container)
    except _LOST as error:
        raise _lost(error) from error


class _Stream(io.RawIOBase):
    """The pieces of a stream as one file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._rest = iter(pieces), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def push(client: docker.DockerClient, repository: str, tag: str, credentials: Credentials, say: Say) -> str:
    """Push the image; return the registry's digest of it. Raises TagTakenError, ProblemError."""
    login = {"username": credentials.username, "password": credentials.password}
    try:
        stream = client.api.push(repository, tag=tag, auth_config=login, stream=True, decode=True)
        return _follow_push(stream, repository, tag, say)
    except APIError as error:
        raise _push_problem(str(error.explanation or error), f"{repository}:{tag}") from error
    except _LOST as error:
        raise _lost(error) from error


def _follow_push(stream: Iterable[Mapping[str, Any]], repository: str, tag: str, say: Say) -> str:
    digest = ""
    transfer = _Transfer("pushed", say)
    for event in stream:
        if "error" in event:
            raise _push_problem(str(event["error"]), f"{repository}:{tag}")
        transfer.note(event)
        digest = (event.get("aux") or {}).get("Digest", digest)
    transfer.finish()
    return digest


def _push_problem(message: str, where: str) -> Exception:
    lower = message.lower()
    if "immutable" in lower or "already exists" in lower:
        return TagTakenError(message)
    if any(word in lower for word in ("unauthorized", "denied", "no basic auth", "authorization")):
        return ProblemError(
            f"The registry refuses the push: {message}",
            where,
            "check that these credentials may push to the repository",
        )
    if "no space left on device" in lower:
        return ProblemError(
            f"The disk is full: {message}", where, "docker system df; docker builder prune, then repeat"
        )
    return ProblemError(
        f"The image cannot be pushed: {message}",
        where,
        "check that the engine reaches the registry, then repeat the command",
    )


class _Transfer:
    """The progress of a pull or push, the sum of its layers, which is printed every few seconds."""

    def __init__(self, verb: str, say: Say) -> None:
        self._verb, self._say = verb, say
        self._layers: dict[str, tuple[int, int]] = {}
        self._told = time.monotonic()

    def note(self, event: Mapping[str, Any]) -> None:
        detail = event.get("progressDetail") or {}
        if "id" in event and "current" in detail:
            current = int(detail["current"])
            self._layers[str(event["id"])] = (current, max(current, int(detail.get("total") or 0)))
            if time.monotonic() - self._told >= _PROGRESS_SECONDS:
                self.finish()

    def finish(self) -> None:
        if self._layers:
            self._told = time.monotonic()
            done, total = (sum(column) / 2**20 for column in zip(*self._layers.values(), strict=True))
            self._say(Progress(f"{self._verb} {done:.1f} of {total:.1f} MiB, {len(self._layers)} layers"))
