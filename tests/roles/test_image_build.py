"""Builds on a machine with a full disk, or with registries that do not answer. The engine's errors are real.

The tests start their own engine, with its storage on a small tmpfs, so they need root on Linux.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest

from tests.local_cloud.conftest import wait_for
from tests.support.ports import closed_port, free_port

REPOSITORY = Path(__file__).parents[2]
STORAGE_MIB = 32

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  connection: local
  environment: "{{ aws_environment }}"
  roles: [image_build]
"""


@contextmanager
def process(*command: str, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        started = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(240)


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """Start an engine whose storage holds 32 MiB; return its address."""
    dockerd, ip = (shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") for name in ("dockerd", "ip"))
    if os.geteuid() != 0 or sys.platform != "linux" or dockerd is None or ip is None:
        pytest.skip("an engine with a small disk needs root, Linux, dockerd and ip")
    with ExitStack() as stack:
        # A short path, because the path of a socket has at most 107 bytes.
        folder = Path("/run") / f"settlement-test-{os.getpid()}"
        storage = folder / "storage"
        storage.mkdir(parents=True)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={STORAGE_MIB}m", "tmpfs", storage]
        if subprocess.run(mount, check=False).returncode:
            pytest.skip("an engine with a small disk needs the right to mount one")
        # Lazily, because the engine's own mounts below it may take a moment to disappear.
        stack.callback(subprocess.run, ["umount", "--lazy", storage], check=True)
        address = f"unix://{folder}/docker.sock"
        options = {"host": address, "data-root": storage, "exec-root": folder / "exec", "pidfile": folder / "pid"}
        stack.enter_context(
            process(
                # In a network of its own: an engine without a bridge removes the docker0 of another engine.
                *("unshare", "--net", "sh", "-c", f'{ip} link set lo up && exec "$@"', "sh"),
                dockerd,
                *(f"--{name}={value}" for name, value in options.items()),
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                log=folder / "log",
            )
        )
        wait_for((folder / "docker.sock").exists, what="the engine to listen")
        yield address


@pytest.fixture(scope="module")
def api() -> Iterator[int]:
    """Start an ECR with the repository ``settlement``; return its port."""
    port, log = free_port(), Path(os.devnull)
    with process(sys.executable, "-m", "ministack", log=log, GATEWAY_PORT=str(port), BIND_HOST="127.0.0.1"):
        wait_for(lambda: answers(port))
        boto3.client(
            "ecr",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="ap-northeast-2",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ).create_repository(repositoryName="settlement")
        yield port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Create a checkout whose image is one file on an empty base."""
    context = tmp_path / "project/app"
    (context / "settlement").mkdir(parents=True)
    (context / "settlement/__init__.py").touch()
    (context / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY settlement /settlement\n")
    return context


def build(project: Path, engine: str, api: int, **variables: Any) -> str:
    """Commit the project and run the role; return the output of its failure."""
    for command in (
        ["init", "--quiet", "."],
        ["add", "--all"],
        ["-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "feat: begin"],
    ):
        subprocess.run(["git", *command], cwd=project, check=True)
    playbook = project.parent / "playbook.yml"
    playbook.write_text(PLAYBOOK)
    values = {
        "ansible_python_interpreter": sys.executable,
        "project_dir": str(project.parent),
        "work_dir": str(project.parent / "work"),
        "aws_region": "ap-northeast-2",
        "aws_environment": {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{api}",
            "AWS_REGION": "ap-northeast-2",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "DOCKER_HOST": engine,
        },
        "image_registry": f"localhost:{api}",
        "image_repository": "settlement",
        "base_image": "scratch",
        "image_build_context": str(project),
        "image_build_libraries": [],
        "image_build_locks": [],
        "image_build_schema_file": "",
        "image_build_database_ca": "",
        "preflight_allow_dirty": False,
    }
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-e", json.dumps(values | variables), str(playbook)],
        cwd=project.parent,
        env={
            **os.environ,
            "ANSIBLE_ROLES_PATH": str(REPOSITORY / "roles"),
            "PYTHONPATH": str(REPOSITORY / "src"),
            "OUTPUT": "ansible",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout.count("[ERROR]") == 1, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    "size_mib",
    [
        pytest.param(STORAGE_MIB + 8, id="the context does not fit"),
        pytest.param(STORAGE_MIB - 12, id="the context fits, the layer beside it does not"),
    ],
)
def test_a_disk_that_is_full(project: Path, engine: str, api: int, size_mib: int) -> None:
    (project / "settlement/big").write_bytes(os.urandom(size_mib << 20))
    said = build(project, engine, api)
    assert "The disk became full while the image was built" in said
    assert "no space left on device" in said
    assert "storage" in said
    assert "next:  docker system df; docker builder prune" in said


def test_the_registry_of_the_base_image_does_not_answer(project: Path, engine: str, api: int) -> None:
    said = build(project, engine, api, base_image=f"localhost:{closed_port()}/python:3.13-slim")
    assert "The base image cannot be had" in said
    assert "connection refused" in said
    assert "next:  check that this machine reaches its registry" in said


def test_the_registry_does_not_take_the_image(project: Path, engine: str, api: int) -> None:
    (project / "settlement/schema.json").write_text('{"head": "1", "compatible": []}')
    refusing = f"localhost:{closed_port()}"
    said = build(project, engine, api, image_registry=refusing, image_build_schema_file="settlement/schema.json")
    assert "The image cannot be pushed" in said
    assert "connection refused" in said
    assert not docker.DockerClient(engine).containers.list(all=True), "each step's container is removed"
    assert "next:  check that the engine reaches the registry" in said


def test_the_registrys_api_does_not_answer(project: Path) -> None:
    said = build(project, "unix:///nonexistent/docker.sock", closed_port())
    assert "does not answer (Connection refused)" in said
    assert "next:  start what serves it" in said
