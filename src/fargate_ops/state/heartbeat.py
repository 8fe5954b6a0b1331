"""Renew a lock for as long as one process lives: ``python -m fargate_ops.state.heartbeat <json>``.

The ``deploy_lock`` action starts it as a child in a session of its own: it outlives the task that started it, and
Ctrl-C in the playbook does not reach it. It ends by itself

- when the process no longer holds the lock (it was freed, broken or taken over),
- when the process is gone. It then frees the lock, unless Terraform's own lock still exists: in that case the lock
  stays without a heartbeat, so that the next flow takes over both.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fargate_ops.aws.session import aws_session, client_config
from fargate_ops.state.lock import LockError, LockStore, Machine, is_alive

#: A renewal that hangs must leave time for the next one: two calls, each tried twice, end within half a minute.
CLIENT_LIMITS = {"connect_timeout": 2, "read_timeout": 5, "retries": {"mode": "standard", "total_max_attempts": 2}}
#: Seconds between two checks that the process still runs. A check is one read in /proc.
WATCH_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The lock to renew, for which process. ``interval`` is in seconds."""

    bucket: str
    environment: str
    holder: str
    pid: int
    interval: float
    state_keys: Sequence[str] = ()

    def to_argument(self) -> str:
        return json.dumps({**self.__dict__, "state_keys": list(self.state_keys)})

    @classmethod
    def from_argument(cls, argument: str) -> Assignment:
        return cls(**json.loads(argument))


def beat(
    store: LockStore,
    assignment: Assignment,
    machine: Machine,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Renew the lock until the process loses it or ends. Return why the renewal ended."""
    last = clock()
    while True:
        if not is_alive(machine, assignment.pid, assignment.holder):
            return _conclude(store, assignment)
        if clock() - last >= assignment.interval:
            last = clock()
            try:
                found = store.read()
                if found is None or found.lock is None or not found.is_of(assignment.holder):
                    return "the lock is not ours any more"
                store.swap(replace(found.lock, heartbeat=datetime.now(UTC)), found.etag)
            except LockError:
                # The bucket may not answer for a while. If that lasts, the lock becomes stale, as it should.
                pass
        sleep(WATCH_SECONDS)


def _conclude(store: LockStore, assignment: Assignment) -> str:
    try:
        if store.state_locks(assignment.state_keys):
            return "the process is gone and left Terraform's lock: the next flow takes both over"
        store.release(assignment.holder, datetime.now(UTC))
    except LockError as error:
        return f"the process is gone and the lock cannot be freed ({error}): the next flow takes it over"
    return "the process is gone: lock freed"


def main(argument: str) -> int:
    assignment = Assignment.from_argument(argument)
    beat(store_of(assignment), assignment, Machine.this())
    return 0


def store_of(assignment: Assignment) -> LockStore:
    """Return the lock to renew. This process inherits the action's environment, which includes the play's."""
    s3 = aws_session({}, config=client_config(**CLIENT_LIMITS)).client("s3")
    return LockStore(s3, assignment.bucket, assignment.environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
