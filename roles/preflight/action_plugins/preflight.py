"""Find every problem at once, before anything is changed. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError

from fargate_ops.core.checks import Finding, failure, tree
from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.inventory import yaml_scan
from fargate_ops.inventory.preflight import Given
from fargate_ops.inventory.resolve import resolved
from fargate_ops.inventory.values import VALUES
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.preflight.checks import Checks

DOCUMENTATION = r"""
module: preflight
short_description: Find every problem at once, before anything is changed
description:
  - Reads only. Check mode also accepts that a service which the flow starts on this machine does not run yet.
  - Fails with every problem found, each with its place and the next step.
  - Resolves each of the inventory's own variables separately. One that cannot be resolved is reported like any other
    problem.
options:
  checks:
    description: The checks to run, in this order.
    type: list
    elements: str
    choices:
      [inventory, account, git, engine, registry, disk, python, identity, memory, programs, clock, bucket, github]
    required: true
  findings:
    description: Findings of other roles, C(check), C(summary), C(skipped) and C(problems), reported before the others.
    type: list
    elements: dict
    required: true
  may_start_later:
    description: Accept, as in check mode, that a service of this machine does not run yet.
    type: bool
    required: true
  ready: {type: str, required: true, description: "The outcome without a problem; empty for none."}
  project_dir: {type: path, required: true, description: "The checkout."}
  allow_dirty: {type: bool, required: true, description: "Accept uncommitted changes."}
  allow_shallow: {type: bool, required: true, description: "Accept a shallow clone."}
  docker_host: {type: str, required: true, description: "The Docker engine to use; empty for the current context's."}
  disk_paths: {type: list, elements: path, required: true, description: "Paths whose disks need free space."}
  disk_free_gib: {type: float, required: true, description: "Free disk space that is needed, in GiB."}
  memory_free_gib: {type: float, required: true, description: "Available memory that is needed, in GiB."}
  required_programs: {type: dict, required: true, description: "Programs needed on PATH, with what installs them."}
  github_repository: {type: str, required: true, description: "The repository whose variables are set; empty for none."}
"""

RETURN = r"""
checks:
  description: Status (C(OK), C(FAIL), C(SKIP)) by check.
  type: dict
  returned: always
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted, others, ready = args.pop("checks"), args.pop("findings"), args.pop("ready")
        may_start_later = args.pop("may_start_later")
        checks = Checks(
            **args,
            environment=self.aws_environment,
            value=self._value,
            given=lambda: self._given(Path(args["project_dir"])),
            client=lambda service, region: self.session(region).client(service),
            preview=self.preview or may_start_later,
        )
        findings = [Finding.from_result(other) for other in others] + [getattr(checks, name)() for name in wanted]
        try:
            env_name = self._value("env_name")
        except AnsibleError:
            env_name = Path(self.task_vars["inventory_dir"]).name
        show = self.answer if ready else self.say
        for line in (env_name, *tree(findings)):
            show(f"  {line}")
        result = {found.check: found.status for found in findings}
        if error := failure(env_name, findings, checks=result):
            raise error
        if not ready:
            return {"checks": result}
        return {"checks": result, **self.ended(Outcome(kind=Kind.DONE, what=ready, next=f"make deploy ENV={env_name}"))}

    def _value(self, name: str) -> str:
        return str(self._templar.template(self.task_vars[name]))

    def _given(self, project: Path) -> Given:
        # As plain strings: the YAML parser does not accept Ansible's tagged ones.
        extra_vars = [str(given) for given in context.CLIARGS.get("extra_vars") or ()]
        sources = yaml_scan.sources(Path(self.task_vars["inventory_dir"]), project, extra_vars)
        return Given(*resolved(VALUES, self.task_vars, self._templar.template), sources)
