"""Verify that the released version, and no other, serves."""

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
short_description: Verify that the released version, and no other, serves
description:
  - The PRIMARY deployment must run the image, and the revision if one is given. The version document at the
    public address must show the version several times in a row, each on a new connection, and the readiness path must
    return 200.
  - With C(source=targets), or without a version document, sends no requests. The deployment must be COMPLETED, its
    tasks the only healthy targets, and their image the released one.
  - The failure has C(unverified) if no response came from our application and the targets are healthy.
  - Changes nothing. Check mode prints the requests it would send.
extends_documentation_fragment: [operations, operations.stack, operations.application]
options:
  image: {type: dict, required: true, description: "The fact C(image_build_result)."}
  revision:
    description: ARN of the task definition that PRIMARY must run; empty accepts any with this image.
    type: str
    required: true
  source:
    description: How to verify, by requests to the public address or by the targets' health.
    type: str
    required: true
    choices: [public, targets]
  answers:
    description: Correct answers in a row; at least twice the number of targets.
    type: int
    required: true
  limit_seconds: {type: float, required: true, description: "Seconds to try before the verification fails."}
"""

EXAMPLES = """
- name: Verify through the public address
  service_verify:
    stack: "{{ terraform_stack_outputs }}"
    application: "{{ app_contract }}"
    image: "{{ image_build_result }}"
    revision: ""
    environment_name: local
    source: public
    answers: 6
    limit_seconds: 30
"""

RETURN = """
url: {type: str, returned: always, description: "The public address."}
answers: {type: int, returned: not in check mode, description: "Correct answers in a row; 0 without requests."}
unverified:
  description: Whether no response came from our application, so that the version is neither confirmed nor refuted.
  type: bool
  returned: on failure
reason: {type: str, returned: on failure, description: "The reason, in one line."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        stack, image = self.stack, args["image"]
        url = stack.get(Stack.public_url, "")
        if self.preview:
            return self.report(
                preview(args["source"], args["answers"], url, image.get("version", ""), self.application), url=url
            )
        if not url or not image:
            raise OperationsError("nothing to verify without Terraform outputs and image")
        clients = self.session()
        settings = Settings.from_arguments(args)
        verifier = Verifier(clients.client("ecs"), clients.client("elbv2"), stack, self.application, settings)
        subject = Subject(
            revision=args["revision"], **{name: str(image[name]) for name in ("version", "digest", "image")}
        )
        found = verifier.verify(subject)
        require_verified(found, subject, self.environment, f"verify: {url}")
        return self.report(f"{subject.version} serves: {found.reason}", url=url, answers=found.answers)
