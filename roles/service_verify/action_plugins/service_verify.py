"""Verify that the released version, and only it, serves."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from roles.aws_session.python.action import OperationsAction
from roles.aws_session.python.session import action_environment, aws_session
from roles.ecs_release.python.rollout import ServiceError, Watch
from roles.service_verify.python.answers import Expected, ask_until_sure, is_ready

DOCUMENTATION = """
---
action: service_verify
short_description: The public address answers with the released version, several times over
description:
  - Fails unless the service's PRIMARY deployment runs the image (and the revision, when one is given), C(/version) at
    the public address gives the version so many times in a row, each on a fresh connection, and C(/readyz) is 200.
  - Changes nothing. In check mode it says what it would ask.
options:
  stack:
    description: The fact C(terraform_stack_outputs).
    required: true
    type: dict
  image:
    description: The fact C(image_build_result).
    required: true
    type: dict
  revision:
    description: ARN of the task definition that PRIMARY must run; empty accepts any with this image.
    default: ""
    type: str
  environment_name:
    description: For messages.
    required: true
    type: str
  answers:
    description: Right answers in a row; with more targets, twice as many as there are targets.
    default: 6
    type: int
  limit_seconds:
    description: For how long to ask.
    default: 30
    type: float
"""

EXAMPLES = """
- name: Ask the public address
  service_verify:
    stack: "{{ terraform_stack_outputs }}"
    image: "{{ image_build_result }}"
    environment_name: local
"""

RETURN = """
url:
  description: The address that was asked.
  type: str
  returned: always
answers:
  description: Right answers in a row.
  type: int
  returned: not in check mode
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        stack, image = args["stack"], args["image"]
        url = str(stack.get("public_url", ""))
        if self.check_mode:
            asked = url or "the public address (not known yet: there are no Terraform outputs)"
            version = image.get("version", "the version (not known yet: there is no image)")
            message = f"would ask {asked} for {version}, {args['answers']} times in a row"
            display.display(message)
            return {"changed": False, "url": url, "msg": message}
        if not url or not image:
            raise AnsibleActionFail(
                f"{args['environment_name']}: nothing to verify without Terraform outputs and image"
            )
        try:
            return {"changed": False, "url": url, **self._verify(args, stack, image, url)}
        except (ServiceError, ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(f"{args['environment_name']}: {error}") from error

    def _verify(self, args: dict[str, Any], stack: dict[str, Any], image: dict[str, Any], url: str) -> dict[str, Any]:
        session = aws_session(action_environment(self), str(stack["region"]))
        ecs = session.client("ecs")
        watch = Watch(
            ecs,
            session.client("elbv2"),
            cluster=str(stack["cluster_name"]),
            service=str(stack["service_name"]),
            target_group_arn=str(stack["target_group_arn"]),
            say=display.display,
        )
        snapshot = watch.snapshot()
        primary = snapshot.primary
        definition = ecs.describe_task_definition(taskDefinition=primary.revision)["taskDefinition"]
        images = [container["image"] for container in definition["containerDefinitions"]]
        if args["revision"] not in ("", primary.revision) or image["image"] not in images:
            raise AnsibleActionFail(
                f"{args['environment_name']}: the service runs {primary.revision_name} ({', '.join(images)}) "
                f"and not {image['image']}. Next: make status ENV={args['environment_name']}"
            )
        targets = sum(count for state, count in snapshot.targets.items() if state == "healthy")
        expected = Expected(
            git_hash=str(image["version"]),
            image_digest=str(image["digest"]),
            revision=int(primary.revision.rsplit(":", 1)[-1]),
        )
        answers = ask_until_sure(
            url, expected, in_a_row=max(args["answers"], 2 * targets), limit_seconds=args["limit_seconds"]
        )
        not_ready = is_ready(url)
        verdict = f"{url}/version: {answers.summary()}, in {answers.seconds:.1f} s"
        if answers.in_a_row < args["answers"] or not_ready:
            raise AnsibleActionFail(
                f"{args['environment_name']}: {url} does not serve {image['version']} alone. {verdict}. "
                f"/readyz: {not_ready or 'HTTP 200'}. Next: make logs ENV={args['environment_name']}"
            )
        message = f"{image['version']} serves: {verdict}; /readyz 200"
        display.display(message)
        return {"msg": message, "answers": answers.in_a_row}
