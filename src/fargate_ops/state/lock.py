"""One flow at a time per environment: a lock object in the state bucket, ``locks/<environment>.json``.

Every change of it is a compare-and-swap: ``If-None-Match: *`` makes it, ``If-Match: <etag>`` renews, takes over or
frees it, so two flows can never both hold it
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). A free lock is an object that says
``"released": true``: freeing is a conditional write too, and not a delete that could hit somebody else's lock.

The holder is the ``ansible-playbook`` process (`holder_of`), so every task of a run recognizes its own lock without a
token.

An object that is no lock (not JSON, or of another shape) counts as the lock of an unknown holder: it stops a flow, and
it is described, taken over and broken like any other.

Terraform's own lock of a state is another object, ``<state key>.tflock``, which says who made it. A dead deployment
lock does not prove that the Terraform process is dead too, except on this machine, where processes can be seen. So a
takeover removes only what this user's Terraform left on this machine:
https://developer.hashicorp.com/terraform/language/backend/s3#state-locking
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.errors import NO_OBJECT, error_code
from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import OperationsError
from fargate_ops.plugin.environment import user_name
from fargate_ops.state.record import parse

#: A lock of another machine is dead if S3 has stored no renewal for this long. A renewal takes half a minute at most,
#: so several in a row have failed by then.
STALE_AFTER = timedelta(seconds=180)
#: A swap that lost to our own heartbeat is repeated. After so many attempts, somebody else is writing.
SWAP_ATTEMPTS = 5
#: S3 refuses requests of a clock that is 15 minutes off (RequestTimeTooSkewed), so a running flow never writes a
#: heartbeat further from the time at which S3 stores it.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
GREATEST_SKEW = timedelta(minutes=14)


class LockError(OperationsError):
    """The lock cannot be read or written."""

    kind = Kind.REFUSED


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Who holds the environment, for which purpose, since when, and the last heartbeat (times in UTC).

    A rollback takes the lock from a ``preemptible`` flow, which then stops before its next change. ``releases``: the
    flow ends in a release. ``stopped_release`` describes the release from which this flow took the lock.
    ``directory`` is the holder's checkout: its Terraform runs below it.
    """

    holder: str
    machine: str
    pid: int
    owner: str
    purpose: str
    started: datetime
    heartbeat: datetime
    released: bool = False
    preemptible: bool = True
    releases: bool = False
    stopped_release: str = ""
    directory: str = ""

    def to_json(self) -> str:
        times = {name: getattr(self, name).astimezone(UTC).isoformat() for name in ("started", "heartbeat")}
        return json.dumps({**asdict(self), **times})

    @classmethod
    def from_json(cls, body: str | bytes) -> Lock:
        """Read the object's body.

        Raises:
            ValueError: it is not a lock; says why.
        """
        return parse(cls, body)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The lock object as S3 returned it. ``lock`` is None if its content is no lock; ``broken`` is the reason.

    ``written`` is the answer's ``Last-Modified`` and ``now`` its ``Date``, so the age is measured by S3's clock only.
    Without ``Date`` the age is 0:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """

    lock: Lock | None
    etag: str
    written: datetime
    now: datetime
    broken: str = ""

    @property
    def held(self) -> bool:
        """Return whether anybody holds it."""
        return self.lock is None or not self.lock.released

    def is_of(self, holder: str) -> bool:
        return self.lock is not None and self.held and self.lock.holder == holder

    def is_stale(self, after: timedelta) -> bool:
        """Return whether nobody renews it: S3 stored it too long ago, or no running flow can have written it."""
        impossible = self.lock is not None and abs(self.written - self.lock.heartbeat) > GREATEST_SKEW
        return impossible or self.now - self.written >= after

    def __str__(self) -> str:
        """Return who holds it, for which purpose, since when, and when it was last renewed."""
        heard = f"{age(self.written, self.now)} ago"
        if self.lock is None:
            return f"somebody unknown (the object is not a lock: {self.broken}; it was written {heard})"
        started = self.lock.started
        return (
            f"{self.lock.owner}, for {self.lock.purpose}, since {started:%Y-%m-%d %H:%M:%S} UTC "
            f"({age(started, self.now)} ago; last heard of {heard})"
        )


class LockHeld(Exception):
    """Another flow holds the environment."""

    def __init__(self, found: Found) -> None:
        super().__init__(f"held by {found}")
        self.found = found


@dataclass(frozen=True, kw_only=True)
class StateLock:
    """Terraform's own lock of a state: who made it, for which operation, since when.

    Fields that the object lacks are empty: statemgr.LockInfo in
    https://github.com/hashicorp/terraform/blob/main/internal/states/statemgr/locker.go
    """

    key: str
    who: str = ""
    operation: str = ""
    created: str = ""

    @classmethod
    def from_json(cls, key: str, body: str | bytes) -> StateLock:
        try:
            info = json.loads(body)
        except (ValueError, RecursionError):
            return cls(key=key)
        said = {name: value for name, value in info.items() if isinstance(value, str)} if isinstance(info, dict) else {}
        return cls(
            key=key,
            who=said.get("Who", "").encode(errors="replace").decode(),
            operation=said.get("Operation", "").removeprefix("OperationType").lower(),
            created=said.get("Created", "").partition(".")[0],
        )

    def is_of(self, machine: Machine) -> bool:
        """Return whether this user's Terraform made it, on this machine."""
        return self.who == f"{user_name()}@{machine.name}"

    def __str__(self) -> str:
        details = ", ".join(filter(None, [self.operation, self.created and f"since {self.created}"]))
        return (self.who or "somebody unknown") + (f" ({details})" if details else "")


