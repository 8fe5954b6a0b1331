"""Publish a root's outputs as a fact. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from roles.aws_session.python.session import action_environment, aws_session
from roles.terraform_stack.python.outputs import NoState, read_outputs, state_etag
from roles.terraform_stack.python.workspace import record_applied

DOCUMENTATION = r"""
module: terraform_outputs
short_description: Publish the outputs of a Terraform root, read from its state
options:
  fact: {description: The fact that receives the outputs (empty in check mode when there are none yet), type: str}
  backend: {description: 'The S3 backend: bucket, key, region', type: dict, required: true}
  applied: {description: What C(terraform_workspace) says to record once it is applied, type: dict}
"""


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(
            argument_spec={
                "fact": {"type": "str", "required": True},
                "backend": {"type": "dict", "required": True},
                "applied": {"type": "dict"},
            }
        )
        backend = args["backend"]
        try:
            s3 = aws_session(action_environment(self), backend["region"]).client("s3")
            outputs = read_outputs(s3, backend["bucket"], backend["key"])
            if (applied := args["applied"]) and not self._task.check_mode:
                state = state_etag(s3, backend["bucket"], backend["key"])
                record_applied(Path(applied["data_dir"]), applied["digest"], state)
        except (NoState, ClientError, BotoCoreError) as error:
            if not self._task.check_mode:
                raise AnsibleActionFail(
                    f"The infrastructure's outputs cannot be read: {error}. Next: make infra, then this again."
                ) from None
            Display().display(f"  outputs cannot be known yet: {error}", color="yellow")
            outputs = {}
        return result | {"ansible_facts": {args["fact"]: outputs}, "changed": False}
