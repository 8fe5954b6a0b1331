"""What has to be true before a run changes anything: it holds the deployment lock, and has time to undo a failure."""

from __future__ import annotations

from fargate_ops.release.context import Context, ReleaseError
from fargate_ops.release.deadline import LEAST_SECONDS
from fargate_ops.state.lock import LockStore


class Guard:
    """Guards one run by its lock and by its time."""

    def __init__(self, context: Context) -> None:
        self.c = context
        self._lock = LockStore(context.clients.client("s3"), context.bucket, context.environment)

    def lost_lock(self) -> str:
        """Who took the lock from this run; empty while it has it, or needs none."""
        return self._lock.loss(self.c.holder) if self.c.holder else ""

    def require_lock(self, done: str) -> None:
        """Stop here if another flow has taken the lock; ``done`` says what was done until now.

        Raises:
            ReleaseError: it has.
        """
        if lost := self.lost_lock():
            raise ReleaseError(
                f"{self.c.environment}: this run was stopped: it lost the deployment lock, {lost}. {done}\n"
                f"Next: make status ENV={self.c.environment}",
                f"stopped: lost the deployment lock, {lost}",
            )

    def within(self, limit: float, *, keep: float = 0.0) -> float:
        """A limit for a wait, or what the command has left when ``keep`` seconds are kept for what may follow."""
        return min(limit, max(LEAST_SECONDS, self.c.time_left() - keep))

    def require_time(self, done: str) -> None:
        """Stop here if a change that fails could not be undone in the time that is left; ``done`` as in `require_lock`.

        Raises:
            ReleaseError: it could not.
        """
        left, undo = self.c.time_left(), self.c.limits.rollback_wait
        if left < undo + LEAST_SECONDS:
            raise ReleaseError(
                f"{self.c.environment}: this run has {max(0, left):.0f} s left, and undoing a failure may take "
                f"{undo:.0f} s. {done}\nNext: {self.c.retry_command}, which finds the work done until now",
                f"no time left: {max(0, left):.0f} s",
            )

    def stopped_release(self) -> str:
        """Describe the release that this run stopped when it took the lock; empty when it stopped none."""
        held = self._lock.held(self.c.holder) if self.c.holder else None
        return held.stopped_release if held else ""
