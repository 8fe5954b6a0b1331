"""Seed a month that is over, judge what the cost report says of it, and take it away again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import AwsSession, action_environment, aws_session
from fargate_ops.drill import cost_surge as surge
from fargate_ops.drill.cost_surge_checks import scene, verdict
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: drill_surge
short_description: Seed a month that is over, judge the cost report of it, and take it away again
description:
  - C(announce) says what will be done and what is expected. C(seed) puts the costs and recommendations of
    C(fargate_ops.drill.cost_surge) into the local cloud, with a budget, a gp2 volume and an address that nobody uses.
    C(judge) compares the report with the known answer and fails when it differs. C(remove) leaves all as it was.
options:
  phase:
    description: Which one.
    required: true
    choices: [announce, seed, judge, remove]
    type: str
  environment_name:
    description: The environment.
    required: true
    type: str
  account_id:
    description: The account, for C(seed) and C(remove).
    default: ""
    type: str
  region:
    description: The region, for C(seed) and C(remove).
    default: ""
    type: str
  seeded:
    description: What C(seed) returned, for C(judge) and C(remove).
    default: {}
    type: dict
  report:
    description: The fact C(cost_report_result), for C(judge).
    default: {}
    type: dict
"""

EXAMPLES = """
- name: Seed the month
  drill_surge:
    phase: seed
    environment_name: local
    account_id: "000000000000"
    region: ap-northeast-2
  register: seeded
"""

RETURN = """
go:
  description: Whether to do it, which check mode does not.
  type: bool
  returned: for the phase announce
seeded:
  description: What was made, and the costs that were there before.
  type: dict
  returned: for the phase seed
verdict:
  description: The last line.
  type: str
  returned: for the phase judge
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        if args["phase"] == "announce":
            display.display("\n".join(scene()), color="bright blue")
            return {"go": not self.check_mode}
        if args["phase"] == "judge":
            return _judge(args)
        environment = action_environment(self)
        address = environment.get("AWS_ENDPOINT_URL_COST_EXPLORER", "")
        if not address:
            raise AnsibleActionFail(
                f"{args['environment_name']}: the costs are AWS's own here, and cannot be seeded. "
                "Next: make drill DRILL=cost_surge ENV=local"
            )
        session = aws_session(environment, args["region"])
        try:
            if args["phase"] == "seed":
                return {"seeded": _seed(session, address, args)}
            _remove(session, address, args)
        except (ClientError, BotoCoreError, urllib.error.URLError) as error:
            raise AnsibleActionFail(
                f"{args['environment_name']}: the local cloud does not take the seed: {error}. Next: make infra"
            ) from None
        return {}


def _seed(session: AwsSession, address: str, args: dict[str, Any]) -> dict[str, Any]:
    account, region = args["account_id"], args["region"]
    before = _costs(address)
    _costs(address, surge.document(account, region))
    budget = {
        "BudgetName": surge.BUDGET,
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": surge.BUDGET_USD, "Unit": "USD"},
    }
    with suppress(session.client("budgets").exceptions.DuplicateRecordException):  # left by a drill that was killed
        session.client("budgets").create_budget(AccountId=account, Budget=budget, NotificationsWithSubscribers=[])
    ec2 = session.client("ec2")
    owned = [{"Key": "Owner", "Value": "drill"}]
    volume = ec2.create_volume(
        AvailabilityZone=f"{region}a",
        Size=100,
        VolumeType="gp2",
        TagSpecifications=[{"ResourceType": "volume", "Tags": owned}],
    )
    allocation = ec2.allocate_address(Domain="vpc")
    return {"costs": before, "volume": volume["VolumeId"], "address": allocation["AllocationId"]}


def _remove(session: AwsSession, address: str, args: dict[str, Any]) -> None:
    """Each part of it, whatever became of the others; what is gone already is gone."""
    seeded, ec2 = args["seeded"], session.client("ec2")
    steps: list[Callable[[], Any]] = [
        lambda: _costs(address, seeded.get("costs") or {}),
        lambda: session.client("budgets").delete_budget(AccountId=args["account_id"], BudgetName=surge.BUDGET),
    ]
    if seeded:
        steps += [
            lambda: ec2.delete_volume(VolumeId=seeded["volume"]),
            lambda: ec2.release_address(AllocationId=seeded["address"]),
        ]
    for step in steps:
        with suppress(ClientError):
            step()


def _judge(args: dict[str, Any]) -> dict[str, Any]:
    kept, lines = verdict(args["report"], args["seeded"])
    display.display("\n".join(lines), color="green" if kept else "red")
    if not kept:
        raise AnsibleActionFail(
            f"{args['environment_name']}: {lines[-1]}. Next: make cost-report ENV={args['environment_name']}"
        )
    return {"verdict": lines[-1]}


def _costs(address: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
    """The local cloud's document of costs; `document` is put there first. See src/local_cloud/moto_server/costs.py."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(  # noqa: S310 - the inventory's own address
        f"{address}/_costs", data=body, method="GET" if body is None else "PUT"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found
