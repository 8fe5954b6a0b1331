"""The two steps of a restore: write a restore point into the inventory, and compare the result with its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.aws.pace import POLL_SECONDS
from fargate_ops.core.application import Application
from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.core.problem import OperationsError, ProblemError
from fargate_ops.database.restore import comparison, inventory_file
from fargate_ops.database.restore.restore_points import read_restore_points, time_of
from fargate_ops.database.restore.table_stats import TableStatsReader
from fargate_ops.database.restore.target import (
    ORIGINAL,
    Inventory,
    RestorePoints,
    menu,
    with_restore,
    with_serving,
    without,
)
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The requested action, at most one of these; none of them lists the restore points."""

    time: str = ""
    snapshot: str = ""
    serve: str = ""
    forget: str = ""

    def __bool__(self) -> bool:
        return any((self.time, self.snapshot, self.serve, self.forget))


def require_databases(stack: Stack) -> None:
    """Raise an `OperationsError` if the infrastructure has no list of databases."""
    if not stack.get(Stack.database_instances, {}):
        raise OperationsError(
            "the infrastructure was applied by an older version of this project. "
            f"Next: make deploy ENV={stack.environment}"
        )


def choose(
    clients: Clients, stack: Stack, inventory: Inventory, wish: Wish, file: Path, say: Say, *, preview: bool
) -> dict[str, Any]:
    """Write the requested action into the inventory's file, or list the restore points.

    Return the ``outcome``, ``changed``, the ``key`` of the database to restore, the inventory's new ``restores`` and
    ``serving``, and ``applied``, the key of the database that serves now.

    Raises:
        ProblemError: the request is impossible.
    """
    environment, name = stack.environment, file.name
    if inventory.serving not in stack.database_instances:
        raise ProblemError(
            f"The inventory says that {inventory.serving} serves, but it does not exist; nothing was changed.",
            f"database_serving in {name}",
            f"make deploy ENV={environment}",
        )
    wanted, key = inventory, ""
    if wish.serve:
        wanted = with_serving(environment, inventory, wish.serve)
    elif wish.forget:
        wanted = without(environment, inventory, wish.forget)
    else:
        possible = _possible(clients, stack, inventory, wish.snapshot)
        if wish:
            wanted, key = with_restore(environment, inventory, possible, time=wish.time, snapshot=wish.snapshot)
        else:
            say("\n".join(menu(environment, inventory, possible)))
    changed = bool(wish) and inventory_file.write(file, wanted, preview=preview)
    if changed:
        say(f"  {'would write' if preview else 'wrote'} {name} of the inventory: commit it")
    end, deploy = Outcome(kind=Kind.DONE, what="listed the restore points"), f"make deploy ENV={environment}"
    if wish.serve:
        what = f"the inventory says that {wanted.serving or 'the original'} serves"
        end = replace(end, what=what, next=f"commit {name}, then {deploy}")
    if wish.forget:
        what = f"{wish.forget} is no longer in the inventory, but it still exists"
        allow = f"terraform_stack_allow=module.rds[0].aws_db_instance.restored[{wish.forget}]"
        removal = f"{deploy} ARGS='-e {allow}', which removes it (deletion_protection: false, deployed first)"
        end = replace(end, what=what, next=removal)
    return {
        "outcome": end,
        "changed": changed,
        "key": key,
        "restores": {key: restore.to_plain() for key, restore in wanted.restores.items()},
        "serving": wanted.serving,
        "applied": applied(stack),
    }


def compare(
    clients: Clients,
    stack: Stack,
    application: Application,
    inventory: Inventory,
    key: str,
    directory: Path,
    say: Say,
    *,
    wait_seconds: float,
    sleep: Callable[[float], None],
    poll_seconds: float | None = None,
) -> dict[str, Any]:
    """Compare the restored database with its source, print restored and missing rows, and write a report.

    Return the ``outcome``, the ``comparison`` and the path of the ``report``.

    Raises:
        TaskError: a task that collects the table statistics failed or did not end.
    """
    environment, restore = stack.environment, inventory.restores[key]
    restored, source = stack.database_instances[key], stack.database_instances[restore.source]
    point = time_of(clients.client("rds"), key, restore)
    # The output of these tasks is JSON, which is not printed.
    reader = TableStatsReader(
        clients,
        stack,
        application,
        lambda line: None,
        wait_seconds=wait_seconds,
        poll_seconds=poll_seconds or POLL_SECONDS,
        sleep=sleep,
    )
    found = comparison.Comparison(restored=reader.read(restored, point), source=reader.read(source, point))
    serves = applied(stack) == key
    name, origin = restored.instance_identifier, source.instance_identifier
    title = f"{name} has {origin} as it was at {comparison.second(point)}"
    say("\n".join([title, *comparison.lines(found, serves=serves)]))
    back = restore.source or ORIGINAL
    next_command = f"make restore ENV={environment} ARGS='-e restore_serving={back if serves else key}'"
    state = f"{name if serves else stack.database.instance_identifier} serves; {origin} is kept as it is"
    facts = [f"{environment}, looked at {comparison.second(datetime.now(UTC))}", restore.text, state]
    directory.mkdir(parents=True, exist_ok=True)
    report = directory / f"{key}.md"
    report.write_text(
        comparison.markdown([title, *facts], found, serves=serves, next_command=next_command), encoding="utf-8"
    )
    purpose = "To go back" if serves else "To let it serve"
    say(f"  {state}\n  report     {report}\n  {purpose}: {next_command}, then make deploy ENV={environment}")
    end = Outcome(kind=Kind.DONE, what=title, facts={"report": str(report)})
    return {"outcome": end, "comparison": found.to_plain(), "report": str(report)}


def applied(stack: Stack) -> str:
    """Return the key of the database that serves now. The inventory may already name the next one."""
    serving = stack.database.instance_identifier
    databases = stack.database_instances.items()
    return next(key for key, database in databases if database.instance_identifier == serving)


def _possible(clients: Clients, stack: Stack, inventory: Inventory, snapshot: str) -> RestorePoints:
    databases = stack.database_instances
    source = databases[inventory.serving].instance_identifier
    instances = [item.instance_identifier for item in databases.values()]
    return read_restore_points(clients.client("rds"), source, instances, snapshot, datetime.now(UTC))
