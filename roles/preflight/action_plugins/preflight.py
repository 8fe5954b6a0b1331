"""Find every problem at once, before anything is changed. See DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError

from fargate_ops.core.checks import failure, tree
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
    choices: [inventory, account, git, engine, registry, disk]
    required: true
  project_dir: {type: path, required: true, description: "The checkout."}
  allow_dirty: {type: bool, required: true, description: "Accept uncommitted changes."}
  allow_shallow: {type: bool, required: true, description: "Accept a shallow clone."}
  docker_host: {type: str, required: true, description: "The Docker engine to use; empty for the current context's."}
  disk_paths: {type: list, elements: path, required: true, description: "Paths whose disks need free space."}
  disk_free_gib: {type: float, required: true, description: "Free disk space that is needed, in GiB."}
"""

RETURN = r"""
checks:
  description: Status (C(OK), C(FAIL), C(SKIP)) by check.
  type: dict
  returned: always
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = args.pop("checks")
        checks = Checks(
            **args,
            environment=self.aws_environment,
            value=self._value,
            given=lambda: self._given(Path(args["project_dir"])),
            sts=lambda region: self.session(region).client("sts"),
            preview=self.preview,
        )
        findings = [getattr(checks, name)() for name in wanted]
        try:
            env_name = self._value("env_name")
        except AnsibleError:
            env_name = Path(self.task_vars["inventory_dir"]).name
        for line in (env_name, *tree(findings)):
            self.say(f"  {line}")
        result = {found.check: found.status for found in findings}
        if error := failure(env_name, findings, checks=result):
            raise error
        return {"checks": result}

    def _value(self, name: str) -> str:
        return str(self._templar.template(self.task_vars[name]))

    def _given(self, project: Path) -> Given:
        # As plain strings: the YAML parser does not accept Ansible's tagged ones.
        extra_vars = [str(given) for given in context.CLIARGS.get("extra_vars") or ()]
        sources = yaml_scan.sources(Path(self.task_vars["inventory_dir"]), project, extra_vars)
        return Given(*resolved(VALUES, self.task_vars, self._templar.template), sources)
