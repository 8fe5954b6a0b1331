"""A simulated AWS on a real port: moto's server behind the local cloud's cost APIs with seeded billing data."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest

from fargate_ops.cost.accounts import Accounts, Target
from fargate_ops.cost.report import Report, Settings, gather
from fargate_ops.drill import cost_surge
from local_cloud.moto_server.costs import Costs, major_engine_versions

REGION = "ap-northeast-2"
ACCOUNT = "123456789012"  # moto's

#: RDS's lifecycles of the three major versions used here.
ENGINES = [
    {
        "Engine": "postgres",
        "MajorEngineVersion": major,
        "SupportedEngineLifecycles": [
            {
                "LifecycleSupportName": "open-source-rds-standard-support",
                "LifecycleSupportStartDate": "2020-01-01T00:00:00Z",
                "LifecycleSupportEndDate": f"{end}T00:00:00Z",
            },
            {
                "LifecycleSupportName": "open-source-rds-extended-support",
                "LifecycleSupportStartDate": f"{start}T00:00:00Z",
                "LifecycleSupportEndDate": "2030-01-01T00:00:00Z",
            },
        ],
    }
    for major, end, start in (
        ("12", "2024-02-29", "2024-03-01"),
        ("13", "2026-02-28", "2026-03-01"),
        ("17", "2030-02-28", "2030-03-01"),
    )
]
assert major_engine_versions(ENGINES)


@dataclass
class Cloud:
    """The seeded cloud, its report, and every operation that the report called."""

    url: str
    session: boto3.Session
    calls: set[tuple[str, str]] = field(default_factory=set)

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.url)

    def seed(self, **changes: Any) -> None:
        """Seed the billing data, with other values for some keys of the document."""
        document = cost_surge.document(ACCOUNT, REGION) | {"engine_versions": ENGINES} | changes
        self._request("/_costs", "PUT", json.dumps(document).encode())

    def reset(self) -> None:
        self._request("/moto-api/reset", "POST", b"")
        self.seed()

    def budget(self, name: str = cost_surge.BUDGET, limit: str = cost_surge.BUDGET_USD) -> None:
        budget = {
            "BudgetName": name,
            "BudgetType": "COST",
            "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": limit, "Unit": "USD"},
        }
        self.client("budgets").create_budget(AccountId=ACCOUNT, Budget=budget, NotificationsWithSubscribers=[])

    def report(self, *targets: Target, **changes: Any) -> Report:
        self.session.events.register("before-call", self._record, unique_id="report")
        settings = replace(Settings(environment="staging", today=cost_surge.TODAY), **changes)
        try:
            return gather(Accounts(self.session), targets or [Target(account_id=ACCOUNT, regions=(REGION,))], settings)
        finally:
            self.session.events.unregister("before-call", self._record, unique_id="report")

    def _record(self, model: Any, **_: Any) -> None:
        self.calls.add((model.service_model.service_id, model.name))

    def _request(self, path: str, method: str, body: bytes) -> None:
        request = urllib.request.Request(self.url + path, data=body, method=method)
        urllib.request.urlopen(request, timeout=10).read()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", 0, Costs(DomainDispatcherApplication(create_backend_app)), threaded=True)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """Return one session for all tests: loading the service models takes longer than most tests."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


@pytest.fixture
def cloud(server: str, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    here = Cloud(server, session)
    here.reset()
    return here
