"""Renew a lock for as long as one process lives: ``python -m fargate_ops.state.heartbeat <json>``.

A child of its own session, started by the ``deploy_lock`` action: it outlives the task that started it and is not
hit by the Ctrl-C that ends the playbook. It ends by itself

- when the lock is no longer that of the process (freed, broken or taken over),
- when the process is gone. It then frees the lock, unless Terraform's own lock is still there: in that case the lock
  stays, dead, so that the next flow takes over both.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from botocore.config import Config

from fargate_ops.aws.session import aws_session
from fargate_ops.state.lock import LockError, LockStore, Machine, is_alive

#: A renewal that hangs must leave time for the next: two calls, each tried twice, are over in half a minute.
CLIENT_CONFIG = Config(
    connect_timeout=2,  # seconds
    read_timeout=5,  # seconds
    retries={"mode": "standard", "total_max_attempts": 2},
    user_agent_extra="settlement-playbooks",
)
#: How often to look whether the process lives. Cheap: one read in /proc.
WATCH_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What to renew, for whom, how often. ``interval`` in seconds."""

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
    """Renew until there is nothing to renew; why it ended."""
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
                # The bucket may be away for a while; if it stays away the heartbeat ages, which is the truth.
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
    """The lock to renew. The environment is inherited from the action, which has applied the play's."""
    s3 = aws_session({}, config=CLIENT_CONFIG).client("s3")
    return LockStore(s3, assignment.bucket, assignment.environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
