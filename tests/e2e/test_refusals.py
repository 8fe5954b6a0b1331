"""Bad input: one clear error with the next command, before anything is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.e2e.conftest import API_PORT, Clone, leftovers
from tests.local_cloud.conftest import free_port, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def nothing_is_touched(clone: Clone) -> Iterator[None]:
    before = leftovers()
    yield
    assert leftovers() == before


def test_unknown_environment(clone: Clone) -> None:
    run = clone.make("deploy", "ENV=stagging", expect=2)
    assert 'no environment "stagging"' in run.output
    assert "local" in run.output
    assert "production" in run.output


def test_overlapping_networks(clone: Clone) -> None:
    zones = {
        "ap-northeast-2a": {"public": "10.0.8.0/24", "private": "10.0.1.0/24", "database": "10.0.3.0/24"},
        "ap-northeast-2b": {"public": "10.0.9.0/24", "private": "10.0.3.0/24", "database": "10.0.5.0/24"},
    }
    run = clone.make("deploy", expect=2, network_availability_zones=zones)
    assert "10.0.3.0/24" in run.output
    assert "overlap" in run.output


def test_more_connections_than_the_database_has(clone: Clone) -> None:
    assert "connections" in clone.make("deploy", expect=2, app_pool_size=50).output


def test_dirty_tree_outside_local(clone: Clone) -> None:
    (clone.path / "app/api/settlement/stray.py").write_text("x = 1\n")
    try:
        output = clone.make("deploy", "ENV=staging", expect=2).output
    finally:
        (clone.path / "app/api/settlement/stray.py").unlink()
    assert "uncommitted" in output
    assert "git" in output


def test_account_that_is_not_the_local_clouds(clone: Clone) -> None:
    run = clone.make("deploy", expect=2, aws_account_id="111122223333")
    assert "111122223333" in run.output
    assert "000000000000" in run.output
    assert "aws_account_id" in run.output


def test_credentials_of_another_account(clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging, with an STS that says whose the credentials are. Any Terraform is good enough here."""
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    # The emulator takes an access key of twelve digits for the account's id.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "999988887777")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        cwd=tmp_path,
        env={**os.environ, "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as sts:
        try:
            wait_for(lambda: listens(port), what="STS to listen")
            versions = {"terraform_required_version": ">= 1.11", "aws_provider_version": ">= 5.100"}
            output = clone.make("deploy", "ENV=staging", expect=2, **versions).output
            assert boto3.client("s3", region_name="ap-northeast-2").list_buckets()["Buckets"] == []
        finally:
            sts.terminate()
    assert "The credentials belong to account 999988887777, and staging is account 222222222222." in output
    assert "next:  export AWS_PROFILE=<profile of 222222222222>" in output


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_terraform_too_old(clone: Clone) -> None:
    run = clone.make("deploy", expect=2, terraform_required_version=">= 99.0")
    assert "99.0" in run.output
    assert "erraform" in run.output


def test_port_taken(clone: Clone) -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", API_PORT))
        stranger.listen()
        output = clone.make("deploy", expect=2).output
    assert str(API_PORT) in output
    assert "local_cloud_api_port" in output


def test_no_engine(clone: Clone) -> None:
    run = clone.make("deploy", "DOCKER_HOST=unix:///nonexistent/docker.sock", expect=2)
    assert "unset DOCKER_HOST" in run.output
