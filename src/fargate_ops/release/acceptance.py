"""Whether what a service runs may be called a success: its tasks log, are registered, and go on living."""

from __future__ import annotations

import math
from functools import partial

from fargate_ops.ecs.rollout import Deployment, Snapshot, flapping
from fargate_ops.ecs.tasks import Stop
from fargate_ops.release import running, verify
from fargate_ops.release.context import PROOF_LOOKS, PROOF_SECONDS, Context, ReleaseError
from fargate_ops.release.guard import Guard
from fargate_ops.release.running import Doubt
from fargate_ops.release.service import Service
from fargate_ops.state.ledger import Outcome, Release

#: ECS is done once all tasks are healthy at one moment. Where some ended by themselves, the others have to live so many
#: times as long, within a limit in seconds. This share of the desired tasks may end all the same.
OUTLIVE_FACTOR = 2.0
LONGEST_PROOF_SECONDS = 120.0
TOLERATED_SHARE = 0.05


class Acceptance:
    """Accepts or rejects what one service runs."""

    def __init__(self, context: Context, guard: Guard, service: Service) -> None:
        self.c = context
        self._guard, self._service = guard, service

    def doubts(self, primary: Deployment, *, looks: int = PROOF_LOOKS) -> list[Doubt]:
        """What speaks against the tasks that run, see `running`, and still does after some seconds.

        A task that just started has no log stream yet, and the load balancer may answer with the targets of before.
        """
        look = partial(self.c.patiently, partial(running.doubts, self.c.clients, self.c.stack, primary))
        found = look()
        for _ in range(looks - 1):
            if all(doubt.secret for doubt in found):
                break
            self.c.sleep(PROOF_SECONDS)
            found = look()
        return found

    def prove(self, what: str) -> None:
        """See that the tasks that run log and are registered.

        A secret that changed meanwhile undoes no release: the tasks log in with what they have.

        Raises:
            ReleaseError: they do not, and did not within some seconds either.
        """
        found = [doubt.reason for doubt in self.doubts(self._service.snapshot().primary) if not doubt.secret]
        if not found:
            return
        reason = "; ".join(found)
        raise ReleaseError(
            f"{self.c.environment}: {what} is no success: {reason}.\n"
            f"Next: make verify ENV={self.c.environment}; after a fix, {self.c.retry_command}",
            reason,
        )

    def prove_lasting(self, what: str) -> None:
        """Where tasks ended by themselves, see that the others live longer: see ``OUTLIVE_FACTOR``.

        Raises:
            ReleaseError: another one ended, with a report of why.
        """
        deployment = self._service.snapshot().primary
        look = partial(self.c.patiently, partial(self._ended_by_themselves, deployment))
        ended = look()
        if not ended:
            return
        lived = max(stop.lived for stop in ended)
        seconds = self._guard.within(
            min(OUTLIVE_FACTOR * lived, LONGEST_PROOF_SECONDS), keep=self.c.limits.rollback_wait
        )
        self.c.say(
            f"{len(ended)} of its tasks ended by themselves, after {lived:.0f} s at most: watching for {seconds:.0f} s"
        )
        tolerated = len(ended) + math.floor(TOLERATED_SHARE * deployment.desired)
        for _ in range(math.ceil(seconds / PROOF_SECONDS)):
            self.c.sleep(PROOF_SECONDS)
            if len(now := look()) > tolerated:
                raise self._service.failures.error(deployment, what, flapping(len(now)), since=deployment.created)

    def _ended_by_themselves(self, deployment: Deployment) -> list[Stop]:
        """Tasks of a deployment that ran, and ended by themselves."""
        since = deployment.created
        stops = self._service.failures.stopped(deployment.revision)
        return [stop for stop in stops if stop.lived and not (since and stop.created and stop.created < since)]

    def verified(self, release: Release, snapshot: Snapshot) -> tuple[Outcome, str]:
        """How a release ended that nobody saw end, and that is in service: it succeeded if it is seen to serve now."""
        subject = verify.Subject(version=release.version, digest=release.digest, revision=release.revision)
        found = self.c.verify(subject)
        doubts = [doubt.reason for doubt in self.doubts(snapshot.primary) if not doubt.secret]
        if found.verdict is verify.Verdict.VERIFIED and not doubts:
            try:
                self.prove_lasting(f"the release of {release.name}")
            except ReleaseError as error:
                return Outcome.STOPPED, f"in service, and not verified: {error.reason}"
            return Outcome.SUCCEEDED, f"verified by a later run: {found.reason}"
        reason = "; ".join([*([found.reason] if found.verdict is not verify.Verdict.VERIFIED else []), *doubts])
        return Outcome.STOPPED, f"in service, and not verified: {reason}"
