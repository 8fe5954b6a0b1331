"""Delete rows of a table of the drill's own, and check whether a restore has brought them back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import OperationsError
from fargate_ops.drill.connection_exhaustion import source
from fargate_ops.ecs.one_off import admin_task, newest_admin_definition
from fargate_ops.ecs.tasks import Runner
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]

#: The table, which the program creates.
TABLE = "drill_rows"
DELETED, LATER = 5, 3
POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class DeletedRows:
    """Rows deleted after ``point``, a full second, and those written ``later``, from ``first`` to ``last``."""

    point: str
    deleted: int
    later: int
    first: str
    last: str

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


class Rows:
    """The drill's table in the database that serves, by one-off admin tasks."""

    def __init__(
        self, clients: Clients, stack: Stack, say: Say, limit_seconds: float, *, sleep: Callable[[float], None]
    ) -> None:
        self._ecs, self._stack, self._say, self._limit = clients.client("ecs"), stack, say, limit_seconds
        self._runner = Runner(self._ecs, clients.client("logs"), say, poll_seconds=POLL_SECONDS, sleep=sleep)

    def delete(self) -> DeletedRows:
        """Write rows, delete them as the master user, and write others.

        Raises:
            OperationsError: other rows than those were deleted.
            TaskError: the task could not be run.
        """
        rows = DeletedRows(**json.loads(self._run("delete")[-1]))
        if rows.deleted != DELETED:
            raise OperationsError(f"{rows.deleted} rows were deleted, {DELETED} should be")
        self._say(f"deleted {rows.deleted} rows of {TABLE} after {rows.point}, and wrote {rows.later} others")
        return rows

    def count(self) -> dict[str, int]:
        """Count the deleted rows that are ``back``, and those written ``later``. Raises as `delete`."""
        counted: dict[str, int] = json.loads(self._run("count")[-1])
        return counted

    def drop(self) -> None:
        """Drop the table. Raises as `delete`."""
        self._run("drop")

    def _run(self, step: str) -> list[str]:
        revision = str(newest_admin_definition(self._ecs, self._stack)["taskDefinitionArn"])
        values = {"STEP": step, "DELETED": str(DELETED), "LATER": str(LATER)}
        command = ["python", "-c", source("rows.py")]
        what = admin_task(self._stack, revision, command, purpose="drill", environment=values)
        finished = self._runner.run(what, self._limit)
        if finished.stop.exit_code != 0:
            raise OperationsError(f"the drill's rows: {step} failed: {finished.stop}")
        return finished.output
