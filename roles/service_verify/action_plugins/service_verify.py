"""Verify that the released version, and only it, serves."""

from __future__ import annotations

from typing import Any

from fargate_ops.core.problem import OperationsError
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.verification import preview, require_verified
from fargate_ops.release.verify import Settings, Subject, Verifier
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
extends_documentation_fragment: [operations, operations.stack]
options:
  image: {type: dict, required: true, description: "The fact C(image_build_result)."}
  revision:
    description: ARN of the task definition that PRIMARY must run; empty accepts any with this image.
    type: str
    required: true
  source:
    description: By what to verify, the public address or the targets' health.
    type: str
    required: true
    choices: [public, targets]
  answers:
    description: Right answers in a row; with more targets, twice as many as there are targets.
    type: int
    required: true
  limit_seconds: {type: float, required: true, description: "For how long to ask."}
"""

EXAMPLES = """
- name: Ask the public address
  service_verify:
    stack: "{{ terraform_stack_outputs }}"
    image: "{{ image_build_result }}"
    revision: ""
    environment_name: local
    source: public
    answers: 6
    limit_seconds: 30
"""

RETURN = """
url: {type: str, returned: always, description: "The address that was asked."}
answers: {type: int, returned: not in check mode, description: "Right answers in a row; 0 where none was asked for."}
unverified:
  description: Whether nothing of ours answered, so that the version was neither seen nor seen to be wrong.
  type: bool
  returned: on failure
reason: {type: str, returned: on failure, description: "What was seen, in one line."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        stack, image = self.stack, args["image"]
        url = stack.get(Stack.public_url, "")
        if self.preview:
            return self.report(preview(args["source"], args["answers"], url, image.get("version", "")), url=url)
        if not url or not image:
            raise OperationsError("nothing to verify without Terraform outputs and image")
        clients = self.session()
        verifier = Verifier(clients.client("ecs"), clients.client("elbv2"), stack, Settings.from_arguments(args))
        subject = Subject(
            revision=args["revision"], **{name: str(image[name]) for name in ("version", "digest", "image")}
        )
        found = verifier.verify(subject)
        require_verified(found, subject, self.environment)
        return self.report(f"{subject.version} serves: {found.reason}", url=url, answers=found.answers)
