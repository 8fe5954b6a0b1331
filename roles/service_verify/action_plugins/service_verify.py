"""Verify that the released version, and only it, serves."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.ecs.rollout import ServiceError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.verify import Settings, Source, Subject, Verdict, Verification, Verifier
from fargate_ops.terraform.stack import Stack

DOCUMENTATION = """
---
action: service_verify
short_description: The released version, and only it, serves
description:
  - Fails unless the service's PRIMARY deployment runs the image (and the revision, when one is given), C(/version) at
    the public address gives the version so many times in a row, each on a fresh connection, and C(/readyz) is 200.
  - With C(source=targets) it asks no address, and fails unless the deployment is COMPLETED and no target but its tasks
    is healthy.
  - The failure has C(unverified) where nothing of ours answered and the targets are healthy.
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
  source:
    description: By what to verify, the public address or the targets' health.
    choices: [public, targets]
    required: true
    type: str
  answers:
    description: Right answers in a row; with more targets, twice as many as there are targets.
    required: true
    type: int
  limit_seconds:
    description: For how long to ask.
    required: true
    type: float
"""

EXAMPLES = """
- name: Ask the public address
  service_verify:
    stack: "{{ terraform_stack_outputs }}"
    image: "{{ image_build_result }}"
    environment_name: local
    source: public
    answers: 6
    limit_seconds: 30
"""

RETURN = """
url:
  description: The address that was asked.
  type: str
  returned: always
answers:
  description: Right answers in a row; 0 where none was asked for.
  type: int
  returned: not in check mode
unverified:
  description: Whether nothing of ours answered, so that the version was neither seen nor seen to be wrong.
  type: bool
  returned: on failure
reason:
  description: What was seen, in one line.
  type: str
  returned: on failure
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        stack, image = self.stack, args["image"]
        url = stack.get(Stack.public_url, "")
        if self.check_mode:
            asked = url or "the public address (not known yet: there are no Terraform outputs)"
            version = image.get("version", "the version (not known yet: there is no image)")
            message = f"would ask {asked} for {version}, {args['answers']} times in a row"
            if args["source"] == Source.TARGETS:
                message = f"would look whether the tasks of {version} are the only healthy targets"
            display.display(message)
            return {"changed": False, "url": url, "msg": message}
        if not url or not image:
            raise AnsibleActionFail(
                f"{args['environment_name']}: nothing to verify without Terraform outputs and image"
            )
        session = aws_session(action_environment(self), stack.region)
        verifier = Verifier(
            session.client("ecs"),
            session.client("elbv2"),
            stack,
            Settings.from_arguments(args),
        )
        subject = Subject(
            version=str(image["version"]),
            digest=str(image["digest"]),
            revision=args["revision"],
            image=str(image["image"]),
        )
        try:
            found = verifier.verify(subject)
        except (ServiceError, ClientError, BotoCoreError) as error:
            raise AnsibleActionFail(f"{args['environment_name']}: {error}") from error
        if found.verdict is not Verdict.VERIFIED:
            raise _failure(found, subject, args["environment_name"])
        message = f"{subject.version} serves: {found.reason}"
        display.display(message)
        return {"changed": False, "url": url, "msg": message, "answers": found.answers}


def _failure(found: Verification, subject: Subject, environment: str) -> AnsibleActionFail:
    """What was not verified, and the next command."""
    if found.verdict is Verdict.UNVERIFIED:
        message = (
            f"{environment}: {subject.version} is not verified: nothing of ours answered here, and its targets are "
            f"healthy. {found.reason}. Next: let this machine reach that address; or set service_verify_from: targets, "
            f"if none that deploys can"
        )
    else:
        message = (
            f"{environment}: the service does not serve {subject.version} alone: {found.reason}. "
            f"Next: make {found.verb} ENV={environment}"
        )
    unverified = found.verdict is Verdict.UNVERIFIED
    return AnsibleActionFail(message, result={"reason": found.reason, "unverified": unverified})
