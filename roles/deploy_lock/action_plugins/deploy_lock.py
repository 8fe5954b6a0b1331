"""Take, free or break the deployment lock of an environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.core.project import SOURCE
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.state.heartbeat import Assignment
from fargate_ops.state.ledger import actor
from fargate_ops.state.lock import (
    STALE_AFTER,
    Found,
    Lock,
    LockError,
    LockHeld,
    LockStore,
    Machine,
    State,
    StateLock,
    StateLocked,
    gives_way,
    holder_of,
    judge,
    left_here,
    orphans,
)

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
  state_keys:
    description: Keys of the Terraform states whose own lock, C(<key>.tflock), a dead flow may have left.
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
        if args["state"] == "broken":
            return self._preview_breaking(store, found, args["state_keys"])
        state = judge(found, machine, holder, STALE_AFTER)
        if found and state is State.HELD and args["preempts"] and gives_way(found):
            message = f"check mode takes no lock; a run would pre-empt {found}"
        elif state is State.HELD:
            message = f"check mode takes no lock; a run would stop here: held by {found}"
        elif state is State.DEAD:
            message = f"check mode takes no lock; a run would take it over from {found}"
            if found and (left := self._foreign(store, args, found, machine)):
                message = f"check mode takes no lock; a run would stop here: {self._state_locked(args, found, left)}"
        else:
            message = f"check mode takes no lock; {store.key} is free"
        return {"changed": False, "state": "held" if state is State.HELD else "free", "msg": message}

    @staticmethod
    def _preview_breaking(store: LockStore, found: Found | None, state_keys: Iterable[str]) -> dict[str, Any]:
        parts = [f"would break the lock of {found}" if found and found.held else "there is no lock to free"]
        parts += [f"would remove Terraform's lock of {left}" for left in store.state_locks(state_keys)]
        state = "held" if found and found.held else "free"
        return {"changed": False, "state": state, "msg": "; ".join(parts)}

    @staticmethod
    def _foreign(store: LockStore, args: dict[str, Any], dead: Found, machine: Machine) -> list[StateLock]:
        """Terraform's locks beside a dead lock that this run would leave alone, and stop for."""
        locks = [] if args["preempts"] else store.state_locks(args["state_keys"])
        return [lock for lock in locks if not left_here(lock, dead, machine)]

    @staticmethod
    def _state_locked(args: dict[str, Any], dead: Found, left: Iterable[StateLock]) -> str:
        holders = "\n".join(f"Terraform's lock s3://{args['bucket']}/{lock.key} is that of {lock}." for lock in left)
        return (
            f"the flow that held {args['environment_name']} was not heard of any more: {dead}.\n{holders}\n"
            f"Whether that Terraform still works cannot be seen from here. Nothing was changed.\n"
            f"Next: if it is surely dead, {args['break_command']}; then repeat the command"
        )

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
            directory=args["project_dir"],
        )
        # A flow that pre-empts uses no Terraform.
        state_keys = [] if args["preempts"] else args["state_keys"]
        try:
            acquired = store.acquire(mine, machine, STALE_AFTER, preempt=args["preempts"], state_keys=state_keys)
        except StateLocked as refusal:
            raise AnsibleActionFail(self._state_locked(args, refusal.found, refusal.left)) from None
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
            for left in store.state_locks(state_keys):
                display.display(
                    f"Terraform's lock of this environment is that of {left}; Terraform waits a minute for it. "
                    f"If it is surely dead: {args['break_command']}",
                    color="yellow",
                )
            return {"changed": False, "state": "held", "msg": f"locked for {args['purpose']}"}
        self._take_over(args, store, acquired.taken_over, machine)
        dead = str(acquired.taken_over)
        return {"changed": False, "state": "held", "msg": f"taken over from {dead}", "taken_over": dead}

    @staticmethod
    def _take_over(args: dict[str, Any], store: LockStore, dead: Found, machine: Machine) -> None:
        """See to what the dead flow has left: Terraform processes, and Terraform's locks that nobody needs any more."""
        display.display(f"Took over the lock of a flow that died: {dead}", color="yellow")
        checkouts = {Path(args["project_dir"])}
        if dead.lock and dead.lock.machine == machine.identity and dead.lock.directory:
            checkouts.add(Path(dead.lock.directory))
        # A flow that pre-empts uses no Terraform: one that still runs may go on, and frees its lock itself.
        if not args["preempts"]:
            _wait_for_orphans(checkouts, args["orphan_wait_seconds"])
        left = store.state_locks(args["state_keys"])
        if not orphans(checkouts):
            _remove(store, [lock for lock in left if left_here(lock, dead, machine)])

    def _free(self, args: dict[str, Any], store: LockStore, holder: str) -> dict[str, Any]:
        breaking = args["state"] == "broken"
        freed = store.release(None if breaking else holder, datetime.now(UTC))
        message = f"freed the lock of {freed}" if freed else "there was no lock to free"
        if breaking:
            if freed:
                message = f"broke the lock of {freed}"
                display.display(message, color="yellow")
            _remove(store, store.state_locks(args["state_keys"]))
        return {"changed": False, "state": "free", "msg": message}


def _remove(store: LockStore, locks: Iterable[StateLock]) -> None:
    for lock in locks:
        store.delete_state_locks([lock])
        display.display(f"Removed Terraform's lock of {lock}: s3://{store.bucket}/{lock.key}", color="yellow")


def _start_heartbeat(assignment: Assignment) -> None:
    """Start the child that renews the lock, in a session of its own so that no signal of the terminal reaches it."""
    subprocess.Popen(
        [sys.executable, "-m", "fargate_ops.state.heartbeat", assignment.to_argument()],
        cwd=SOURCE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
    )


def _wait_for_orphans(checkouts: Collection[Path], limit_seconds: float) -> None:
    """Let Terraform processes that outlived their playbook finish: ending one halfway is worse than waiting."""
    deadline = time.monotonic() + limit_seconds
    said = 0.0
    while left := orphans(checkouts):
        if time.monotonic() > deadline:
            raise AnsibleActionFail(
                f"Terraform of the interrupted flow still runs after {limit_seconds:.0f} s. "
                f"Wait for it, or end it and run this again: kill {' '.join(map(str, left))}"
            )
        if time.monotonic() - said >= 10:
            said = time.monotonic()
            display.display(f"Waiting for Terraform of the interrupted flow to end (process {left[0]})")
        time.sleep(0.5)
