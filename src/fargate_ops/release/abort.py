"""Abort: stop the deployment in flight, whatever its strategy, and wait until the version before it serves alone.

Unless the strategy is rolling, StopServiceDeployment gives the requests back by a change of weights. AWS documents no
time for that:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fargate_ops.core import outcome as command
from fargate_ops.core.outcome import one_line
from fargate_ops.ecs.rollout import Snapshot
from fargate_ops.notify import slack
from fargate_ops.release import ending
from fargate_ops.release.context import CONSISTENCY_READS, CONSISTENCY_SECONDS, ReleaseError
from fargate_ops.release.journal import seconds_since
from fargate_ops.release.operation import Operation
from fargate_ops.state.ledger import Kind, Outcome, Release, serving, unfinished
from fargate_ops.terraform.stack import Stack

#: The note of a first release that was stopped or that failed.
ZERO_TASKS = "This was the first release: there is nothing to return to. The service has zero tasks again."


@dataclass(frozen=True)
class Stopped:
    """What was stopped, by its name, and what is to be known about it."""

    name: str
    notes: Sequence[str] = ()


class Abort(Operation):
    """Stops the deployment in flight."""

    def run(self, *, preview: bool = False) -> tuple[bool, command.Outcome]:
        """Stop it. Return whether there was one, and how the command ends.

        Raises:
            ReleaseError: ECS did not give the requests back within the wait.
        """
        snapshot = self._snapshot()
        if snapshot.primary.rollout_state != "IN_PROGRESS":
            stopped = self.guard.stopped_release()
            self.c.say(f"stopped {stopped}, before it changed the service" if stopped else "nothing is in flight")
            return bool(stopped), self._done(snapshot, "nothing was in flight" if not stopped else "")
        if preview:
            self.c.say(f"would stop the deployment of {snapshot.primary.revision_name} and wait for what served before")
            what = f"would stop the deployment of {snapshot.primary.revision_name}"
            return True, self._done(snapshot, what)
        ended = self.stop(snapshot)
        after = self.service.snapshot()
        serves = self.journal.describe_serving(after)
        if ended.notes and ended.notes != [ZERO_TASKS]:
            what = f"{ended.name} was stopped, and is not undone yet"
            cause, following = one_line(*ended.notes), f"make status ENV={self.c.environment}"
            raise ReleaseError(
                f"{self.c.environment}: {what}: {cause}\nWhat serves now: {serves}\nNext: {following}",
                cause,
                outcome=ending.failed(what, cause=cause, serves=serves, next_command=following),
            )
        return True, self._done(after, one_line(f"{ended.name} was stopped", *ended.notes))

    def stop(self, snapshot: Snapshot) -> Stopped:
        """Stop the deployment in flight, record that, and wait until the version before it serves alone.

        It is recorded once ECS has accepted it. If this run dies in between, the next command records the end.
        """
        self.guard.require_lock("The service was not touched.")
        primary = snapshot.primary
        releases = self.journal.releases(snapshot)
        mine = [item for item in unfinished(releases) if item.revision == primary.revision]
        name = mine[-1].name if mine else primary.revision_name
        success = serving(releases)
        self.c.say(f"stopping the deployment of {name} ({primary.revision_name})")
        if success is None:
            self.service.scale_to_zero()
            notes = [ZERO_TASKS]
        else:
            self.c.say(self.service.stop(primary, success.revision))
            notes = []
        for release in mine:
            self._record(release)
        if success is not None:
            notes = self.service.until_rolled_back(primary)
            self.service.rest()
        return Stopped(name, notes)

    def _record(self, release: Release) -> None:
        why = f"stopped by {self.c.by}: {self.c.why}"
        self.journal.record(release, Outcome.STOPPED, why)
        # The run that waits for the release sends the message, if there still is one.
        if not self.guard.stopped_release() and release.kind is Kind.RELEASE:
            subject = self.subject(release.name, release.revision)
            seconds = seconds_since(release.id, datetime.now(UTC))
            following = f"make status ENV={self.c.environment}"
            self.c.notify(slack.stopped(subject, reason=why, next_command=following, seconds=seconds))

    def _snapshot(self) -> Snapshot:
        """Return the service, once ECS shows the release that the ledger calls begun."""
        for _ in range(CONSISTENCY_READS):
            snapshot = self.service.snapshot()
            begun = {item.revision for item in unfinished(self.journal.releases(snapshot))}
            if not begun or snapshot.primary.revision in begun:
                break
            self.c.sleep(CONSISTENCY_SECONDS)
        return snapshot

    def _done(self, snapshot: Snapshot, what: str) -> command.Outcome:
        success = serving(self.journal.releases(snapshot))
        return ending.done(
            what or f"{self.journal.describe_serving(snapshot)} serves",
            version=success.version if success else "",
            serves=self.journal.describe_serving(snapshot),
            digest=success.digest if success else "",
            url=self.c.stack.get(Stack.public_url, ""),
            environment=self.c.environment,
        )
