"""Take, free or break the deployment lock of an environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from roles.aws_session.python.action import OperationsAction
from roles.aws_session.python.session import action_environment, aws_session
from roles.deploy_lock.python.heartbeat import Assignment
from roles.deploy_lock.python.lock import (
    Lock,
    LockError,
    LockHeld,
    LockStore,
    Machine,
    State,
    gives_way,
    holder_of,
    judge,
    orphans,
)
from roles.release_ledger.python.ledger import actor

DOCUMENTATION = """
---
action: deploy_lock
short_description: One flow at a time per environment
description:
  - Takes a lock object in the state bucket by a conditional write and renews it from a detached child process for as
    long as the C(ansible-playbook) process lives.
  - A lock whose process or heartbeat died is taken over with a notice, and Terraform's own lock that it left with it.
  - With C(preempts) the lock is taken from a living flow too, unless that one is not C(preemptible); the flow notices
    before it changes anything more, and stops.
  - Never reports C(changed); takes nothing in check mode.
options:
  state:
    description: C(held) takes the lock, C(free) gives back this run's own, C(broken) frees whoever's it is.
    choices: [held, free, broken]
    default: held
    type: str
  bucket:
    description: The state bucket.
    required: true
    type: str
  environment_name:
    description: The environment that is locked.
    required: true
    type: str
  purpose:
    description: What for, as a second flow will read it.
    default: a playbook
    type: str
  preempts:
    description: Whether to take the lock from a living flow, and to wait for nothing.
    default: false
    type: bool
  preemptible:
    description: Whether a flow that pre-empts may take this lock.
    default: true
    type: bool
  releases:
    description: Whether this flow ends in a release, which a rollback undoes when it pre-empts it.
    default: false
    type: bool
  heartbeat_seconds:
    description: How often the lock is renewed.
    default: 10
    type: float
  stale_seconds:
    description: A lock of another machine that was not renewed for so long is dead.
    default: 60
    type: float
  state_keys:
    description: Keys of the Terraform states whose leftover C(.tflock) is taken over with a dead lock.
    default: []
    type: list
    elements: str
  project_dir:
    description: Terraform processes under this folder that outlived a killed playbook are waited for.
    required: true
    type: path
  orphan_wait_seconds:
    description: For how long.
    default: 300
    type: float
  break_command:
    description: The command that breaks the lock, for the refusal.
    required: true
    type: str
"""

EXAMPLES = """
- name: Take the deployment lock
  deploy_lock:
    state: held
    bucket: settlement-terraform-000000000000-ap-northeast-2
    environment_name: local
    purpose: deploy
    project_dir: "{{ project_dir }}"
    break_command: make unlock ENV=local
"""

RETURN = """
state:
  description: What the lock is now, C(held) or C(free); C(unknown) where check mode cannot look.
  type: str
  returned: always
taken_over:
  description: Who held the dead lock that was taken over.
  type: str
  returned: when a dead lock was taken over
preempted:
  description: Who held the lock that was pre-empted.
  type: str
  returned: when a living flow was pre-empted
