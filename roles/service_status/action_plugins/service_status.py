"""Show what runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from fargate_ops.aws.session import AwsSession, action_environment, aws_session
from fargate_ops.ecs.rollout import ServiceError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.status import gather, text, text_of_bucket
from fargate_ops.state.lock import STALE_AFTER, Machine
from fargate_ops.terraform.stack import Stack

DOCUMENTATION = """
---
action: service_status
short_description: Show what runs, since when, by whom
description:
  - Prints version, tasks and their targets' health, the lock and the newest releases. Reads only.
options:
  stack:
    description: The fact C(terraform_stack_outputs).
    required: true
    type: dict
  bucket:
    description: The state bucket, in which ledger and lock live.
    required: true
    type: str
  environment_name:
    description: The environment.
    required: true
    type: str
  format:
    description: How to print it; json also goes into C(file).
    choices: [text, json]
    default: text
    type: str
  file:
    description: Where json goes, for machines; an empty object when nothing was deployed yet.
    required: true
    type: path
  releases:
    description: How many releases to show.
    default: 10
    type: int
"""

EXAMPLES = """
- name: Show what runs
  service_status:
    stack: "{{ terraform_stack_outputs }}"
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    file: .local/local/status.json
"""

RETURN = """
status:
  description: The same as plain values.
  type: dict
  returned: when there is an environment
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        stack = self.stack
        session = aws_session(action_environment(self), stack.get(Stack.region, None))
        if not stack:
            message = f"{args['environment_name']}: there are no Terraform outputs: nothing was deployed here yet"
            display.display(message)
            display.display(_of_bucket(session, args))
            if args["format"] == "json":
                _write(args["file"], {})
            return {"changed": False, "msg": message}
        try:
            status = gather(
                session,
                stack,
                environment=args["environment_name"],
                bucket=args["bucket"],
                stale_after=STALE_AFTER,
                newest=args["releases"],
                machine=Machine.this(),
                now=datetime.now(UTC),
            )
        except Exception as error:
            display.display(_of_bucket(session, args))
            if isinstance(error, ServiceError):
                raise AnsibleActionFail(f"{args['environment_name']}: {error}") from None
            raise
        row = status.as_row()
        if args["format"] == "json":
            display.display(_write(args["file"], row))
        else:
            display.display(text(status))
        return {"changed": False, "status": row}


def _of_bucket(session: AwsSession, args: dict[str, Any]) -> str:
    """What can be shown without the service."""
    return text_of_bucket(
        session.client("s3"),
        environment=args["environment_name"],
        bucket=args["bucket"],
        stale_after=STALE_AFTER,
        newest=args["releases"],
        machine=Machine.this(),
    )


def _write(file: str, row: dict[str, Any]) -> str:
    """Ansible frames what it prints; a machine reads the file."""
    content = json.dumps(row, indent=2)
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")
    return content
