"""Write the script that opens a shell in a running task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.ecs.shell import ShellError, newest_running, require_execute_command, script
from fargate_ops.ecs.tasks import describe_tasks, list_tasks
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = """
---
action: ecs_task_shell
short_description: Write the script that opens a shell in a running task
description:
  - Ansible cannot be interactive, so this finds the newest running task of a service and writes the exact command.
options:
  cluster: {description: The cluster., required: true, type: str}
  service: {description: The service whose task to choose., required: true, type: str}
  container: {description: The container., required: true, type: str}
  region: {description: The region., required: true, type: str}
  command:
    description: The command, with C({task_arn}), C({region}), C({cluster}) and C({container}).
    required: true
    type: str
  path: {description: Where to write the script., required: true, type: path}
"""

EXAMPLES = """
- name: Write the way into a task
  ecs_task_shell:
    cluster: settlement-local
    service: settlement-local
    container: api
    region: ap-northeast-2
    command: aws ecs execute-command --cluster {cluster} --task {task_arn} --interactive --command sh
    path: /tmp/shell.sh
"""

RETURN = """
task_arn:
  description: The task that was chosen.
  type: str
  returned: always
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        cluster, service = args["cluster"], args["service"]
        try:
            ecs = aws_session(action_environment(self), args["region"]).client("ecs")
            found = ecs.describe_services(cluster=cluster, services=[service])["services"]
            revision = found[0]["taskDefinition"] if found else ""
            tasks = describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=service))
            task = newest_running(tasks, revision)
            require_execute_command(args["command"], task, args["container"])
            arn = str(task["taskArn"])
            values = {name: args[name] for name in ("region", "cluster", "container")} | {"task_arn": arn}
            content = script(args["command"], values)
        except (ShellError, ClientError, BotoCoreError) as error:
            next_step = "" if "Next: " in str(error) else ". Next: make status"
            raise AnsibleActionFail(f"{cluster}/{service}: {error}{next_step}") from None
        if not self.check_mode:
            path = Path(args["path"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.chmod(0o700)
        display.display(content.splitlines()[-1])
        # The script is a note of this moment, not a part of the system: writing it again is no change.
        return {"changed": False, "task_arn": arn}
