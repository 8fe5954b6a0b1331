"""Put the cost surge into the local cloud, and remove it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import OperationsError
from fargate_ops.drill import cost_surge as surge


def require_address(environment: Mapping[str, str]) -> str:
    """Return the address of the local cloud's billing data.

    Raises:
        OperationsError: this environment uses the billing data of AWS.
    """
    address = environment.get("AWS_ENDPOINT_URL_COST_EXPLORER", "")
    if not address:
        raise OperationsError("AWS's own billing data cannot be seeded. Next: make drill DRILL=cost_surge ENV=local")
    return address


def seed(clients: Clients, address: str, account: str, region: str) -> dict[str, Any]:
    """Create costs, recommendations, a budget, a gp2 volume and an unused address; return what `remove` needs."""
    before = costs(address)
    costs(address, surge.document(account, region))
    budget = {
        "BudgetName": surge.BUDGET,
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": surge.BUDGET_USD, "Unit": "USD"},
    }
    budgets, ec2 = clients.client("budgets"), clients.client("ec2")
    with suppress(budgets.exceptions.DuplicateRecordException):  # left by a drill that was killed
        budgets.create_budget(AccountId=account, Budget=budget, NotificationsWithSubscribers=[])
    volume = ec2.create_volume(
        AvailabilityZone=f"{region}a",
        Size=100,
        VolumeType="gp2",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Owner", "Value": "drill"}]}],
    )
    allocation = ec2.allocate_address(Domain="vpc")
    return {"costs": before, "volume": volume["VolumeId"], "address": allocation["AllocationId"]}


def remove(clients: Clients, address: str, account: str, seeded: Mapping[str, Any]) -> None:
    """Remove each part independently of the others. A part that no longer exists is no error."""
    ec2 = clients.client("ec2")
    steps: list[Callable[[], Any]] = [
        lambda: costs(address, seeded.get("costs") or {}),
        lambda: clients.client("budgets").delete_budget(AccountId=account, BudgetName=surge.BUDGET),
    ]
    if seeded:
        steps += [
            lambda: ec2.delete_volume(VolumeId=seeded["volume"]),
            lambda: ec2.release_address(AllocationId=seeded["address"]),
        ]
    for step in steps:
        with suppress(ClientError):
            step()


def costs(address: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the local cloud's billing data, after replacing it with `document` if given.

    See src/local_cloud/moto_server/costs.py.

    Raises:
        OperationsError: it does not answer, or refuses the document.
    """
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(  # noqa: S310 - the inventory's own address
        f"{address}/_costs", data=body, method="GET" if body is None else "PUT"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
    except urllib.error.URLError as error:
        raise OperationsError(f"the local cloud does not take the seed: {error}. Next: make infra") from error
    return found
