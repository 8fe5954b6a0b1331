"""Bad input: one clear error with the next command, before anything is touched."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import API_PORT, Clone, leftovers

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
    subnets = {
        "public": ["10.0.8.0/24", "10.0.9.0/24", "10.0.10.0/24"],
        "private": ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"],
        "database": ["10.0.3.0/24", "10.0.5.0/24", "10.0.6.0/24"],
    }
    run = clone.make("deploy", expect=2, network_subnet_cidrs=subnets)
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
