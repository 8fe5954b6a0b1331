"""Show what runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from roles.aws_session.python.session import action_environment, aws_session
from roles.deploy_lock.python.lock import LockError, Machine
from roles.ecs_release.python.rollout import ServiceError
from roles.release_ledger.python.ledger import LedgerError
from roles.service_status.python.status import gather, text

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
  stale_seconds:
    description: A lock that was not renewed for so long is dead.
    default: 60
    type: float
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

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "dict", "required": True},
    "bucket": {"type": "str", "required": True},
    "environment_name": {"type": "str", "required": True},
    "format": {"type": "str", "choices": ["text", "json"], "default": "text"},
    "file": {"type": "path", "required": True},
    "releases": {"type": "int", "default": 10},
    "stale_seconds": {"type": "float", "default": 60},
}

display = Display()


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(ARGUMENTS)
        stack = args["stack"]
        if not stack:
            message = f"{args['environment_name']}: there are no Terraform outputs: nothing was deployed here yet"
            display.display(message)
            if args["format"] == "json":
                _write(args["file"], {})
            return result | {"changed": False, "msg": message}
        try:
            status = gather(
                aws_session(action_environment(self), str(stack["region"])),
                stack,
                environment=args["environment_name"],
                bucket=args["bucket"],
                stale_after=timedelta(seconds=args["stale_seconds"]),
                newest=args["releases"],
                machine=Machine.this(),
                now=datetime.now(UTC),
            )
        except (ServiceError, LedgerError, LockError, ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(f"{args['environment_name']}: {error}") from None
        row = status.as_row()
        if args["format"] == "json":
            display.display(_write(args["file"], row))
        else:
            display.display(text(status))
        return result | {"changed": False, "status": row}


def _write(file: str, row: dict[str, Any]) -> str:
    """Ansible frames what it prints; a machine reads the file."""
    content = json.dumps(row, indent=2)
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{content}\n")
    return content
