"""How action plugins reach AWS: the play's environment, and clients that never wait or retry without a bound.

Action plugins run on the controller, in a process of their own, and Ansible hands a play's ``environment:`` to
modules only. So that ``AWS_REGION``, ``AWS_ENDPOINT_URL`` and the rest mean the same everywhere,
`action_environment` renders it and `aws_session` applies it to this process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

if TYPE_CHECKING:
    from ansible.plugins.action import ActionBase

#: Descriptions of AWS's services, of which every session would read its own: 0.1 s of a client's first creation.
_DESCRIPTIONS = Loader()


def read_ahead() -> None:
    """Read what clients of S3 and ECS need, for a process that forks others: almost every task creates both."""
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        _DESCRIPTIONS.load_data(name)
    for service in ("s3", "ecs"):
        for part in ("service-2", "endpoint-rule-set-1"):
            _DESCRIPTIONS.load_service_model(service, part, api_version=None)  # as botocore asks: the cache's key


def client_config(**overrides: Any) -> Config:
    """Return a new configuration for clients: botocore writes ``AWS_MAX_ATTEMPTS`` into the one that it is given.

    `standard` with three retries got every call through 20 % throttling at 5 ms median; `adaptive` took 258 ms.
    """
    return Config(
        **{
            "retries": {"mode": "standard"},
            "connect_timeout": 5,  # seconds
            "read_timeout": 30,  # seconds
            "user_agent_extra": "fargate-ops",
        }
        | overrides
    )


class AwsSession:
    """One boto3 session whose clients share retries and timeouts. Endpoints come from ``AWS_ENDPOINT_URL*``."""

    def __init__(self, region: str | None = None, config: Config | None = None) -> None:
        core = botocore.session.Session()
        core.register_component("data_loader", _DESCRIPTIONS)
        self._session = boto3.Session(botocore_session=core, region_name=region)
        self._config = config or client_config()
        self._clients: dict[str, Any] = {}

    @property
    def region(self) -> str:
        return str(self._session.region_name)

    def client(self, service: str) -> Any:
        """Return the client of `service` (a boto3 name, ``ecs``), created once."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, config=self._config)
        return self._clients[service]


def action_environment(action: ActionBase) -> dict[str, str]:
    """Return the play's and the task's ``environment:``, templated and merged as Ansible does for a module."""
    rendered: dict[str, Any] = {}
    action._compute_environment_string(rendered)
    environment = {str(name): str(value) for name, value in rendered.items()}
    # Check mode gives up on a missing endpoint soon; other runs retry four times.
    environment.setdefault("AWS_MAX_ATTEMPTS", "2" if action._task.check_mode else "5")
    return environment


def aws_session(environment: Mapping[str, str], region: str | None = None, config: Config | None = None) -> AwsSession:
    """Return a session under `environment`, which is set in this process: the worker runs only this task."""
    os.environ.update(environment)
    return AwsSession(region or environment.get("AWS_REGION"), config)
