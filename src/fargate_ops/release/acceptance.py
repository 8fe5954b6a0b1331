"""Decide whether a rollout is a success: the tasks log, are registered as targets, and do not fail afterwards."""

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

#: ECS completes a deployment as soon as all tasks are healthy. If some ended by themselves before, the others have to
#: run this many times as long as those did, within a limit in seconds. This share of the desired tasks may still end.
OUTLIVE_FACTOR = 2.0
LONGEST_OBSERVATION_SECONDS = 120.0
TOLERATED_SHARE = 0.05


class Acceptance:
    """Accepts or rejects the running tasks of one service."""

    def __init__(self, context: Context, guard: Guard, service: Service) -> None:
        self.c = context
        self._guard, self._service = guard, service

    def staleness(self, primary: Deployment, *, reads: int = CONSISTENCY_READS) -> list[Staleness]:
        """Return what `stale_tasks` finds, if it still does after some seconds.

        A task that just started has no log stream yet, and the load balancer may still return the previous targets.
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
        """Check that the running tasks log and are registered.

        A secret that has changed meanwhile fails no release: the tasks log in with the value that they have.

        Raises:
            ReleaseError: they do not, even after some seconds.
        """
        found = [item.reason for item in self.staleness(self._service.snapshot().primary) if not item.secret]
        if not found:
            return
        reason = "; ".join(found)
        raise ReleaseError(
            f"{self.c.environment}: {what} did not succeed: {reason}.\n"
            f"Next: make verify ENV={self.c.environment}; after a fix, {self.c.retry_command}",
            reason,
        )

    def require_lasting_tasks(self, what: str) -> None:
        """If tasks have ended by themselves, check that the others run longer: see ``OUTLIVE_FACTOR``.

        Raises:
            ReleaseError: another one ended; with a report of the cause.
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
        """Return the tasks of a deployment that ran and then ended by themselves."""
        since = deployment.created
        stops = self._service.failures.stopped(deployment.revision)
        return [stop for stop in stops if stop.lived and not (since and stop.created and stop.created < since)]

    def outcome_of(self, release: Release, snapshot: Snapshot) -> tuple[Outcome, str]:
        """Return the outcome of a release in service without a recorded end: a success if it is verified now."""
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
