"""Do a failure on purpose, and watch until the system has answered it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.drill.connection_exhaustion import (
    Exhaustion,
    Program,
    SlowStatement,
    clear,
    exhaust,
    hold,
    recover,
    starve,
)
from fargate_ops.drill.faults import restart_database, stop_task
from fargate_ops.drill.rotation import change, former_user, users
from fargate_ops.drill.row_deletion import DeletedRows, check_rows, delete_rows
from fargate_ops.drill.steady_state import DrillError, observe
from fargate_ops.ecs.tasks import TaskError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import sleep_with_parent
from fargate_ops.state.ledger import LedgerError

DOCUMENTATION = """
---
action: drill_strike
short_description: Do a failure on purpose, and watch until the system has answered it
description:
  - C(task) stops one task of the service (StopTask) and waits until the service is whole again without it.
  - C(database) writes a row, restarts the instance (RebootDBInstance) and waits until C(/readyz) is right again.
  - C(sessions) leaks the application's sessions until the server has no connection left and C(/readyz) says 503;
    C(recovery) waits until it is right again, and tells what became of the leaked ones.
  - C(slow) starts a slow statement that others will wait for, C(starving) sees requests find no connection in their
    pool, C(cleared) waits until that is over.
  - C(rows) writes accounts, deletes them with the master user after a whole second, and writes others; C(restored)
    looks what the application has of them.
  - C(users) tells as whom the service's sessions are, C(former_user) as whom a task of the definition before a rotation
    logs in, C(secret) puts the value of the secret in use once more and waits until every task was replaced.
options:
  what:
    description: What is hit.
    required: true
    choices: [task, database, sessions, recovery, slow, starving, cleared, rows, restored, users, former_user, secret]
    type: str
  struck:
    description: What C(sessions), C(slow), C(rows) or the rotation returned, for what comes after it.
    default: {}
    type: dict
  stack:
    description: The fact C(terraform_stack_outputs).
    required: true
    type: dict
  bucket:
    description: The state bucket, in which the ledger lives.
    required: true
    type: str
  environment_name:
    description: The environment.
    required: true
    type: str
  limit_seconds:
    description: For how long to wait for the answer.
    default: 180
    type: float
  hold_seconds:
    description: How long the slow statement takes.
    default: 30
    type: float
"""

EXAMPLES = """
- name: Stop a task
  drill_strike:
    what: task
    stack: "{{ terraform_stack_outputs }}"
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
"""

RETURN = """
happened:
  description: What was hit, and how the system answered.
  type: dict
  returned: success
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION
    _supports_check_mode = False

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            happened = getattr(self, f"_strike_{args['what']}")(args)
        except (DrillError, TaskError, RuntimeError, ClientError, BotoCoreError, LedgerError) as error:
            environment = args["environment_name"]
            raise AnsibleActionFail(f"{environment}: {error}. Next: make status ENV={environment}") from error
        return {"changed": True, "happened": happened}

    def _strike_task(self, args: dict[str, Any]) -> dict[str, Any]:
        session = aws_session(action_environment(self), self.stack.region)
        return stop_task(
            session.client("ecs"),
            self.stack.cluster_name,
            lambda: observe(session, self.stack, args["bucket"], args["environment_name"]),
            args["limit_seconds"],
            display.display,
            sleep=sleep_with_parent(),
        ).to_plain()

    def _strike_database(self, args: dict[str, Any]) -> dict[str, Any]:
        session = aws_session(action_environment(self), self.stack.region)
        return restart_database(
            session.client("rds"),
            self.stack.database.instance_identifier,
            self.stack.public_url,
            args["limit_seconds"],
            display.display,
            sleep=sleep_with_parent(),
        ).to_plain()

    def _strike_sessions(self, args: dict[str, Any]) -> dict[str, Any]:
        return exhaust(self._program(args), *self._where(args), sleep=sleep_with_parent()).to_plain()

    def _strike_recovery(self, args: dict[str, Any]) -> dict[str, Any]:
        exhaustion = Exhaustion(**args["struck"])
        return recover(self._program(args), exhaustion, *self._where(args), sleep=sleep_with_parent()).to_plain()

    def _strike_slow(self, args: dict[str, Any]) -> dict[str, Any]:
        limit = float(args["limit_seconds"])
        return hold(self._program(args), args["hold_seconds"], limit, display.display).to_plain()

    def _strike_starving(self, args: dict[str, Any]) -> dict[str, Any]:
        url, limit, say = self._where(args)
        return {"answers": starve(url, str(args["struck"]["account"]), limit, say, sleep=sleep_with_parent())}

    def _strike_cleared(self, args: dict[str, Any]) -> dict[str, Any]:
        slow = SlowStatement(**args["struck"])
        return {"over": clear(self._program(args), slow, *self._where(args), sleep=sleep_with_parent())}

    def _strike_users(self, args: dict[str, Any]) -> dict[str, Any]:
        session = aws_session(action_environment(self), self.stack.region)
        return {"users": users(session, self.stack, float(args["limit_seconds"]), display.display)}

    def _strike_former_user(self, args: dict[str, Any]) -> dict[str, Any]:
        revision, limit = str(args["struck"]["previous_revision"]), float(args["limit_seconds"])
        return {"user": former_user(self._program(args), revision, limit, display.display)}

    def _strike_secret(self, args: dict[str, Any]) -> dict[str, Any]:
        session = aws_session(action_environment(self), self.stack.region)
        return change(
            session.client("secretsmanager"),
            str(args["struck"]["secret"]),
            lambda: observe(session, self.stack, args["bucket"], args["environment_name"]),
            args["limit_seconds"],
            display.display,
            sleep=sleep_with_parent(),
        )

    def _strike_rows(self, args: dict[str, Any]) -> dict[str, Any]:
        session = aws_session(action_environment(self), self.stack.region)
        _, limit, say = self._where(args)
        return delete_rows(session, self.stack, say, limit, sleep=sleep_with_parent()).to_plain()

    def _strike_restored(self, args: dict[str, Any]) -> dict[str, Any]:
        return check_rows(self.stack.public_url, DeletedRows(**args["struck"]))

    def _program(self, args: dict[str, Any]) -> Program:
        session = aws_session(action_environment(self), self.stack.region)
        return Program(session, self.stack, display.display, sleep=sleep_with_parent())

    def _where(self, args: dict[str, Any]) -> tuple[str, float, Callable[[str], None]]:
        return self.stack.public_url, float(args["limit_seconds"]), display.display
