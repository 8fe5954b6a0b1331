"""The play's environment reaches the clients, and no client waits or retries without a bound."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.loaders import JSONFileLoader

from fargate_ops.aws.session import action_environment, aws_session, read_ahead
from fargate_ops.cost.accounts import AccountClients


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the environment after the test."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_MAX_ATTEMPTS", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def action(environment: dict[str, Any], *, check_mode: bool = False) -> Any:
    """Return an action of a play with this ``environment:``."""
    return SimpleNamespace(
        _compute_environment_string=lambda rendered: rendered.update(environment),
        _task=SimpleNamespace(check_mode=check_mode),
    )


@pytest.mark.parametrize(("check_mode", "attempts"), [(False, "5"), (True, "2")])
def test_attempts_are_bounded_and_a_check_says_sooner_what_it_meets(check_mode: bool, attempts: str) -> None:
    rendered = action_environment(action({"AWS_REGION": "eu-west-1", "PORT": 4566}, check_mode=check_mode))
    assert rendered == {"AWS_REGION": "eu-west-1", "PORT": "4566", "AWS_MAX_ATTEMPTS": attempts}


def test_a_play_may_say_how_often_to_try() -> None:
    assert action_environment(action({"AWS_MAX_ATTEMPTS": "3"}))["AWS_MAX_ATTEMPTS"] == "3"


def test_a_client_follows_the_environment_and_is_made_once() -> None:
    session = aws_session(
        {
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
            "AWS_MAX_ATTEMPTS": "3",
            "AWS_ACCESS_KEY_ID": "test",
        }
    )
    client = session.client("sts")
    assert session.region == "eu-west-1"
    assert client is session.client("sts")
    assert client.meta.endpoint_url == "http://127.0.0.1:4566"
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert client.meta.config.connect_timeout == 5
    assert client.meta.config.read_timeout == 30


def test_each_session_takes_the_attempts_of_its_own_environment() -> None:
    for attempts in ("2", "5"):
        session = aws_session({"AWS_REGION": "eu-west-1", "AWS_MAX_ATTEMPTS": attempts})
        for client in (session.client("sts"), AccountClients(boto3.Session()).client("sts", "eu-west-1")):
            assert client.meta.config.retries["total_max_attempts"] == int(attempts)


def test_a_region_that_is_asked_for_wins() -> None:
    assert aws_session({"AWS_REGION": "eu-west-1"}, "ap-northeast-2").region == "ap-northeast-2"


def test_a_client_that_almost_every_task_creates_reads_no_description_of_its_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_ahead()
    read: list[str] = []
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda _, path: read.append(path))
    session = aws_session({"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_MAX_ATTEMPTS": "5"})
    assert [session.client(service).meta.service_model.service_name for service in ("s3", "ecs")] == ["s3", "ecs"]
    assert read == []
