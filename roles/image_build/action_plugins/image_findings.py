"""Stop a deployment of an image with critical findings, or without a scan. See DOCUMENTATION."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fargate_ops.aws.endpoint import not_answering, silence_problem
from fargate_ops.core.problem import ProblemError
from fargate_ops.image.findings import Exemption, Gate
from fargate_ops.image.registry import Registry, RepositoryMissingError
from fargate_ops.image.source import read_source
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
action: image_findings
short_description: Stop a deployment of an image with critical findings
description:
  - Reads ECR's findings of the image that C(image_build) would use. Reads only.
  - Fails on a critical finding with a fix (basic scanning, each critical finding), and on a scan without a result,
    unless an exception accepts it. Check mode reports the same without failing.
options:
  context: {type: path, required: true, description: "Folder in git with everything that goes into the image."}
  libraries: {type: list, elements: path, required: true, description: "Folders in git whose wheels go there too."}
  allow_dirty: {type: bool, required: true, description: "Whether uncommitted changes have a version."}
  version: {type: str, required: true, description: "The version to deploy; empty for that of this commit."}
  registry: {type: str, required: true, description: "Address of the registry."}
  repository: {type: str, required: true, description: "Name of the repository."}
  region: {type: str, required: true, description: "AWS region of the registry."}
  exceptions:
    type: list
    elements: dict
    required: true
    description: Accepted findings, each with C(id), C(package) or C(digest), C(until) and C(reason).
"""

EXAMPLES = r"""
- name: Check the image's findings
  image_findings:
    context: "{{ image_build_context }}"
    libraries: "{{ image_build_libraries }}"
    allow_dirty: false
    version: ""
    registry: 111122223333.dkr.ecr.ap-northeast-2.amazonaws.com
    repository: storefront
    region: ap-northeast-2
    exceptions: [{id: CVE-2026-1, package: libssl3, until: 2026-12-31, reason: TLS ends at the load balancer}]
"""

RETURN = r"""
digest: {type: str, description: "The image whose findings stop nothing.", returned: success outside check mode}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"digest": self._check(args)}
        except ProblemError as problem:
            if not self.preview:
                raise
            return self.report(f"{self.environment}: the deployment would stop: {problem}")

    def _check(self, args: dict[str, Any]) -> str:
        if silence := not_answering(self.aws_environment):
            raise silence_problem(silence)
        libraries = [Path(library).absolute() for library in args["libraries"]]
        context = Path(args["context"]).absolute()
        version = args["version"] or read_source(context, libraries, allow_dirty=args["allow_dirty"]).version
        gate = Gate(
            registry=Registry(args["registry"], args["repository"], self.session(args["region"]).client("ecr")),
            environment=self.environment,
            exemptions=[Exemption.from_fact(fact) for fact in args["exceptions"]],
            today=datetime.now(UTC).date(),
            say=lambda line: self.say(f"  {line}"),
            warn=lambda line: self.warn(f"  {line}"),
        )
        try:
            return gate.check(version)
        except RepositoryMissingError as error:
            raise ProblemError(
                f"The image repository {args['repository']} does not exist.",
                args["registry"],
                f"make bootstrap ENV={self.environment}",
            ) from error
