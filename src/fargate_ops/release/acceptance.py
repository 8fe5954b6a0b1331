"""Whether what a service runs may be called a success: its tasks log, are registered, and go on living."""

from __future__ import annotations

import math
from functools import partial

from fargate_ops.ecs.rollout import Deployment, Snapshot, flapping
from fargate_ops.ecs.tasks import Stop
from fargate_ops.release import verify
from fargate_ops.release.context import CONSISTENCY_READS, CONSISTENCY_SECONDS, Context, ReleaseError
from fargate_ops.release.guard import Guard
from fargate_ops.release.service import Service
from fargate_ops.release.stale_tasks import Staleness, stale_tasks
from fargate_ops.state.ledger import Outcome, Release

#: ECS is done once all tasks are healthy at one moment. Where some ended by themselves, the others have to live so many
#: times as long, within a limit in seconds. This share of the desired tasks may end all the same.
OUTLIVE_FACTOR = 2.0
LONGEST_OBSERVATION_SECONDS = 120.0
TOLERATED_SHARE = 0.05


class Acceptance:
    """Accepts or rejects what one service runs."""

    def __init__(self, context: Context, guard: Guard, service: Service) -> None:
        self.c = context
        self._guard, self._service = guard, service

    def staleness(self, primary: Deployment, *, reads: int = CONSISTENCY_READS) -> list[Staleness]:
        """What speaks against the tasks that run, see `stale_tasks`, and still does after some seconds.

        A task that just started has no log stream yet, and the load balancer may answer with the targets of before.
        """
        read = partial(self.c.retry, partial(stale_tasks, self.c.clients, self.c.stack, primary))
        found = read()
        for _ in range(reads - 1):
            if all(item.secret for item in found):
                break
            self.c.sleep(CONSISTENCY_SECONDS)
            found = read()
        return found

    def require_current_tasks(self, what: str) -> None:
        """See that the tasks that run log and are registered.

        A secret that changed meanwhile undoes no release: the tasks log in with what they have.

        Raises:
            ReleaseError: they do not, and did not within some seconds either.
        """
        found = [item.reason for item in self.staleness(self._service.snapshot().primary) if not item.secret]
        if not found:
            return
        reason = "; ".join(found)
        raise ReleaseError(
            f"{self.c.environment}: {what} is no success: {reason}.\n"
            f"Next: make verify ENV={self.c.environment}; after a fix, {self.c.retry_command}",
            reason,
        )

    def require_lasting_tasks(self, what: str) -> None:
        """Where tasks ended by themselves, see that the others live longer: see ``OUTLIVE_FACTOR``.

        Raises:
            ReleaseError: another one ended, with a report of why.
        """
        deployment = self._service.snapshot().primary
        read = partial(self.c.retry, partial(self._ended_by_themselves, deployment))
        ended = read()
        if not ended:
            return
        lived = max(stop.lived for stop in ended)
        seconds = self._guard.within(
            min(OUTLIVE_FACTOR * lived, LONGEST_OBSERVATION_SECONDS), keep=self.c.limits.rollback_wait
        )
        self.c.say(
            f"{len(ended)} of its tasks ended by themselves, after {lived:.0f} s at most: watching for {seconds:.0f} s"
        )
        tolerated = len(ended) + math.floor(TOLERATED_SHARE * deployment.desired)
        for _ in range(math.ceil(seconds / CONSISTENCY_SECONDS)):
            self.c.sleep(CONSISTENCY_SECONDS)
            if len(now := read()) > tolerated:
                raise self._service.failures.error(deployment, what, flapping(len(now)), since=deployment.created)

    def _ended_by_themselves(self, deployment: Deployment) -> list[Stop]:
        """Tasks of a deployment that ran, and ended by themselves."""
        since = deployment.created
        stops = self._service.failures.stopped(deployment.revision)
        return [stop for stop in stops if stop.lived and not (since and stop.created and stop.created < since)]

    def outcome_of(self, release: Release, snapshot: Snapshot) -> tuple[Outcome, str]:
        """How a release ended that nobody saw end, and that is in service: it succeeded if it is seen to serve now."""
        subject = verify.Subject(version=release.version, digest=release.digest, revision=release.revision)
        found = self.c.verify(subject)
        stale = [item.reason for item in self.staleness(snapshot.primary) if not item.secret]
        if found.verdict is verify.Verdict.VERIFIED and not stale:
            try:
                self.require_lasting_tasks(f"the release of {release.name}")
            except ReleaseError as error:
                return Outcome.STOPPED, f"in service, and not verified: {error.reason}"
            return Outcome.SUCCEEDED, f"verified by a later run: {found.reason}"
        reason = "; ".join([*([found.reason] if found.verdict is not verify.Verdict.VERIFIED else []), *stale])
        return Outcome.STOPPED, f"in service, and not verified: {reason}"
