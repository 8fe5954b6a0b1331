"""Promote: continue a deployment that waits for a person, after its test traffic was checked once more."""

from __future__ import annotations

from fargate_ops.core import outcome as command
from fargate_ops.release import ending
from fargate_ops.release.context import ReleaseError
from fargate_ops.release.in_flight import InFlight
from fargate_ops.release.operation import Operation
from fargate_ops.release.stages import continue_paused
from fargate_ops.release.verify import Subject, Verdict
from fargate_ops.state.ledger import Release
from fargate_ops.terraform.stack import Stack


class Promote(Operation):
    """Continues a paused deployment. It takes no lock: the run that waits for the deployment has it."""

    def run(self, *, preview: bool = False) -> tuple[bool, command.Outcome]:
        """Continue it, or say when it ends. Return whether it was continued, and how the command ends.

        Raises:
            ReleaseError: the test traffic does not get what it should.
        """
        snapshot = self.service.snapshot()
        going = InFlight.read(self.c.clients, self.c.stack, self.c.strategy, snapshot)
        newest = next((item for item in reversed(self.journal.releases(snapshot)) if _is(item, going)), None)
        name = newest.name if newest else snapshot.primary.revision_name
        if going is None:
            return False, self._done(newest, "nothing waits for make promote", self.journal.describe_serving(snapshot))
        if not going.seen.pause:
            return False, self._done(newest, f"{name} does not wait: {going.line}; {going.end}")
        if newest:
            subject = Subject(version=newest.version, digest=newest.digest, revision=newest.revision)
            found = self.c.checks.test_traffic(subject)
            if found.verdict is Verdict.WRONG:
                following = f"make abort ENV={self.c.environment}"
                raise ReleaseError(
                    f"{self.c.environment}: {name} is not promoted: {found.reason}. Nothing was changed.\n"
                    f"Next: {following}",
                    found.reason,
                )
            self.c.say(found.reason)
        if preview:
            return True, self._done(newest, f"would continue the deployment of {name}")
        if not continue_paused(self.ecs, going.seen):
            return False, self._done(newest, f"{name} does not wait any more")
        self.c.say(f"continued: users get {name}")
        return True, self._done(newest, f"users get {name}")

    def _done(self, newest: Release | None, what: str, serves: str = "") -> command.Outcome:
        return ending.done(
            what,
            version=newest.version if newest else "",
            serves=serves,
            digest=newest.digest if newest else "",
            url=self.c.stack.get(Stack.public_url, ""),
            environment=self.c.environment,
        )


def _is(release: Release, going: InFlight | None) -> bool:
    return going is not None and release.revision == going.deployment.revision
