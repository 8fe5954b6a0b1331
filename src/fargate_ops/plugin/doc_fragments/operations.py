"""The arguments that many plugins take."""

from __future__ import annotations


class ModuleDocFragment:
    """A plugin's DOCUMENTATION names what it takes: ``operations`` and ``operations.stack``, for instance."""

    DOCUMENTATION = """
options:
  environment_name: {type: str, required: true, description: "The environment."}
"""

    STACK = """
options:
  stack: {type: dict, required: true, description: "The fact C(terraform_stack_outputs)."}
"""

    BUCKET = """
options:
  bucket: {type: str, required: true, description: "The state bucket, in which ledger and lock live."}
"""

    POLL = """
options:
  poll_seconds: {type: float, description: "About how many seconds lie between two looks at a task; omitted: 3."}
"""

    NOTIFICATION = """
options:
  notification_log: {type: path, required: true, description: "One line for each message to Slack, what came of it."}
"""

    BACKEND = """
options:
  backend: {type: dict, required: true, description: "The S3 backend: bucket, key, region."}
"""
