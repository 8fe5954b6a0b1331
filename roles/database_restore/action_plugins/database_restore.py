"""Restore a database beside the one that serves: see what can be, decide, write it down, compare."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.core.problem import ProblemError
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
from fargate_ops.ecs.tasks import TaskError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import sleep_with_parent, whole_lines
from fargate_ops.terraform.stack import Stack

DOCUMENTATION = r"""
module: database_restore
short_description: Restore a database beside the one that serves
description:
  - C(choose) asks RDS what can be restored, refuses what cannot, and writes what was asked into the inventory's file;
    with none of C(time), C(snapshot), C(serve) and C(forget) it says what there is and changes nothing.
  - C(compare) surveys the restored database and its source by one-off tasks, says what is back and what is lost, and
    writes a report. It changes nothing.
options:
  phase: {type: str, required: true, choices: [choose, compare], description: Which.}
  stack: {type: dict, required: true, description: The fact C(terraform_stack_outputs).}
  environment_name: {type: str, required: true, description: The environment.}
  restores: {type: dict, default: {}, description: The inventory's C(database_restores).}
  serving: {type: str, default: "", description: The inventory's C(database_serving).}
  time: {type: str, default: "", description: "The second to restore, ISO 8601 with its zone."}
  snapshot: {type: str, default: "", description: The snapshot to restore.}
  serve: {type: str, default: "", description: "The key of the database that is to serve, or C(original)."}
  forget: {type: str, default: "", description: The key of a restored database that is not wanted any more.}
  file: {type: path, default: "", description: "The inventory's file, for C(choose)."}
  key: {type: str, default: "", description: "The restored database, for C(compare)."}
  directory: {type: path, default: "", description: "Where reports go, for C(compare)."}
  wait_seconds: {type: float, default: 900, description: How long a survey may take.}
  poll_seconds: {type: float, default: 3, description: About how many seconds lie between two looks at its task.}
"""

EXAMPLES = r"""
- name: Restore a second
  database_restore:
    phase: choose
    stack: "{{ terraform_stack_outputs }}"
    environment_name: local
    time: 2026-11-24T10:15:00Z
    file: inventory/local/group_vars/all/database_restores.yml
"""

RETURN = r"""
key: {description: "The restored database; empty when none was asked for.", type: str, returned: for the phase choose}
restores: {description: The inventory's C(database_restores) now., type: dict, returned: for the phase choose}
serving: {description: The inventory's C(database_serving) now., type: str, returned: for the phase choose}
applied: {description: "And what was applied, which a restore leaves.", type: str, returned: for the phase choose}
comparison: {description: "What is lost and what is back, by table.", type: dict, returned: for the phase compare}
report: {description: The report's path., type: str, returned: for the phase compare}
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        environment, stack = args["environment_name"], self.stack
        if not stack:
            raise AnsibleActionFail(f"{environment}: nothing is deployed here. Next: make deploy ENV={environment}")
        if not stack.get(Stack.database_instances, {}):
            raise AnsibleActionFail(
                f"{environment}: the infrastructure was applied by an older version of this project. "
                f"Next: make deploy ENV={environment}"
            )
        session = aws_session(action_environment(self), stack.region)
        say, phase = whole_lines(display.display), args["phase"]
        inventory = Inventory.from_variables(args["restores"], args["serving"])
        try:
            if phase == "choose":
                return self._choose(session, args, inventory, say)
            return self._compare(session, args, inventory, say)
        except (ProblemError, TaskError, ClientError, BotoCoreError) as error:
            said = "\n".join(f"  | {line}" for line in getattr(error, "output", [])[-10:])
            where = f". Next: make status ENV={environment}" if not isinstance(error, ProblemError) else ""
            raise AnsibleActionFail(f"{environment}: {error}{where}\n{said}".rstrip()) from error

    def _choose(self, session: Any, args: Mapping[str, Any], inventory: Inventory, say: Any) -> dict[str, Any]:
        environment, check = args["environment_name"], self.check_mode
        databases = self.stack.database_instances
        if inventory.serving not in databases:
            raise ProblemError(
                f"The inventory says that {inventory.serving} serves, and it is not there; nothing was touched.",
                f"database_serving in {Path(args['file']).name}",
                f"make deploy ENV={environment}",
            )
        source = databases[inventory.serving].instance_identifier
        wanted, key = inventory, ""
        if args["serve"]:
            wanted = with_serving(environment, inventory, args["serve"])
        elif args["forget"]:
            wanted = without(environment, inventory, args["forget"])
        elif args["time"] or args["snapshot"]:
            possible = self._possible(session, args, source)
            wanted, key = with_restore(environment, inventory, possible, time=args["time"], snapshot=args["snapshot"])
        else:
            say("\n".join(menu(environment, inventory, self._possible(session, args, source))))
        asked = any(args[name] for name in ("serve", "forget", "time", "snapshot"))
        changed = asked and inventory_file.write(Path(args["file"]), wanted, preview=check)
        name = Path(args["file"]).name
        if changed:
            say(f"  {'would write' if check else 'wrote'} {name} of the inventory: commit it")
        if args["serve"]:
            say(
                f"{environment}: the inventory says that {wanted.serving or 'the original'} serves. "
                f"Next: commit {name}, then make deploy ENV={environment}"
            )
        if args["forget"]:
            allow = f"terraform_stack_allow=module.rds.aws_db_instance.restored[{args['forget']}]"
            say(
                f"{environment}: {args['forget']} is not wanted any more; it is still there. To remove it "
                f"(deletion_protection: false, deployed first): make deploy ENV={environment} ARGS='-e {allow}'"
            )
        return {
            "changed": changed,
            "key": key,
            "restores": {key: restore.to_plain() for key, restore in wanted.restores.items()},
            "serving": wanted.serving,
            "applied": _applied(self.stack),
        }

    def _possible(self, session: Any, args: Mapping[str, Any], source: str) -> RestorePoints:
        instances = [item.instance_identifier for item in self.stack.database_instances.values()]
        return read_restore_points(session.client("rds"), source, instances, args["snapshot"], datetime.now(UTC))

    def _compare(self, session: Any, args: Mapping[str, Any], inventory: Inventory, say: Any) -> dict[str, Any]:
        environment, key, stack = args["environment_name"], args["key"], self.stack
        if self.check_mode:
            say(f"  would survey {key} and its source: no task is started in check mode")
            return {"comparison": {}, "report": ""}
        restore = inventory.restores[key]
        databases = stack.database_instances
        restored, source = databases[key], databases[restore.source]
        point = time_of(session.client("rds"), key, restore)
        reader = TableStatsReader(
            session,
            stack,
            _quiet,
            wait_seconds=args["wait_seconds"],
            poll_seconds=args["poll_seconds"],
            sleep=sleep_with_parent(),
        )
        found = comparison.Comparison(restored=reader.read(restored, point), source=reader.read(source, point))
        serves = _applied(stack) == key
        name, origin = restored.instance_identifier, source.instance_identifier
        title = f"{name} has {origin} as it was at {comparison.second(point)}"
        say("\n".join([title, *comparison.lines(found, serves=serves)]))
        back = restore.source or ORIGINAL
        next_command = f"make restore ENV={environment} ARGS='-e restore_serving={back if serves else key}'"
        state = f"{name if serves else stack.database.instance_identifier} serves; {origin} is kept as it is"
        directory = Path(args["directory"])
        directory.mkdir(parents=True, exist_ok=True)
        report = directory / f"{key}.md"
        facts = [f"{environment}, looked at {comparison.second(datetime.now(UTC))}", restore.text, state]
        report.write_text(
            comparison.markdown([title, *facts], found, serves=serves, next_command=next_command), encoding="utf-8"
        )
        purpose = "To go back" if serves else "To let it serve"
        say(f"  {state}\n  report     {report}\n  {purpose}: {next_command}, then make deploy ENV={environment}")
        return {"comparison": found.to_plain(), "report": str(report)}


def _applied(stack: Stack) -> str:
    """The key of the database that serves by what was applied; the inventory may be ahead of it."""
    serving = stack.database.instance_identifier
    databases = stack.database_instances.items()
    return next(key for key, database in databases if database.instance_identifier == serving)


def _quiet(line: str) -> None:
    """The surveys' own lines are JSON for this program."""
