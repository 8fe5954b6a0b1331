"""Deletes real rows by mistake, and looks whether a restore has brought them back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.project import ROLES
from fargate_ops.drill.client import Ask, ask, has_account
from fargate_ops.ecs.tasks import OneOff, Runner
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]

FILE = ROLES / "drill/files/delete.py"
DELETED, LATER = 5, 3
LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """Accounts that were deleted after ``point``, a whole second; and those written after that, with their seconds."""

    point: str
    deleted: list[str]
    later: list[str]
    first: str
    last: str

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def make(
    clients: Clients,
    stack: Stack,
    say: Say,
    limit_seconds: float,
    *,
    how: Ask = ask,
    sleep: Callable[[float], None],
) -> Mistake:
    """Write accounts, delete them with the master user, write others.

    Raises:
        RuntimeError: the application did not take a row, or not exactly those rows were deleted.
        TaskError: the task that deletes could not be run.
    """
    url, mark = stack.public_url, f"drill restore {uuid.uuid4()}"
    written = [_account(url, mark, how) for _ in range(DELETED)]
    ecs, container = clients.client("ecs"), stack.container_name
    runner = Runner(ecs, clients.client("logs"), say, poll_seconds=LOOK_SECONDS, sleep=sleep)
    task = runner.start(
        OneOff(
            cluster=stack.cluster_name,
            task_definition=ecs.describe_task_definition(taskDefinition=stack.admin_family)["taskDefinition"][
                "taskDefinitionArn"
            ],
            container=container,
            command=["python", "-c", FILE.read_text(encoding="utf-8")],
            environment={"MARK": mark},
            subnets=stack.private_subnet_ids,
            security_groups=stack.admin_security_group_ids,
            started_by=f"{stack.name_prefix}-drill",
        )
    )
    finished = runner.follow(stack.cluster_name, container, task, limit_seconds)
    if finished.stop.exit_code != 0:
        raise RuntimeError(f"the rows could not be deleted: {finished.stop}")
    told = json.loads(finished.output[-1])
    left = [account["id"] for account in written if has_account(url, account["id"], how)]
    if told["deleted"] != DELETED or left:
        raise RuntimeError(f"{told['deleted']} rows were deleted, {DELETED} should be; {len(left)} are still there")
    later = [_account(url, mark, how) for _ in range(LATER)]
    say(f"deleted {DELETED} accounts after {told['point']}, and wrote {LATER} others")
    return Mistake(
        point=told["point"],
        deleted=[account["id"] for account in written],
        later=[account["id"] for account in later],
        first=_second(later[0]),
        last=_second(later[-1]),
    )


def look(url: str, mistake: Mistake, how: Ask = ask) -> dict[str, Any]:
    """What the application has of these accounts now, and whether it takes a new one."""
    return {
        "back": sum(has_account(url, account, how) for account in mistake.deleted),
        "later": sum(has_account(url, account, how) for account in mistake.later),
        "takes": has_account(url, _account(url, "drill restored", how)["id"], how),
    }


def _account(url: str, name: str, how: Ask) -> dict[str, str]:
    status, body = how("POST", f"{url}/v1/accounts", {"name": name, "currency": "KRW"})
    if status != 201:
        raise RuntimeError(f"{url}/v1/accounts answered {status or 'not at all'}: {body[:200]}")
    account: dict[str, str] = json.loads(body)
    return account


def _second(account: Mapping[str, str]) -> str:
    """2026-11-24T10:15:04.123456Z -> 2026-11-24T10:15:04Z"""
    return f"{account['created_at'][:19]}Z"
