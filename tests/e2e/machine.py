"""Another person's machine: a container with Debian 13, a user without a passwd entry, and conflicting settings.

It uses this machine's engine and network, as a developer's own shell does. The checkout has the same path inside and
outside, because the engine mounts folders by the host's paths. The engine reports changes of the container's file
system, and so everything that a command leaves outside the checkout.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from local_cloud.host import debian, engine, images
from tests.e2e.conftest import REPOSITORY, VARIABLES, WORKER, Run
from tests.local_cloud.conftest import wait_for
from tests.support import images as suite
from tests.support.logs import Logs

#: The container's /etc/passwd has no entry for it. Only root can give the checkout to another user.
UID = os.geteuid() or 54321
IMAGE = "settlement-test/machine:trixie"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
DOCKER_CONFIG = "/etc/docker-of-the-user"
#: The machine's /etc/gitconfig, which stands for a user's own settings.
GIT_CONFIG = """
[core]
  autocrlf = true
[log]
  showSignature = true
[status]
  showUntrackedFiles = no
[color]
  ui = always
"""

RECIPE = debian.Recipe(
    suite="trixie",
    packages=("ca-certificates", "git", "make", "openssh-client", "python3", "python3-venv"),
    hooks=(
        f'mkdir "$1{DOCKER_CONFIG}"; echo {{\\"credsStore\\": \\"desktop\\"}} > "$1{DOCKER_CONFIG}/config.json"',
        f'printf %s {shlex.quote(GIT_CONFIG)} > "$1/etc/gitconfig"',
    ),
    configuration=('CMD ["sleep", "infinity"]',),
)


def prepare(client: docker.DockerClient) -> None:
    """Make the machine's image, unless it exists: from the public base image, or from Debian packages."""
    try:
        if client.images.get(IMAGE).labels.get(images.INPUTS_LABEL) == RECIPE.digest():
            return
    except docker.errors.ImageNotFound:
        pass
    with tempfile.TemporaryDirectory() as scratch:
        base = suite.prepare(Path(scratch))["base"]
        if base in suite.settings().public.values():
            labels = {images.INPUTS_LABEL: RECIPE.digest()}
            client.images.build(
                fileobj=io.BytesIO(dockerfile(base).encode()), tag=IMAGE, labels=labels, network_mode="host", rm=True
            )
            return
        images.need_mmdebstrap(print)
        mirror = debian.find_mirror(engine.read_os_release())
        images.bootstrap(client, (IMAGE,), RECIPE, Path(scratch, "machine.tar"), mirror, print)


def dockerfile(base: str) -> str:
    """Return the recipe as a Dockerfile. The base image has its own Python."""
    packages = " ".join(package for package in RECIPE.packages if not package.startswith("python3"))
    return "\n".join(
        [
            f"FROM {base}",
            f"RUN apt-get update -q && apt-get install -q -y --no-install-recommends {packages}",
            *(f"RUN {json.dumps(['sh', '-c', hook, 'sh', ''])}" for hook in RECIPE.hooks),
            *RECIPE.configuration,
        ]
    )


class Machine:
    """The running container; `path` is the checkout."""

    def __init__(self, container: Any, path: Path) -> None:
        self._container = container
        self.path = path
        self._mounted = self._changed()

    def make(self, target: str, *settings: str, expect: int = 0) -> Run:
        """Run ``make target ARGS=…`` in the checkout, as the user without a passwd entry."""
        arguments = f"ARGS=-e {shlex.quote(json.dumps(VARIABLES))}"
        logs = Logs(self.path)
        done = self._container.exec_run(["make", target, arguments, *settings], workdir=str(self.path))
        run = Run(done.exit_code, done.output.decode(), logs.read())
        assert run.code == expect, run.output[-20000:]
        return run

    def changed(self) -> set[str]:
        """Return the paths outside the checkout that changed since the container started."""
        return self._changed() - self._mounted

    def _changed(self) -> set[str]:
        return {item["Path"] for item in self._container.diff() or []}


@contextmanager
def started(clone: Path, environment: Mapping[str, str]) -> Iterator[Machine]:
    """Start the machine with this checkout, which is then owned by the machine's user."""
    client = docker.from_env()
    prepare(client)
    give(clone)
    mounts = {str(clone): str(clone), str(engine.SOCKET): str(engine.SOCKET), str(CERTIFICATES): str(CERTIFICATES)}
    if terraform := shutil.which("terraform"):
        mounts[terraform] = "/usr/local/bin/terraform"
    if mirror := _provider_mirror():
        mounts[mirror] = "/usr/share/terraform/plugins"
    container = client.containers.run(
        IMAGE,
        name=f"settlement-test-machine-{WORKER}",
        detach=True,
        init=True,
        network_mode="host",
        user=f"{UID}:{engine.SOCKET.stat().st_gid}",
        mounts=[
            docker.types.Mount(inside, outside, type="bind", read_only=outside not in (str(clone), str(engine.SOCKET)))
            for outside, inside in mounts.items()
        ],
        environment={
            "SSL_CERT_FILE": str(CERTIFICATES),
            "PIP_CERT": str(CERTIFICATES),
            "DOCKER_CONFIG": DOCKER_CONFIG,
            **environment,
        },
    )
    try:
        yield Machine(container, clone)
    finally:
        container.remove(force=True)


def give(path: Path) -> None:
    """Give this folder to the machine's user."""
    if os.geteuid() != UID:
        subprocess.run(["chown", "--recursive", f"{UID}:{UID}", str(path)], check=True)


def _provider_mirror() -> str:
    """Return the folder of this machine's provider mirror; empty if the AWS provider comes from the registry."""
    configuration = REPOSITORY / ".local/local/terraform.rc"
    found = re.search(r'path\s*=\s*"([^"]+)"', configuration.read_text()) if configuration.exists() else None
    return found[1] if found else ""


@contextmanager
def proxy(log: Path) -> Iterator[str]:
    """Run a working proxy that logs the address of each request."""
    port_file = log.with_suffix(".port")
    command = ["uv", "tool", "run", "--quiet", "--from", "proxy.py==2.4.10", "proxy", "--hostname", "127.0.0.1"]
    command += ["--port", "0", "--port-file", str(port_file), "--num-workers", "1", "--log-file", str(log)]
    with subprocess.Popen(command) as process:
        try:
            port = wait_for(lambda: port_file.exists() and port_file.read_text().strip(), what="the proxy listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