"""

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        store = LockStore(aws_session(action_environment(self)).client("s3"), args["bucket"], args["environment_name"])
        # The worker that runs this action is a child of ansible-playbook, and that is who holds the lock.
        machine, pid = Machine.this(), os.getppid()
        holder = holder_of(machine, pid)
        try:
            if self.check_mode:
                return self._preview(args, store, machine, holder)
            if args["state"] == "held":
                return self._acquire(args, store, machine, holder, pid)
            return self._free(args, store, holder)
        except LockError as error:
            raise AnsibleActionFail(f"{args['environment_name']}: {error}") from error

    def _preview(self, args: dict[str, Any], store: LockStore, machine: Machine, holder: str) -> dict[str, Any]:
        try:
            found = store.read()
        except LockError as error:
            return {"changed": False, "state": "unknown", "msg": f"would take the lock; not known yet: {error}"}
        state = judge(found, machine, holder, timedelta(seconds=args["stale_seconds"]))
        if found and state is State.HELD and args["preempts"] and gives_way(found):
            message = f"check mode takes no lock; a run would pre-empt {found}"
        elif state is State.HELD:
            message = f"check mode takes no lock; a run would stop here: held by {found}"
        elif state is State.DEAD:
            message = f"check mode takes no lock; a run would take it over from {found}"
        else:
            message = f"check mode takes no lock; {store.key} is free"
        return {"changed": False, "state": "held" if state is State.HELD else "free", "msg": message}

    def _acquire(
        self, args: dict[str, Any], store: LockStore, machine: Machine, holder: str, pid: int
    ) -> dict[str, Any]:
        now = datetime.now(UTC)
        mine = Lock(
            holder=holder,
            machine=machine.identity,
            pid=pid,
            owner=actor(os.environ),
            purpose=args["purpose"],
            started=now,
            heartbeat=now,
            preemptible=args["preemptible"],
            releases=args["releases"],
        )
        try:
            acquired = store.acquire(mine, machine, timedelta(seconds=args["stale_seconds"]), preempt=args["preempts"])
        except LockHeld as refusal:
            raise AnsibleActionFail(
                f"{args['environment_name']} is locked by {refusal.found}. "
                f"Wait for it to end; if you are sure that it is dead: {args['break_command']}"
            ) from None
        if acquired.lock.started != now:
            return {"changed": False, "state": "held", "msg": "this run holds the lock already"}
        _start_heartbeat(
            Assignment(
                bucket=store.bucket,
                environment=args["environment_name"],
                holder=holder,
                pid=pid,
                interval=args["heartbeat_seconds"],
                state_keys=[str(key) for key in args["state_keys"]],
            )
        )
        if acquired.preempted:
            stopped = str(acquired.preempted)
            message = f"pre-empted {stopped}: it stops before it changes anything more"
            display.display(message, color="yellow")
            return {"changed": False, "state": "held", "msg": message, "preempted": stopped}
        if acquired.taken_over is None:
            return {"changed": False, "state": "held", "msg": f"locked for {args['purpose']}"}
        dead = str(acquired.taken_over)
        display.display(f"Took over the lock of a flow that died: {dead}", color="yellow")
        # A flow that pre-empts uses no Terraform: one that still runs may go on, and frees its lock itself.
        if not args["preempts"]:
            _wait_for_orphans(Path(args["project_dir"]), args["orphan_wait_seconds"])
        if not orphans(Path(args["project_dir"])):
            self._take_over_state_locks(store, args["state_keys"])
        return {"changed": False, "state": "held", "msg": f"taken over from {dead}", "taken_over": dead}

    def _free(self, args: dict[str, Any], store: LockStore, holder: str) -> dict[str, Any]:
        breaking = args["state"] == "broken"
        freed = store.release(None if breaking else holder, datetime.now(UTC))
        message = f"freed the lock of {freed}" if freed else "there was no lock to free"
        if breaking:
            if freed:
                message = f"broke the lock of {freed}"
                display.display(message, color="yellow")
            self._take_over_state_locks(store, args["state_keys"])
        return {"changed": False, "state": "free", "msg": message}

    @staticmethod
    def _take_over_state_locks(store: LockStore, state_keys: Sequence[str]) -> None:
        left = store.remaining_state_locks(state_keys)
        store.delete_state_locks(left)
        for key in left:
            display.display(f"Removed the Terraform lock that it left: s3://{store.bucket}/{key}", color="yellow")


def _start_heartbeat(assignment: Assignment) -> None:
    """Start the child that renews the lock, in a session of its own so that no signal of the terminal reaches it."""
    subprocess.Popen(
        [sys.executable, "-m", "roles.deploy_lock.python.heartbeat", assignment.to_argument()],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
    )


def _wait_for_orphans(directory: Path, limit_seconds: float) -> None:
    """Let Terraform processes that outlived their playbook finish: ending one halfway is worse than waiting."""
    deadline = time.monotonic() + limit_seconds
    said = 0.0
    while left := orphans(directory):
        if time.monotonic() > deadline:
            raise AnsibleActionFail(
                f"Terraform of the interrupted flow still runs after {limit_seconds:.0f} s. "
                f"Wait for it, or end it and run this again: kill {' '.join(map(str, left))}"
            )
        if time.monotonic() - said >= 10:
            said = time.monotonic()
            display.display(f"Waiting for Terraform of the interrupted flow to end (process {left[0]})")
        time.sleep(0.5)
