"""Take, free or break the deployment lock of an environment."""

from __future__ import annotations

import os
from typing import Any

from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.deployment_lock import DeploymentLock, Request
from fargate_ops.state.lock import LockStore, Machine

DOCUMENTATION = """
---
action: deploy_lock
short_description: Allow one run at a time per environment
description:
  - Takes a lock object in the state bucket by a conditional write. A detached child process renews it for as long as
    the C(ansible-playbook) process runs.
  - Takes over a lock whose process or heartbeat has ended, and prints a notice. Terraform's own lock is removed only if
    this user's Terraform left it on this machine. Beside any other lock of Terraform, the run fails and the dead lock
    stays.
  - With C(preempts), takes the lock also from a running flow that is C(preemptible). That flow stops before its next
    change.
  - Never reports C(changed). Takes no lock in check mode.
extends_documentation_fragment: [operations, operations.bucket]
options:
  state:
    description: C(held) takes the lock, C(free) gives back this run's own, C(broken) frees it, whoever holds it.
    type: str
    choices: [held, free, broken]
    required: true
  purpose: {type: str, required: true, description: "The purpose of this run, which a second run prints."}
  preempts: {type: bool, required: true, description: "Whether to take the lock from a running flow."}
  preemptible: {type: bool, required: true, description: "Whether a run that pre-empts may take the lock."}
  releases: {type: bool, required: true, description: "Whether this run ends in a release, which a rollback undoes."}
  heartbeat_seconds: {type: float, required: true, description: "Seconds between two renewals."}
  state_keys:
    description: Keys of the Terraform states whose own lock, C(<key>.tflock), a killed run may have left.
    type: list
    elements: str
    required: true
  project_dir: {type: path, required: true, description: "The checkout, in which a killed run's Terraform may run."}
  orphan_wait_seconds: {type: float, required: true, description: "Seconds to wait for such a Terraform process."}
  break_command: {type: str, required: true, description: "The command in the refusal that breaks the lock."}
"""

EXAMPLES = """
- name: Take the deployment lock
  deploy_lock:
    state: held
    bucket: storefront-terraform-000000000000-ap-northeast-2
    environment_name: local
    purpose: deploy
    preempts: false
    preemptible: true
    releases: true
    heartbeat_seconds: 10
    state_keys: [local/terraform.tfstate]
    project_dir: "{{ project_dir }}"
    orphan_wait_seconds: 300
    break_command: make unlock ENV=local
"""

RETURN = """
state: {type: str, returned: always, description: "C(held) or C(free); C(unknown) if check mode cannot read it."}
taken_over: {type: str, returned: when a dead lock was taken over, description: "The previous holder."}
outcome: {type: dict, returned: for C(broken), description: How the command ended.}
preempted: {type: str, returned: when a running flow was pre-empted, description: "The previous holder."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        store = LockStore(self.session().client("s3"), args.pop("bucket"), args.pop("environment_name"))
        state = args.pop("state")
        # The worker that runs this action is a child of ansible-playbook, which holds the lock.
        request = Request(environment=self.environment, **args)
        lock = DeploymentLock(store, request, Machine.this(), os.getppid(), say=self.say, warn=self.warn)
        if self.preview:
            result = lock.preview_breaking() if state == "broken" else lock.preview_taking()
            self.say(result["msg"])
            return result
        if state == "broken":
            broken = lock.break_()
            return broken | self.done(broken["msg"], next_command=f"make status ENV={self.environment}")
        result = lock.take() if state == "held" else lock.free()
        self.note(result["msg"])
        return result
