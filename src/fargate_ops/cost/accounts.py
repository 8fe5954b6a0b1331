"""The accounts and regions of a report, and their AWS clients: by the play's credentials or an assumed role."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.session import get_session

from fargate_ops.aws.session import client_config

SESSION_NAME = "fargate-cost-report"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One account. ``role_arn`` is the role to assume there; empty for the play's own credentials."""

    account_id: str
    regions: Sequence[str]
    role_arn: str = ""


class AccountClients:
    """Clients of one account, each created once. Thread-safe."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str) -> Any:
        with self._lock:
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = self._session.client(service, region_name=region, config=client_config())
            return self._clients[key]


class Accounts:
    """The clients of every target. A role is assumed at its first call, so a refusal becomes that call's gap."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._session = session or boto3.Session()
        self._clients: dict[Target, AccountClients] = {}

    def of(self, target: Target) -> AccountClients:
        target = Target(account_id=target.account_id, regions=tuple(target.regions), role_arn=target.role_arn)
        if target not in self._clients:
            session = self._assume(target) if target.role_arn else self._session
            self._clients[target] = AccountClients(session)
        return self._clients[target]

    def _assume(self, target: Target) -> boto3.Session:
        own = self._session._session
        fetcher = AssumeRoleCredentialFetcher(
            own.create_client,
            self._session.get_credentials(),
            target.role_arn,
            extra_args={"RoleSessionName": SESSION_NAME},
        )
        assumed = get_session()
        assumed._credentials = DeferredRefreshableCredentials(
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
        return boto3.Session(botocore_session=assumed)
