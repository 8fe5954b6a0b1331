"""Take, free or break the deployment lock of an environment, and clean up after a dead flow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.core.problem import EndError, OperationsError
from fargate_ops.core.project import SOURCE
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

Say = Callable[[str], None]

#: Seconds between two messages while waiting for a Terraform process.
SAY_EVERY = 10.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of the action ``deploy_lock``."""

    environment: str
    purpose: str
    preempts: bool
    preemptible: bool
    releases: bool
    heartbeat_seconds: float
    state_keys: Sequence[str]
    project_dir: str
    orphan_wait_seconds: float
    break_command: str


class DeploymentLock:
    """The lock of one environment, for the flow of process `pid`.

    Each method returns ``state`` (``held``, ``free`` or ``unknown``) and a message for people, ``msg``.
    """

    def __init__(
        self,
        store: LockStore,
        request: Request,
        machine: Machine,
        pid: int,
        *,
        say: Say,
        warn: Say,
        start: Callable[[Assignment], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._request, self._machine, self._pid = store, request, machine, pid
        self._holder = holder_of(machine, pid)
        self._say, self._warn, self._sleep = say, warn, sleep
        self._start = start or start_heartbeat

    def preview_taking(self) -> dict[str, str]:
        """Return what `take` would do."""
        found, unknown = self._look()
        if unknown:
            return unknown
        state = judge(found, self._machine, self._holder, STALE_AFTER)
        message = "check mode takes no lock; "
        if found and state is State.HELD and self._request.preempts and gives_way(found):
            message += f"a run would pre-empt {found}"
        elif state is State.HELD:
            message += f"a run would stop here: held by {found}"
        elif found and state is State.DEAD:
            left = [lock for lock in self._state_locks_in_use() if not left_here(lock, found, self._machine)]
            stop = f"a run would stop here: {self._state_locked(found, left)}"
            message += stop if left else f"a run would take it over from {found}"
        else:
            message += f"{self._store.key} is free"
        return {"state": "held" if state is State.HELD else "free", "msg": message}

    def preview_breaking(self) -> dict[str, str]:
        """Return what `break_` would do."""
        found, unknown = self._look()
        if unknown:
            return unknown
        held = found is not None and found.held
        parts = [f"would break the lock of {found}" if held else "there is no lock to free"]
        parts += [f"would remove Terraform's lock of {left}" for left in self._state_locks()]
        return {"state": "held" if held else "free", "msg": "; ".join(parts)}

    def take(self) -> dict[str, str]:
        """Take the lock and start its heartbeat. ``taken_over`` and ``preempted`` name the previous holder.

        Raises:
            EndError: another flow holds it, or the lock is dead and somebody else holds Terraform's lock.
        """
        request, now = self._request, datetime.now(UTC)
        mine = Lock(
            holder=self._holder,
            machine=self._machine.identity,
            pid=self._pid,
            owner=actor(os.environ),
            purpose=request.purpose,
            started=now,
            heartbeat=now,
            preemptible=request.preemptible,
            releases=request.releases,
            directory=request.project_dir,
        )
        keys = self._keys_in_use()
        try:
            acquired = self._store.acquire(mine, self._machine, STALE_AFTER, preempt=request.preempts, state_keys=keys)
        except StateLocked as refusal:
            raise self._locked(
                self._state_locked(refusal.found, refusal.left),
                f"Terraform's lock is that of {', '.join(map(str, refusal.left))}; its flow has died: {refusal.found}",
                f"if that Terraform is surely dead, {request.break_command}; then repeat the command",
            ) from None
        except LockHeld as refusal:
            raise self._locked(
                f"{request.environment} is locked by {refusal.found}. "
                f"Wait for it to end; if you are sure that it is dead: {request.break_command}",
                f"held by {refusal.found}",
                f"wait for it to end; if you are sure that it is dead, {request.break_command}",
            ) from None
        if acquired.lock.started != now:
            return {"state": "held", "msg": "this run holds the lock already"}
        self._start(
            Assignment(
                bucket=self._store.bucket,
                environment=request.environment,
                holder=self._holder,
                pid=self._pid,
                interval=request.heartbeat_seconds,
                state_keys=list(request.state_keys),
            )
        )
        if acquired.preempted:
            stopped = str(acquired.preempted)
            message = f"pre-empted {stopped}: it stops before it changes anything more"
            self._warn(message)
            return {"state": "held", "msg": message, "preempted": stopped}
        if acquired.taken_over:
            dead = str(acquired.taken_over)
            self._clear(acquired.taken_over)
            return {"state": "held", "msg": f"taken over from {dead}", "taken_over": dead}
        for left in self._state_locks_in_use():
            self._warn(
                f"Terraform's lock of this environment is that of {left}; Terraform waits a minute for it. "
                f"If it is surely dead: {request.break_command}"
            )
        return {"state": "held", "msg": f"locked for {request.purpose}"}

    def free(self) -> dict[str, str]:
        """Free this flow's own lock."""
        freed = self._store.release(self._holder, datetime.now(UTC))
        return {"state": "free", "msg": f"freed the lock of {freed}" if freed else "there was no lock to free"}

    def break_(self) -> dict[str, str]:
        """Free the lock, whoever holds it, and remove Terraform's locks."""
        freed = self._store.release(None, datetime.now(UTC))
        message = f"broke the lock of {freed}" if freed else "there was no lock to free"
        (self._warn if freed else self._say)(message)
        self._remove(self._state_locks())
        return {"state": "free", "msg": message}

    def _locked(self, text: str, cause: str, next_command: str) -> EndError:
        """Return the error of a lock that somebody else holds."""
        where = f"s3://{self._store.bucket}/{self._store.key}"
        outcome = Outcome(
            kind=Kind.LOCKED,
            what="another command holds the deployment lock",
            where=where,
            cause=cause,
            next=next_command,
        )
        return EndError(outcome, self._request.environment, text=text)

    def _look(self) -> tuple[Found | None, dict[str, str]]:
        """Return the lock, or the result of check mode if the lock cannot be read."""
        try:
            return self._store.read(), {}
        except LockError as error:
            return None, {"state": "unknown", "msg": f"would take the lock; not known yet: {error}"}

    def _keys_in_use(self) -> Sequence[str]:
        """Return the states that this flow may change. A flow that pre-empts uses no Terraform."""
        return [] if self._request.preempts else self._request.state_keys

    def _state_locks_in_use(self) -> list[StateLock]:
        return self._store.state_locks(self._keys_in_use())

    def _state_locks(self) -> list[StateLock]:
        return self._store.state_locks(self._request.state_keys)

    def _state_locked(self, dead: Found, left: Iterable[StateLock]) -> str:
        request = self._request
        holders = "\n".join(
            f"Terraform's lock s3://{self._store.bucket}/{lock.key} is that of {lock}." for lock in left
        )
        return (
            f"the flow that held {request.environment} has died: {dead}.\n{holders}\n"
            f"This machine cannot check whether that Terraform still runs. Nothing was changed.\n"
            f"Next: if it is surely dead, {request.break_command}; then repeat the command"
        )

    def _clear(self, dead: Found) -> None:
        """Wait for the dead flow's Terraform processes, and remove the Terraform locks that it left."""
        self._warn(f"Took over the lock of a flow that died: {dead}")
        checkouts = {Path(self._request.project_dir)}
        if dead.lock and dead.lock.machine == self._machine.identity and dead.lock.directory:
            checkouts.add(Path(dead.lock.directory))
        # A flow that pre-empts does not wait: Terraform may continue, and frees its lock itself.
        if not self._request.preempts:
            self._wait_for_orphans(checkouts)
        left = self._state_locks()
        if not orphans(checkouts):
            self._remove([lock for lock in left if left_here(lock, dead, self._machine)])

    def _remove(self, locks: Iterable[StateLock]) -> None:
        for lock in locks:
            self._store.delete_state_locks([lock])
            self._warn(f"Removed Terraform's lock of {lock}: s3://{self._store.bucket}/{lock.key}")

    def _wait_for_orphans(self, checkouts: Collection[Path]) -> None:
        """Wait until Terraform processes that outlived their playbook end. Killing one halfway would be worse."""
        limit = self._request.orphan_wait_seconds
        deadline = time.monotonic() + limit
        said = -SAY_EVERY
        while left := orphans(checkouts):
            if time.monotonic() > deadline:
                raise OperationsError(
                    f"Terraform of the interrupted flow still runs after {limit:.0f} s. "
                    f"Wait for it, or end it and run this again: kill {' '.join(map(str, left))}"
                )
            if time.monotonic() - said >= SAY_EVERY:
                said = time.monotonic()
                self._say(f"Waiting for Terraform of the interrupted flow to end (process {left[0]})")
            self._sleep(0.5)


def start_heartbeat(assignment: Assignment) -> None:
    """Start the child process that renews the lock, in its own session so that no signal of the terminal reaches it."""
    subprocess.Popen(
        [sys.executable, "-m", "fargate_ops.state.heartbeat", assignment.to_argument()],
        cwd=SOURCE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        close_fds=True,
    )
