"""Table statistics of a database, by a one-off admin task in its network, with that database's master secret.

RunTask cannot override secrets, so a database that does not serve needs its own revision: a copy of the admin family's
newest, deregistered after its task. Releases ignore it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.aws.pace import POLL_SECONDS
from fargate_ops.core.application import Application
from fargate_ops.database.restore.comparison import TableStats, parse_table_stats
from fargate_ops.ecs.one_off import admin_task, newest_admin_definition
from fargate_ops.ecs.task_definition import READ_ONLY
from fargate_ops.ecs.tasks import Runner, TaskError
from fargate_ops.terraform.stack import DatabaseInstance, Stack


def for_database(definition: Mapping[str, Any], container: str, database: DatabaseInstance) -> dict[str, Any]:
    """Return RegisterTaskDefinition's arguments: `definition` with the host and master secret of `database`."""
    secret = database.master_secret_arn
    values = {"DATABASE_HOST": database.host, "DATABASE_INSTANCE": database.instance_identifier}
    secrets = {"MASTER_USERNAME": f"{secret}:username::", "MASTER_PASSWORD": f"{secret}:password::"}
    copy = {name: value for name, value in definition.items() if name not in READ_ONLY}
    copy["containerDefinitions"] = [
        item
        if item["name"] != container
        else {
            **item,
            "environment": [pair | {"value": values.get(pair["name"], pair["value"])} for pair in item["environment"]],
            "secrets": [pair | {"valueFrom": secrets.get(pair["name"], pair["valueFrom"])} for pair in item["secrets"]],
        }
        for item in copy["containerDefinitions"]
    ]
    return copy


class TableStatsReader:
    """Reads the table statistics of databases, one at a time."""

    def __init__(
        self,
        clients: Clients,
        stack: Stack,
        application: Application,
        say: Callable[[str], None],
        *,
        wait_seconds: float,
        poll_seconds: float = POLL_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ecs, self._stack, self._wait = clients.client("ecs"), stack, wait_seconds
        self._application = application
        self._runner = Runner(self._ecs, clients.client("logs"), say, poll_seconds=poll_seconds, sleep=sleep)

    def read(self, database: DatabaseInstance, after: datetime) -> TableStats:
        """Return the tables' rows, and those written after `after`. Raises TaskError and botocore's ClientError."""
        container = self._stack.container_name
        definition = newest_admin_definition(self._ecs, self._stack)
        wanted = for_database(definition, container, database)
        same = wanted["containerDefinitions"] == definition["containerDefinitions"]
        revision = definition["taskDefinitionArn"] if same else self._register(wanted)
        try:
            command = self._application.admin("survey", "--after", after.isoformat())
            what = admin_task(self._stack, revision, command, purpose="restore")
            finished = self._runner.run(what, self._wait)
        finally:
            if not same:
                self._ecs.deregister_task_definition(taskDefinition=revision)
        name = database.instance_identifier
        if finished.stop.exit_code != 0:
            raise TaskError(f"reading the table statistics of {name} failed: {finished.stop}", finished.output)
        try:
            return parse_table_stats(finished.output)
        except ValueError as error:
            raise TaskError(f"{name}: {error}", finished.output) from error

    def _register(self, definition: Mapping[str, Any]) -> str:
        return str(self._ecs.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"])
