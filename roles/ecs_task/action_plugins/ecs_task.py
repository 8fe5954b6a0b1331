"""Run a one-off task and wait for its end."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.ecs.tasks import OneOff, Runner, TaskError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.plugin.worker import sleep_with_parent, whole_lines

DOCUMENTATION = """
---
action: ecs_task
short_description: Run a one-off ECS task and wait for its end
description:
  - Starts one Fargate task of a task definition with its command replaced, prints its log as it comes, and returns its
    exit code; anything but 0 is a failure that says why it stopped. A task over its time is stopped.
options:
  cluster: {description: The cluster., required: true, type: str}
  task_definition:
    description: An ARN, a C(family:revision), or a family for its newest ACTIVE revision.
    type: str
  service:
    description: Instead of that, a service whose PRIMARY definition to run, and not one that may have failed since.
    type: str
  container: {description: The container whose command is replaced., required: true, type: str}
  command: {description: "The command, as a shell would split it; no shell runs it.", required: true, type: str}
  environment: {description: Plain environment variables to add or replace., default: {}, type: dict}
  subnets: {description: Subnets of the task., required: true, type: list, elements: str}
  security_groups: {description: Security groups of the task., required: true, type: list, elements: str}
  region: {description: The region., required: true, type: str}
  started_by: {description: Who started it, as ECS shows it., default: ansible, type: str}
  wait_seconds: {description: For how long it may run., default: 900, type: float}
  poll_seconds: {description: About how many seconds lie between two looks., default: 3, type: float}
  log_grace_seconds: {description: How long the last lines may take to arrive., default: 3, type: float}
"""

EXAMPLES = """
- name: Say what Python the image has
  ecs_task:
    cluster: settlement-local
    service: settlement-local
    container: api
    command: python --version
    subnets: [subnet-1]
    security_groups: [sg-1]
    region: ap-northeast-2
"""

RETURN = """
exit_code:
  description: Of the container; null when it never started.
  type: int
  returned: when it ended
stopped_reason:
  description: Why it stopped.
  type: str
  returned: when it ended
output:
  description: The lines that it logged.
  type: list
  returned: always, but in check mode
task_arn:
  description: The task.
  type: str
  returned: when it ended
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION
    constraints = {
        "mutually_exclusive": [["task_definition", "service"]],
        "required_one_of": [["task_definition", "service"]],
    }

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            command = shlex.split(args["command"])
        except ValueError as error:
            raise AnsibleActionFail(f"the command {args['command']!r} cannot be split: {error}") from None
        if self.check_mode:
            message = f"would run {shlex.join(command)} as a task of {args['task_definition'] or args['service']}"
            display.display(message)
            return {"changed": True, "msg": message}
        try:
            return self._run(args, command)
        except TaskError as error:
            raise AnsibleActionFail(str(error), result={"output": error.output}) from None
        except (ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(f"{args['task_definition'] or args['service']}: {error}") from None

    def _run(self, args: dict[str, Any], command: list[str]) -> dict[str, Any]:
        session = aws_session(action_environment(self), args["region"])
        ecs = session.client("ecs")
        name = args["task_definition"] or _serving(ecs, args["cluster"], args["service"])
        definition = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        runner = Runner(
            ecs,
            session.client("logs"),
            whole_lines(display.display),
            poll_seconds=args["poll_seconds"],
            log_grace_seconds=args["log_grace_seconds"],
            sleep=sleep_with_parent(),
        )
        what = OneOff(
            cluster=args["cluster"],
            task_definition=definition["taskDefinitionArn"],
            container=args["container"],
            command=command,
            environment={str(name): str(value) for name, value in args["environment"].items()},
            subnets=[str(item) for item in args["subnets"]],
            security_groups=[str(item) for item in args["security_groups"]],
            started_by=args["started_by"],
        )
        display.display(f"running {shlex.join(command)} as a task of {definition['family']}:{definition['revision']}")
        finished = runner.follow(what.cluster, what.container, runner.start(what), args["wait_seconds"])
        stop = finished.stop
        outcome = {
            "exit_code": stop.exit_code,
            "stopped_reason": stop.reason,
            "output": finished.output,
            "task_arn": stop.task_arn,
        }
        if stop.exit_code != 0:
            raise AnsibleActionFail(f"{shlex.join(command)}: {stop}", result=outcome)
        return {"changed": True, "msg": f"{shlex.join(command)}: {stop}", **outcome}


def _serving(ecs: Any, cluster: str, service: str) -> str:
    found = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not found:
        raise TaskError(f"there is no service {service} in the cluster {cluster}")
    return str(found[0]["taskDefinition"])
