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
short_description: One flow at a time per environment
description:
  - Takes a lock object in the state bucket by a conditional write and renews it from a detached child process for as
    long as the C(ansible-playbook) process lives.
  - A lock whose process or heartbeat died is taken over with a notice. Terraform's own lock goes with it only where
    this user's Terraform left it on this machine; beside another one the dead lock is left alone, and the run fails.
  - With C(preempts) the lock is taken from a living flow too, unless that one is not C(preemptible); the flow notices
    before it changes anything more, and stops.
  - Never reports C(changed); takes nothing in check mode.
extends_documentation_fragment: [operations, operations.bucket]
options:
  state:
    description: C(held) takes the lock, C(free) gives back this run's own, C(broken) frees whoever's it is.
    type: str
    choices: [held, free, broken]
    required: true
  purpose: {type: str, required: true, description: "What for, as a second flow will read it."}
  preempts: {type: bool, required: true, description: "Whether to take it from a living flow, and to wait for nothing."}
  preemptible: {type: bool, required: true, description: "Whether a flow that pre-empts may take this lock."}
  releases: {type: bool, required: true, description: "Whether this flow ends in a release, which a rollback undoes."}
  heartbeat_seconds: {type: float, required: true, description: "How often the lock is renewed."}
  state_keys:
    description: Keys of the Terraform states whose own lock, C(<key>.tflock), a dead flow may have left.
    type: list
    elements: str
    required: true
  project_dir: {type: path, required: true, description: "The checkout, below which a killed flow's Terraform may run."}
  orphan_wait_seconds: {type: float, required: true, description: "For how long to wait for such a Terraform."}
  break_command: {type: str, required: true, description: "The command that breaks the lock, for the refusal."}
"""

EXAMPLES = """
- name: Take the deployment lock
  deploy_lock:
    state: held
    bucket: settlement-terraform-000000000000-ap-northeast-2
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
state: {type: str, returned: always, description: "C(held) or C(free); C(unknown) where check mode cannot look."}
taken_over: {type: str, returned: when a dead lock was taken over, description: "Who held it."}
preempted: {type: str, returned: when a living flow was pre-empted, description: "Who held the lock."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        store = LockStore(self.session().client("s3"), args.pop("bucket"), args.pop("environment_name"))
        state = args.pop("state")
        # The worker that runs this action is a child of ansible-playbook, which holds the lock.
        request = Request(environment=self.environment, **args)
        lock = DeploymentLock(store, request, Machine.this(), os.getppid(), say=self.say, warn=self.warn)
        if self.preview:
            return lock.preview_breaking() if state == "broken" else lock.preview_taking()
        return {"held": lock.take, "free": lock.free, "broken": lock.break_}[state]()
