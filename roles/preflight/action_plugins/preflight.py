"""Check everything that can be wrong before anything is touched. See DOCUMENTATION."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from roles.aws_session.python.session import action_environment, aws_session
from roles.preflight.python import cloud, inventory, machine
from roles.preflight.python.arguments import argument_spec
from roles.preflight.python.endpoint import not_answering, silence_problem
from roles.preflight.python.report import Finding, failure, tree

DOCUMENTATION = r"""
module: preflight
short_description: Find all that is wrong at once, before anything is touched
description:
  - Reads only, so check mode does the same, except that what the flow would start on this machine may not be there yet.
  - Fails with every problem found, each with its place and the next step.
options:
  checks:
    description: Which checks to make.
    type: list
    elements: str
    choices: [inventory, account, git, engine, registry, disk]
    required: true
  app_name: {type: str, required: true, description: "Name of the application."}
  env_name: {type: str, required: true, description: "Name of the environment."}
  inventory_dir: {type: str, required: true, description: "The inventory's folder, which has the same name."}
  project_dir: {type: path, required: true, description: "The checkout."}
  region: {type: str, required: true, description: "AWS region."}
  account_id: {type: str, required: true, description: "AWS account, 12 digits."}
  public_url: {type: str, description: "The service's address, if it is given."}
  vpc_cidr: {type: str, required: true, description: "The VPC's block."}
  availability_zones: {type: dict, required: true, description: "By zone, the block of each kind of subnet."}
  cpu: {type: int, required: true, description: "CPU units of a task."}
  memory: {type: int, required: true, description: "Memory of a task in MiB."}
  environment: {type: dict, required: true, description: "Plain variables of the task."}
  secrets: {type: dict, required: true, description: "Names of secrets by variable; no secret itself."}
  pool:
    description: What decides how many database connections the service can ask for.
    type: dict
    required: true
    suboptions:
      max_tasks: {type: int, required: true, description: "Most tasks of the service."}
      peak_max_tasks: {type: int, required: true, description: "Most at the month's end; 0 without a schedule."}
      maximum_percent: {type: int, required: true, description: "Of them during a rolling update, in percent."}
      workers: {type: int, required: true, description: "Processes of a task."}
      pool_size: {type: int, required: true, description: "Connections that each keeps."}
      max_overflow: {type: int, required: true, description: "And may open beyond."}
      max_connections: {type: int, required: true, description: "Connections that the database accepts."}
      proxy_percent: {type: int, default: 0, description: "Of them the RDS Proxy's, in percent; 0 without one."}
      direct_access: {type: bool, default: false, description: "Whether tasks may pass the proxy by."}
  allow_dirty: {type: bool, required: true, description: "Accept uncommitted changes."}
  allow_shallow: {type: bool, required: true, description: "Accept a shallow clone."}
  docker_host: {type: str, default: "", description: "The engine that has to be used; empty: the current context's."}
  registry: {type: str, required: true, description: "Address of the image registry."}
  disk_paths: {type: list, elements: path, required: true, description: "Where space is needed."}
  disk_free_gib: {type: float, required: true, description: "How much of it."}
"""

RETURN = r"""
checks:
  description: Status (C(OK), C(NG), C(SKIP)) by check.
  type: dict
  returned: always
"""


class ActionModule(ActionBase):
    """See DOCUMENTATION."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(argument_spec=argument_spec(DOCUMENTATION))
        checks = _checks(args, action_environment(self), bool(self._task.check_mode))
        findings = [checks[name]() for name in args["checks"]]
        display = Display()
        display.display(f"  {args['env_name']}")
        for line in tree(findings):
            display.display(f"  {line}")
        message = failure(args["env_name"], findings)
        result: dict[str, Any] = {"changed": False, "checks": {found.check: found.status for found in findings}}
        return result | ({"failed": True, "msg": message} if message else {})


def _checks(args: dict[str, Any], environment: dict[str, str], check_mode: bool) -> dict[str, Callable[[], Finding]]:
    def check_account() -> Finding:
        # Asked by a plain connection first: a client would retry for half a minute.
        silence = not_answering(environment)
        if silence and check_mode:
            return Finding("account", f"not known yet: {silence}", skipped=True)
        if silence:
            return Finding("account", "no answer", (silence_problem(silence).problem,))
        sts = aws_session(environment, args["region"]).client("sts")
        return cloud.check_account(sts, args["account_id"], args["env_name"])

    return {
        "inventory": lambda: inventory.check(_inventory(args)),
        "account": check_account,
        "git": lambda: machine.check_git(
            Path(args["project_dir"]), allow_dirty=args["allow_dirty"], allow_shallow=args["allow_shallow"]
        ),
        "engine": lambda: machine.check_engine(
            {**os.environ, **environment}, args["docker_host"], may_start_later=check_mode
        ),
        "registry": lambda: cloud.check_registry(args["registry"], may_start_later=check_mode),
        "disk": lambda: machine.check_disk([Path(path) for path in args["disk_paths"]], args["disk_free_gib"]),
    }


def _inventory(args: dict[str, Any]) -> inventory.Inventory:
    return inventory.Inventory(
        app_name=args["app_name"],
        env_name=args["env_name"],
        directory=args["inventory_dir"],
        region=args["region"],
        account_id=args["account_id"],
        public_url=args["public_url"] or "",
        vpc_cidr=args["vpc_cidr"],
        availability_zones=args["availability_zones"],
        cpu=args["cpu"],
        memory=args["memory"],
        environment=args["environment"],
        secrets=args["secrets"],
        pool=inventory.Pool(**args["pool"]),
    )
