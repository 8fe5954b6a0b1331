"""Check everything that can be wrong before anything is touched. See DOCUMENTATION."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.utils.display import Display

from fargate_ops.aws.endpoint import not_answering, silence_problem
from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.core.checks import Finding, failure, tree
from fargate_ops.inventory import preflight as inventory
from fargate_ops.inventory import yaml_scan
from fargate_ops.inventory.resolve import resolved
from fargate_ops.inventory.values import VALUES
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.preflight import cloud, machine

DOCUMENTATION = r"""
module: preflight
short_description: Find all that is wrong at once, before anything is touched
description:
  - Reads only, so check mode does the same, except that what the flow would start on this machine may not be there yet.
  - Fails with every problem found, each with its place and the next step.
  - Reads the inventory's own variables itself, each one apart: one that cannot be resolved is one problem of many.
options:
  checks:
    description: Which checks to make.
    type: list
    elements: str
    choices: [inventory, account, git, engine, registry, disk]
    required: true
  project_dir: {type: path, required: true, description: "The checkout."}
  allow_dirty: {type: bool, required: true, description: "Accept uncommitted changes."}
  allow_shallow: {type: bool, required: true, description: "Accept a shallow clone."}
  docker_host: {type: str, default: "", description: "The engine that has to be used; empty: the current context's."}
  disk_paths: {type: list, elements: path, required: true, description: "Where space is needed."}
  disk_free_gib: {type: float, required: true, description: "How much of it."}
"""

RETURN = r"""
checks:
  description: Status (C(OK), C(FAIL), C(SKIP)) by check.
  type: dict
  returned: always
"""


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        variables = self.task_vars
        checks = self._checks(args, variables)
        findings = [checks[name]() for name in args["checks"]]
        try:
            env_name = self._value("env_name", variables)
        except AnsibleError:
            env_name = Path(variables["inventory_dir"]).name
        display = Display()
        display.display(f"  {env_name}")
        for line in tree(findings):
            display.display(f"  {line}")
        message = failure(env_name, findings)
        result: dict[str, Any] = {"changed": False, "checks": {found.check: found.status for found in findings}}
        return result | ({"failed": True, "msg": message} if message else {})

    def _value(self, name: str, variables: dict[str, Any]) -> str:
        return str(self._templar.template(variables[name]))

    def _checks(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Callable[[], Finding]]:
        environment, check_mode = action_environment(self), self.check_mode

        def value(name: str) -> str:
            return self._value(name, variables)

        def check_account() -> Finding:
            # Asked by a plain connection first: a client would retry for half a minute.
            silence = not_answering(environment)
            if silence and check_mode:
                return Finding("account", f"not known yet: {silence}", skipped=True)
            if silence:
                return Finding("account", "no answer", (silence_problem(silence).problem,))
            sts = aws_session(environment, value("aws_region")).client("sts")
            return cloud.check_account(sts, value("aws_account_id"), value("env_name"))

        def check_inventory() -> Finding:
            # Without Ansible's tags, which the YAML parser does not take.
            extra_vars = [str(given) for given in context.CLIARGS.get("extra_vars") or ()]
            sources = yaml_scan.sources(Path(variables["inventory_dir"]), Path(args["project_dir"]), extra_vars)
            return inventory.check(inventory.Given(*resolved(VALUES, variables, self._templar.template), sources))

        return {
            "inventory": check_inventory,
            "account": check_account,
            "git": lambda: machine.check_git(
                Path(args["project_dir"]), allow_dirty=args["allow_dirty"], allow_shallow=args["allow_shallow"]
            ),
            "engine": lambda: machine.check_engine(
                {**os.environ, **environment}, args["docker_host"], may_start_later=check_mode
            ),
            "registry": lambda: cloud.check_registry(value("image_registry"), may_start_later=check_mode),
            "disk": lambda: machine.check_disk([Path(path) for path in args["disk_paths"]], args["disk_free_gib"]),
        }
