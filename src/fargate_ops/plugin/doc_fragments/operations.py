"""Arguments that several plugins share."""

from __future__ import annotations


class ModuleDocFragment:
    """A plugin's DOCUMENTATION names the sections it uses, for example ``operations`` and ``operations.stack``."""

    DOCUMENTATION = """
options:
  environment_name: {type: str, required: true, description: "The environment."}
"""

    STACK = """
options:
  stack: {type: dict, required: true, description: "The fact C(terraform_stack_outputs)."}
"""

    APPLICATION = """
options:
  application:
    description: The variable C(app_contract), what the application offers (docs/your-application.md).
    type: dict
    required: true
    suboptions:
      name: {type: str, required: true, description: "Its name."}
      port: {type: int, required: true, description: "The port on which it listens."}
      health_path: {type: str, required: true, description: "Path of its health."}
      ready_path: {type: str, required: true, description: "Path of its readiness; empty for none."}
      version_path: {type: str, required: true, description: "Path of its version document; empty for none."}
      admin_command: {type: list, elements: str, required: true, description: "Its admin command; empty for none."}
      database: {type: bool, required: true, description: "Whether the environment has a database."}
"""

    BUCKET = """
options:
  bucket: {type: str, required: true, description: "The state bucket, which holds the ledger and the lock."}
"""

    POLL = """
options:
  poll_seconds: {type: float, description: "Approximate seconds between two polls; otherwise C(aws/pace.py) sets them."}
"""

    NOTIFICATION = """
options:
  notification_log: {type: path, required: true, description: "File with a line for each message to Slack."}
"""

    BACKEND = """
options:
  backend: {type: dict, required: true, description: "The S3 backend: bucket, key, region."}
"""
