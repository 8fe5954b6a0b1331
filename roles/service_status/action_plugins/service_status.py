"""Show the serving version, since when, and by whom."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fargate_ops.core.files import write_file
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.status import gather, text, text_of_bucket
from fargate_ops.state.lock import STALE_AFTER, Machine

DOCUMENTATION = """
---
action: service_status
short_description: Show the serving version, since when, and by whom
description:
  - Prints version, tasks and their targets' health, the lock, the four keys and the newest releases. Reads only.
extends_documentation_fragment: [operations, operations.stack, operations.bucket]
options:
  format:
    description: How to print it; json is also written to C(file).
    type: str
    required: true
    choices: [text, json]
  file:
    description: Path of the JSON file; an empty object if nothing was deployed yet.
    type: path
    required: true
  source: {type: path, required: true, description: "The image's folder in git, whose commits are the versions."}
  releases: {type: int, required: true, description: "How many releases to show."}
"""

EXAMPLES = """
- name: Show the serving version
  service_status:
    stack: "{{ terraform_stack_outputs }}"
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
    format: text
    file: .local/local/status.json
    source: app/api
    releases: 10
"""

RETURN = """
status: {type: dict, returned: if there are Terraform outputs, description: "The same as plain values."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        clients, file = self.session(), Path(args["file"])
        where: dict[str, Any] = {
            "environment": self.environment,
            "bucket": args["bucket"],
            "stale_after": STALE_AFTER,
            "newest": args["releases"],
            "machine": Machine.this(),
        }
        if not self.stack:
            result = self.report(f"{self.environment}: there are no Terraform outputs: nothing was deployed here yet")
            self.answer(text_of_bucket(clients.client("s3"), **where))
            if args["format"] == "json":
                write_file(file, "{}\n")
            return result
        try:
            status = gather(clients, self.stack, **where, source=Path(args["source"]), now=datetime.now(UTC))
        except Exception:
            # Lock and releases can be shown without the service.
            self.answer(text_of_bucket(clients.client("s3"), **where))
            raise
        row = status.as_row()
        if args["format"] == "json":
            # Ansible adds lines to its output, so programs read the file.
            content = json.dumps(row, indent=2)
            write_file(file, f"{content}\n")
            self.answer(content)
        else:
            self.answer(text(status))
        return {"status": row}
