"""Read a root's outputs from its state. See DOCUMENTATION."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.cause import write_record
from fargate_ops.terraform.outputs import NoState, read_outputs, state_etag
from fargate_ops.terraform.workspace import record_applied

DOCUMENTATION = r"""
module: terraform_outputs
short_description: Read the outputs of a Terraform root from its state
description:
  - If the state cannot be read, uses its newest readable version in the bucket, with a warning.
  - After a complete apply, records what was applied, on this machine and beside the state.
extends_documentation_fragment: [operations.backend]
options:
  applied: {description: The result C(applied) of terraform_workspace; only after a complete apply, type: dict}
  required: {description: Whether to fail without outputs; ignored in check mode, type: bool, required: true}
"""

RETURN = r"""
outputs: {description: Values by name; empty if there are none yet, type: dict, returned: success}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        s3 = self.session(args["backend"]["region"]).client("s3")
        bucket, key = str(args["backend"]["bucket"]), str(args["backend"]["key"])
        try:
            outputs, warning = read_outputs(s3, bucket, key)
        except (NoState, ClientError, BotoCoreError) as error:
            if not self.preview and (args["required"] or not isinstance(error, NoState)):
                raise ProblemError(
                    f"The infrastructure's outputs cannot be read: {error}.",
                    f"s3://{bucket}/{key}",
                    f"make infra ENV={self.environment}, then repeat the command",
                ) from None
            outputs, warning = {}, f"outputs cannot be known yet: {error}"
        if warning:
            self.warn(f"  {warning}")
        if args["applied"] and not self.preview:
            self._record(s3, bucket, key, args["applied"])
            return {"outputs": outputs, **self.done("the infrastructure is up to date")}
        return {"outputs": outputs}

    def _record(self, s3: Any, bucket: str, key: str, applied: dict[str, str]) -> None:
        variables = json.loads(Path(applied["variables_file"]).read_text())
        record_applied(Path(applied["data_dir"]), applied["digest"], state_etag(s3, bucket, key))
        try:
            write_record(s3, bucket, key, variables)
        except (ClientError, BotoCoreError) as error:
            self.warn(f"  the values of this apply are not kept, so a later refusal cannot name what changed: {error}")