class StateLocked(Exception):
    """The deployment lock is dead, but Terraform's lock beside it may belong to a running process."""

    def __init__(self, found: Found, left: Sequence[StateLock]) -> None:
        super().__init__(f"the lock of {found} is dead, and Terraform's lock is that of {left[0]}")
        self.found = found
        self.left = left


#: Written over an object that is no lock, to free it.
NOBODY = Lock(
    holder="",
    machine="",
    pid=0,
    owner="nobody",
    purpose="nothing",
    started=datetime.fromtimestamp(0, UTC),
    heartbeat=datetime.fromtimestamp(0, UTC),
)


class State(Enum):
    FREE = auto()
    OURS = auto()
    HELD = auto()
    DEAD = auto()


@dataclass(frozen=True)
class Machine:
    """Where a process id is valid: one boot of one kernel, in one process namespace."""

    identity: str
    proc: Path = Path("/proc")

    @property
    def name(self) -> str:
        """Return the host name, as Terraform writes it into its locks."""
        return self.identity.partition(" ")[0]

    @classmethod
    def this(cls, proc: Path = Path("/proc")) -> Machine:
        try:
            boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
            namespace = os.readlink(proc / "self/ns/pid")
        except OSError:  # not Linux
            boot, namespace = f"{uuid.getnode():x}", ""
        return cls(f"{socket.gethostname()} {boot} {namespace}".strip(), proc)

    def process_start(self, pid: int) -> str | None:
        """Return when `pid` started, in ticks since boot, to recognize a reused id; None if the process is gone.

        Field 22 of proc(5) stat; the second field is in parentheses and may hold anything. A zombie is gone.
        """
        if not self.proc.is_dir():
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return None
            except PermissionError:
                pass
            return ""
        try:
            after_name = (self.proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if after_name[0] in ("Z", "X") else after_name[19]


def holder_of(machine: Machine, pid: int) -> str:
    """Return the name of a process in a lock: machine, id and start."""
    return f"{machine.identity} {pid} {machine.process_start(pid) or ''}".strip()


def is_alive(machine: Machine, pid: int, holder: str) -> bool:
    """Return whether the process of this name still runs on this machine."""
    return machine.process_start(pid) is not None and holder_of(machine, pid) == holder


def judge(found: Found | None, machine: Machine, holder: str, stale_after: timedelta) -> State:
    """Return the lock's state. On the holder's own machine its process decides; elsewhere the age in S3."""
    if found is None or not found.held:
        return State.FREE
    if found.is_of(holder):
        return State.OURS
    if found.lock and found.lock.machine == machine.identity:
        return State.HELD if is_alive(machine, found.lock.pid, found.lock.holder) else State.DEAD
    return State.DEAD if found.is_stale(stale_after) else State.HELD


def gives_way(found: Found) -> bool:
    """Return whether a rollback may take it: an object that is no lock must not block a rollback."""
    return found.lock is None or found.lock.preemptible


@dataclass(frozen=True)
class Acquired:
    """A lock that this run holds. ``taken_over`` is the dead lock that it replaced, ``preempted`` the live one."""

    lock: Lock
    etag: str
    taken_over: Found | None = None
    preempted: Found | None = None


class LockStore:
    """The lock object of one environment."""

    def __init__(self, s3: Any, bucket: str, environment: str) -> None:
        self._s3 = s3
        self._environment = environment
        self.bucket = bucket
        self.key = f"locks/{environment}.json"

    def read(self) -> Found | None:
        """Return the lock object, whatever its content; None if there is no such object or bucket."""
        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=self.key)
            body: bytes = answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in NO_OBJECT:
                return None
            raise LockError(f"cannot read s3://{self.bucket}/{self.key}: {error}") from error
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        now = parsedate_to_datetime(date) if date else answer["LastModified"]
        seen = {"etag": str(answer["ETag"]), "written": answer["LastModified"], "now": now}
        try:
            return Found(lock=Lock.from_json(body), **seen)
        except ValueError as error:
            return Found(lock=None, broken=str(error), **seen)

    def swap(self, lock: Lock, etag: str | None) -> str | None:
        """Write `lock` over the version `etag` (None: no object). Return the new etag; None if the object changed."""
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            answer = self._s3.put_object(
                Bucket=self.bucket,
                Key=self.key,
                Body=lock.to_json().encode(),
                ContentType="application/json",
                **condition,
            )
        except (ClientError, BotoCoreError) as error:
            if error_code(error) in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                return None
            if error_code(error) == "NoSuchBucket":
                raise LockError(
                    f"nothing has been made here yet: there is no bucket {self.bucket}. "
                    f"Next: make bootstrap ENV={self._environment}"
                ) from None  # the message says it all
            raise LockError(f"cannot write s3://{self.bucket}/{self.key}: {error}") from error
        return str(answer["ETag"])

    def acquire(
        self,
        mine: Lock,
        machine: Machine,
        stale_after: timedelta,
        *,
        preempt: bool = False,
        state_keys: Sequence[str] = (),
    ) -> Acquired:
        """Take the lock, or return it if this run has it already. ``preempt`` also takes it from a preemptible flow.

        ``state_keys`` are the Terraform states that this run changes. A dead lock is not taken over while Terraform's
        lock of one of them exists, unless that lock was `left_here`.

        Raises:
            LockHeld: another flow has it.
            StateLocked: the lock is dead, and Terraform's may not be.
        """
        dead: Found | None = None
        preempted: Found | None = None
        for _ in range(SWAP_ATTEMPTS):
            current = self.read()
            state = judge(current, machine, mine.holder, stale_after)
            if current and current.lock == mine:
                # Our own write, whose answer was lost: the client's retry then failed its precondition.
                return Acquired(mine, current.etag, dead, preempted)
            if current and current.lock and state is State.OURS:
                return Acquired(current.lock, current.etag)
            dead = current if state is State.DEAD else None
            preempted = current if state is State.HELD else None
            if preempted and not (preempt and gives_way(preempted)):
                raise LockHeld(preempted)
            if dead and (left := [item for item in self.state_locks(state_keys) if not left_here(item, dead, machine)]):
                raise StateLocked(dead, left)
            if preempted and preempted.lock and preempted.lock.releases:
                mine = replace(mine, stopped_release=str(preempted))
            written = self.swap(mine, current.etag if current else None)
            if written:
                return Acquired(mine, written, dead, preempted)
        raise LockError(f"s3://{self.bucket}/{self.key} changes too often to be taken")

    def release(self, holder: str | None, now: datetime) -> Found | None:
        """Free the lock of `holder` (None: of anybody) and return it as it was; None if they did not hold it."""
        for _ in range(SWAP_ATTEMPTS):
            current = self.read()
            if current is None or not current.held or not (holder is None or current.is_of(holder)):
                return None
            if self.swap(replace(current.lock or NOBODY, released=True, heartbeat=now), current.etag):
                return current
        raise LockError(f"s3://{self.bucket}/{self.key} changes too often to be freed")

    def held(self, holder: str) -> Lock | None:
        """Return the lock of `holder`, or None if they do not hold it (any more)."""
        current = self.read()
        return current.lock if current and current.is_of(holder) else None

    def loss(self, holder: str) -> str:
        """Return how `holder` lost the lock, for messages; empty while they hold it."""
        current = self.read()
        if current is None:
            return "it is gone from the state bucket"
        if current.lock is None or current.lock.holder != holder:
            return f"it was taken by {current}"
        return "" if current.held else "somebody broke it (make unlock)"

    def state_locks(self, state_keys: Iterable[str]) -> list[StateLock]:
        """Return Terraform's own locks of these states, as far as they exist."""
        found = []
        for key in (f"{state}.tflock" for state in state_keys):
            try:
                body: bytes = self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except (ClientError, BotoCoreError) as error:
                if error_code(error) in NO_OBJECT:
                    continue
                raise LockError(f"cannot read s3://{self.bucket}/{key}: {error}") from error
            found.append(StateLock.from_json(key, body))
        return found

    def delete_state_locks(self, locks: Iterable[StateLock]) -> None:
        for lock in locks:
            try:
                self._s3.delete_object(Bucket=self.bucket, Key=lock.key)
            except (ClientError, BotoCoreError) as error:
                raise LockError(f"cannot delete s3://{self.bucket}/{lock.key}: {error}") from error


def left_here(state_lock: StateLock, dead: Found, machine: Machine) -> bool:
    """Return whether the flow of the dead lock made Terraform's lock on this machine, where processes can be seen."""
    return dead.lock is not None and dead.lock.machine == machine.identity and state_lock.is_of(machine)


def orphans(directories: Iterable[Path], proc: Path = Path("/proc")) -> list[int]:
    """Return the ids of Terraform processes under a directory: a killed playbook leaves its children running."""
    under = [directory.resolve() for directory in directories]
    found = []
    for entry in proc.glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() != "terraform":
                continue
            works_in = Path(os.readlink(entry / "cwd"))
        except OSError:  # ended meanwhile, or of another user
            continue
        if any(works_in.is_relative_to(directory) for directory in under):
            found.append(int(entry.name))
    return sorted(found)


def age(then: datetime, now: datetime) -> str:
    """Format a duration: ``42 s``, ``3 min``, ``2 h 5 min``."""
    seconds = max(0, int((now - then).total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
