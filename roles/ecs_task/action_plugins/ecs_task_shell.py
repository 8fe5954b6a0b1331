"""Write the script that opens a shell in a running task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fargate_ops.core.files import write_file
from fargate_ops.ecs.shell import newest_running, require_execute_command, script
from fargate_ops.ecs.tasks import describe_tasks, list_tasks
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: ecs_task_shell
short_description: Write the script that opens a shell in a running task
description:
  - Finds the newest running task of a service and writes the exact command, because Ansible cannot be interactive.
options:
  cluster: {description: The cluster., required: true, type: str}
  service: {description: The service of the task., required: true, type: str}
  container: {description: The container., required: true, type: str}
  region: {description: The region., required: true, type: str}
  command:
    description: The command, with C({task_arn}), C({region}), C({cluster}) and C({container}).
    required: true
    type: str
  path: {description: Path of the script., required: true, type: path}
"""

EXAMPLES = """
- name: Write the script that opens a shell in a task
  ecs_task_shell:
    cluster: storefront-local
    service: storefront-local
    container: api
    region: ap-northeast-2
    command: aws ecs execute-command --cluster {cluster} --task {task_arn} --interactive --command sh
    path: /tmp/shell.sh
"""

RETURN = """
task_arn: {type: str, returned: always, description: The chosen task's ARN.}
"""


class ActionModule(OperationsAction):
    next_verb = "status"

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        cluster, service = args["cluster"], args["service"]
        ecs = self.session(args["region"]).client("ecs")
        found = ecs.describe_services(cluster=cluster, services=[service])["services"]
        revision = found[0]["taskDefinition"] if found else ""
        tasks = describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=service))
        task = newest_running(tasks, revision)
        require_execute_command(args["command"], task, args["container"])
        arn = str(task["taskArn"])
        values = {name: args[name] for name in ("region", "cluster", "container")} | {"task_arn": arn}
        content = script(args["command"], values)
        if not self.preview:
            path = Path(args["path"])
            write_file(path, content)
            path.chmod(0o700)
        self.answer(content.splitlines()[-1])
        # The script is not part of the system, so writing it again is not reported as a change.
        return {"task_arn": arn}
