"""Delete real rows, and check whether a restore has brought them back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import OperationsError
from fargate_ops.core.project import ROLES
from fargate_ops.drill.client import HttpCall, has_account, http_call
from fargate_ops.ecs.one_off import admin_task, newest_admin_definition
from fargate_ops.ecs.tasks import Runner
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]

FILE = ROLES / "drill/files/delete.py"
DELETED, LATER = 5, 3
POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class DeletedRows:
    """Accounts deleted after ``point``, a full second, and those written ``later``, from ``first`` to ``last``."""

    point: str
    deleted: list[str]
    later: list[str]
    first: str
    last: str

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def delete_rows(
    clients: Clients,
    stack: Stack,
    say: Say,
    limit_seconds: float,
    *,
    call: HttpCall = http_call,
    sleep: Callable[[float], None],
) -> DeletedRows:
    """Write accounts, delete them as the master user, and write others.

    Raises:
        OperationsError: the application rejected a row, or other rows than those were deleted.
        TaskError: the deleting task could not be run.
    """
    url, mark = stack.public_url, f"drill restore {uuid.uuid4()}"
    written = [_account(url, mark, call) for _ in range(DELETED)]
    ecs = clients.client("ecs")
    runner = Runner(ecs, clients.client("logs"), say, poll_seconds=POLL_SECONDS, sleep=sleep)
    revision = str(newest_admin_definition(ecs, stack)["taskDefinitionArn"])
    command = ["python", "-c", FILE.read_text(encoding="utf-8")]
    what = admin_task(stack, revision, command, purpose="drill", environment={"MARK": mark})
    finished = runner.run(what, limit_seconds)
    if finished.stop.exit_code != 0:
        raise OperationsError(f"the rows could not be deleted: {finished.stop}")
    result = json.loads(finished.output[-1])
    left = [account["id"] for account in written if has_account(url, account["id"], call)]
    if result["deleted"] != DELETED or left:
        raise OperationsError(
            f"{result['deleted']} rows were deleted, {DELETED} should be; {len(left)} are still there"
        )
    later = [_account(url, mark, call) for _ in range(LATER)]
    say(f"deleted {DELETED} accounts after {result['point']}, and wrote {LATER} others")
    return DeletedRows(
        point=result["point"],
        deleted=[account["id"] for account in written],
        later=[account["id"] for account in later],
        first=_second(later[0]),
        last=_second(later[-1]),
    )


def check_rows(url: str, rows: DeletedRows, call: HttpCall = http_call) -> dict[str, Any]:
    """Count the accounts that the application has now, and check whether it accepts a new one."""
    return {
        "back": sum(has_account(url, account, call) for account in rows.deleted),
        "later": sum(has_account(url, account, call) for account in rows.later),
        "takes": has_account(url, _account(url, "drill restored", call)["id"], call),
    }


def _account(url: str, name: str, call: HttpCall) -> dict[str, str]:
    status, body = call("POST", f"{url}/v1/accounts", {"name": name, "currency": "KRW"})
    if status != 201:
        raise OperationsError(f"{url}/v1/accounts answered {status or 'not at all'}: {body[:200]}")
    account: dict[str, str] = json.loads(body)
    return account


def _second(account: Mapping[str, str]) -> str:
    """2026-11-24T10:15:04.123456Z -> 2026-11-24T10:15:04Z"""
    return f"{account['created_at'][:19]}Z"
