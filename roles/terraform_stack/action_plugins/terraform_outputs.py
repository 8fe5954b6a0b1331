"""Read a root's outputs from its state. See DOCUMENTATION."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.cause import write_record
from fargate_ops.terraform.outputs import NoState, read_outputs, state_etag
from fargate_ops.terraform.workspace import record_applied

DOCUMENTATION = r"""
module: terraform_outputs
short_description: Read the outputs of a Terraform root from its state
description:
  - A state that cannot be read is replaced by its newest version in the bucket that can be, with a warning.
  - After a complete apply it records what was applied, on this machine and beside the state.
options:
  backend: {description: 'The S3 backend: bucket, key, region', type: dict, required: true}
  applied: {description: What C(terraform_workspace) says to record; only after a complete apply, type: dict}
  required: {description: Whether it fails without outputs; in check mode it never does, type: bool, default: true}
"""

RETURN = r"""
outputs: {description: Values by name; empty when there are none yet, type: dict, returned: success}
"""


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        backend, display = args["backend"], Display()
        s3 = aws_session(action_environment(self), backend["region"]).client("s3")
        bucket, key = str(backend["bucket"]), str(backend["key"])
        try:
            outputs, warning = read_outputs(s3, bucket, key)
        except (NoState, ClientError, BotoCoreError) as error:
            if not self.check_mode and (args["required"] or not isinstance(error, NoState)):
                raise ProblemError(
                    f"The infrastructure's outputs cannot be read: {error}.",
                    f"s3://{bucket}/{key}",
                    f"make infra ENV={self.task_vars.get('env_name', '…')}, then repeat the command",
                ) from None
            display.display(f"  outputs cannot be known yet: {error}", color="yellow")
            outputs, warning = {}, ""
        if warning:
            display.display(f"  {warning}", color="yellow")
        if args["applied"] and not self.check_mode:
            self._record(s3, bucket, key, args["applied"])
        return {"outputs": outputs}

    def _record(self, s3: Any, bucket: str, key: str, applied: dict[str, str]) -> None:
        variables = json.loads(Path(applied["variables_file"]).read_text())
        record_applied(Path(applied["data_dir"]), applied["digest"], state_etag(s3, bucket, key))
        try:
            write_record(s3, bucket, key, variables)
        except (ClientError, BotoCoreError) as error:
            Display().display(
                f"  the values of this apply are not kept, so a later refusal cannot name what changed: {error}",
                color="yellow",
            )
