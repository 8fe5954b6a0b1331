"""The conditions for a change: the run holds the deployment lock, and has time left to undo a failure."""

from __future__ import annotations

from fargate_ops.release.context import Context, ReleaseError
from fargate_ops.release.deadline import LEAST_SECONDS
from fargate_ops.release.ending import failed
from fargate_ops.state.lock import LockStore

STOPPED = "this run was stopped."


class Guard:
    """Stops one run that has lost its lock or that has no time left."""

    def __init__(self, context: Context) -> None:
        self.c = context
        self._lock = LockStore(context.clients.client("s3"), context.bucket, context.environment)

    def lost_lock(self) -> str:
        """Return how this run lost the lock; empty while it holds it, or if it needs none."""
        return self._lock.loss(self.c.holder) if self.c.holder else ""

    def require_lock(self, done: str) -> None:
        """Stop if another flow has taken the lock. ``done`` is a sentence about what was done so far.

        Raises:
            ReleaseError: another flow has it.
        """
        if lost := self.lost_lock():
            raise ReleaseError(
                f"{self.c.environment}: this run was stopped: it lost the deployment lock, {lost}. {done}\n"
                f"Next: make status ENV={self.c.environment}",
                f"stopped: lost the deployment lock, {lost}",
                outcome=failed(
                    STOPPED,
                    done,
                    cause=f"it lost the deployment lock: {lost}",
                    next_command=f"make status ENV={self.c.environment}",
                ),
            )

    def within(self, limit: float, *, keep: float = 0.0) -> float:
        """Return a wait's limit, at most the command's time left minus ``keep`` seconds for what may follow."""
        return min(limit, max(LEAST_SECONDS, self.c.time_left() - keep))

    def require_time(self, done: str) -> None:
        """Stop if the time left is too short to undo a failed change. ``done`` as in `require_lock`.

        Raises:
            ReleaseError: it is too short.
        """
        left, undo = self.c.time_left(), self.c.limits.rollback_wait
        if left < undo + LEAST_SECONDS:
            raise ReleaseError(
                f"{self.c.environment}: this run has {max(0, left):.0f} s left, and undoing a failure may take "
                f"{undo:.0f} s. {done}\nNext: {self.c.retry_command}, which continues after the work done so far",
                f"no time left: {max(0, left):.0f} s",
                outcome=failed(
                    STOPPED,
                    done,
                    cause=f"it had {max(0, left):.0f} s left, and undoing a failure may take {undo:.0f} s",
                    next_command=f"{self.c.retry_command}, which continues after the work done so far",
                ),
            )

    def stopped_release(self) -> str:
        """Describe the release that this run stopped when it took the lock; empty if it stopped none."""
        held = self._lock.held(self.c.holder) if self.c.holder else None
        return held.stopped_release if held else ""
