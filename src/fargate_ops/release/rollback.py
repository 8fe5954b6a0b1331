"""Rollback: choose the release to put back, and put it back by one update of the service.

It needs no Terraform, no build, no migration and no git: the ledger has the earlier releases, and their task
definitions are still registered. Everything that the definition needs is checked first: something missing refuses the
rollback before any change, and something that cannot be checked is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core import outcome as command
from fargate_ops.ecs.rollout import Deployment, Judgement, Snapshot, Verdict
from fargate_ops.ecs.task_definition import READ_ONLY, canonical, database_of, digest
from fargate_ops.ecs.tasks import short
from fargate_ops.notify import slack
from fargate_ops.release import ending
from fargate_ops.release.abort import Abort
from fargate_ops.release.checks.checks import Place, check_registered
from fargate_ops.release.checks.findings import Verdict as Found
from fargate_ops.release.context import INSIST, ReleaseError
from fargate_ops.release.journal import Entry, incarnation, seconds_since
from fargate_ops.release.operation import Operation
from fargate_ops.release.scaling_limits import set_limits
from fargate_ops.release.service import is_staged
from fargate_ops.state.ledger import (
    Kind,
    Outcome,
    Release,
    earlier_successes,
    last_target,
    next_release_id,
    origin,
    release_name,
    rolling_back,
    serving,
    unfinished,
    unfinished_rollback,
)
from fargate_ops.terraform.stack import Stack

#: Number of possible targets that a refusal lists.
SHOWN = 5
STEPS = re.compile(r"(?:-(\d+)|(\d+) ?-?steps?)")
REVISION = re.compile(r"(?:.*task-definition/)?(?:([A-Za-z0-9_-]+):|:)?(\d{1,9})")
SHORTEST_HASH = 4


class Refusal(Exception):
    """A rollback to the requested target is impossible; the message gives the reason."""


def choose(
    releases: Sequence[Release], primary: Deployment, wanted: str = "", *, stopped_release: bool = False
) -> Release:
    """Return the release to put back.

    ``releases`` are those of this incarnation of the service, oldest first, and ``primary`` is what it runs. ``wanted``
    is empty, a git hash, alone or with a definition (``0123456789ab+3f2a``), a revision (``7``, ``family:7``) or steps
    (``-2``, ``2 steps``).

    Without ``wanted`` the most recent change is undone. A release that was stopped (``stopped_release``) or interrupted
    counts as that change: the last success is put back. A rollback that has not succeeded is resumed. Otherwise the
    last success replaces whatever serves; if it serves itself, the success before it does. A last success that is
    itself being rolled back is never put back, but the target of that rollback is.

    Raises:
        Refusal: there is no such release, or it never succeeded.
    """
    current = serving(releases)
    if current is None:
        raise Refusal("No release has ever succeeded here.")
    if steps := STEPS.fullmatch(wanted):
        return _steps_back(releases, int(steps[1] or steps[2]))
    now = origin(releases, current)
    if wanted:
        return _known(releases, wanted, now)
    if not stopped_release and (target := unfinished_rollback(releases)):
        return target
    interrupted = any(item.kind is Kind.RELEASE for item in in_flight(releases))
    if stopped_release or interrupted or primary.revision not in (current.revision, now.revision):
        return last_target(releases) or now
    return _steps_back(releases, 1)


def in_flight(releases: Sequence[Release]) -> list[Release]:
    """Return the releases that began and have not ended. Each may have updated the service a moment ago.

    The ledger is written before the service is updated and is never outdated. ECS's answers may be, for seconds.
    """
    return [item for item in unfinished(releases) if item.outcome is not Outcome.UNVERIFIED]


def _steps_back(releases: Sequence[Release], steps: int) -> Release:
    earlier = earlier_successes(releases)
    if not 1 <= steps <= len(earlier):
        raise Refusal(
            f"There is no release {steps} steps back." if steps != 1 else "There is no earlier release that succeeded."
        )
    return earlier[steps - 1]


def _known(releases: Sequence[Release], wanted: str, now: Release) -> Release:
    """Return the release of a hash or revision: the serving one, else the newest success, else one rolled back."""
    named = _named(releases, wanted)
    if not named:
        raise Refusal(f"The ledger knows no release {wanted}.")
    reached = [item for item in named if item.id == now.id]
    reached += [item for item in named if item.outcome is Outcome.SUCCEEDED]
    reached += [item for item in named if item.undone and item.succeeded]
    if not reached:
        raise Refusal(f"{versions(named[:1])} never succeeded ({named[0].outcome}: {named[0].why}).")
    return reached[0]


def _named(releases: Sequence[Release], wanted: str) -> list[Release]:
    """Return the releases (no rollbacks) that a name matches, the newest first."""
    forward = [release for release in reversed(releases) if release.kind is Kind.RELEASE]
    if revision := REVISION.fullmatch(wanted):
        family, number = revision[1], revision[2]
        named = [item for item in forward if item.revision_name.endswith(f":{number}")]
        named = [item for item in named if not family or item.revision_name == f"{family}:{number}"]
        if named:  # a hash may be all digits
            return named
    return _of_hash(forward, wanted)


def _of_hash(forward: Sequence[Release], wanted: str) -> list[Release]:
    version, _, suffix = wanted.partition("+")
    found = [item for item in forward if item.version.startswith(version)] if len(version) >= SHORTEST_HASH else []
    if suffix:
        found = [item for item in found if item.definition_digest and item.definition_digest.startswith(suffix)]
    meant = {(item.version, item.definition_digest if suffix else None) for item in found}
    if len(meant) > 1:
        raise Refusal(f"{wanted} is the beginning of several: {versions(found[:SHOWN])}.")
    return found


def other_definitions(releases: Sequence[Release], wanted: str, target: Release) -> list[Release]:
    """Return the other matches of a hash: the newest success of each other definition of the target's commit."""
    if not target.version.startswith(wanted):
        return []
    found: dict[str, Release] = {}
    for item in _named(releases, wanted):
        if item.succeeded:
            found.setdefault(item.definition_digest or item.revision, item)
    found.pop(target.definition_digest or target.revision, None)
    return list(found.values())


def forbidding_contract(releases: Sequence[Release], target: Release) -> Release | None:
    """Return the release whose migrations removed what the target's code needs; None if the code works with the schema.

    A target whose schema is not known is not refused.
    """
    for release in releases:
        later, compatible = release.id > target.id and release.prepared, release.schema_compatible
        if later and compatible is not None and target.schema_head and target.schema_head not in compatible:
            return release
    return None


@dataclass(frozen=True, kw_only=True)
class Examined:
    """The result of checking a target. ``definition`` is None and ``image`` empty if ECS did not answer.

    ``absent`` lists what the target needs and does not exist, ``unknown`` what could not be checked.
    """

    definition: dict[str, Any] | None
    image: str
    absent: list[str]
    unknown: list[str]


@dataclass(frozen=True, kw_only=True)
class RollbackPlan:
    """The decision. ``needed`` is False if the target, the release to put back, serves already.

    ``uncertain``: update the service whatever ECS shows. Either it did not show the target in service, or another
    release began whose update it may not show yet. If nothing differs, the update changes nothing.
    ``previous`` is the version that was in service, or its revision if the ledger does not know it. ``stopped`` is the
    release in flight that was stopped first.
    """

    release: str
    needed: bool
    uncertain: bool
    target: str
    version: str
    digest: str
    definition_digest: str | None
    revision: str
    image: str
    schema_head: str | None
    previous: str
    stopped: str = ""

    @property
    def name(self) -> str:
        """Return the version with its definition: see `release_name`."""
        return release_name(self.version, self.definition_digest)

    def to_fact(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> RollbackPlan:
        return cls(**fact)


class Rollback(Operation):
    """Puts an earlier release back into service."""

    def plan(self, wanted: str = "", *, preview: bool = False) -> RollbackPlan:
        """Choose the release, refuse what cannot work, and record who takes what out of service.

        Raises:
            ReleaseError: there is nothing to go back to, or it cannot run; with the possible targets.
        """
        snapshot, aborted = self.service.watch.snapshot(), ""
        staged = snapshot.primary.rollout_state == "IN_PROGRESS" and is_staged(snapshot)
        history = self.journal.history(snapshot)
        for item in history.unreadable:
            self.c.say(f"warning: {item}")
        releases = history.releases
        stopped = self.guard.stopped_release()
        try:
            target = choose(releases, snapshot.primary, wanted, stopped_release=bool(stopped) or staged)
        except Refusal as refusal:
            raise self._refused(str(refusal), releases) from None
        revision = self._revision(releases, target)
        runs = {item.revision for item in snapshot.deployments if staged or item.status == "PRIMARY"}
        seen = self._examine(releases, target)
        if seen.absent and revision not in runs:
            raise self._refused("\n".join(seen.absent), releases)
        for warning in (*seen.absent, *seen.unknown):
            self.c.say(f"warning: {warning}")
        if staged:
            snapshot, aborted = self._stop(snapshot, preview=preview)
            releases = self.journal.releases(snapshot)
        primary = snapshot.primary
        in_service = primary.revision == revision
        definition_digest = target.definition_digest
        if definition_digest is None and seen.definition:  # a release from before it was recorded
            definition_digest = digest(canonical(seen.definition))
        at_rest = in_service and primary.rollout_state == "COMPLETED"
        uncertain = not in_service or any(item.revision != primary.revision for item in in_flight(releases))
        plan = RollbackPlan(
            release=next_release_id(target.version, datetime.now(UTC), releases),
            needed=not at_rest or uncertain or self._is_to_be_confirmed(releases, target, wanted),
            uncertain=uncertain,
            target=target.id,
            version=target.version,
            digest=target.digest,
            definition_digest=definition_digest,
            revision=primary.revision if in_service else target.revision,
            image=seen.image,
            schema_head=target.schema_head,
            previous=self._previous(releases, primary),
            stopped=aborted,
        )
        self._say_plan(plan, primary, stopped, preview)
        if others := other_definitions(releases, wanted, target):
            self.c.say(f"{wanted} ran with other definitions too; rollback_to takes these names: {versions(others)}")
        if not preview:
            self.guard.require_lock("The service was not touched.")
            if plan.needed:
                if not in_service:
                    plan = replace(plan, revision=self._active(target, seen.definition))
                self._append(plan, snapshot, Outcome.IN_PROGRESS, self.c.why)
            self._record_intent(plan, releases, primary)
        return plan

    def _stop(self, snapshot: Snapshot, *, preview: bool) -> tuple[Snapshot, str]:
        """Stop a release in flight that is not rolling: the requests go back at once, without a new deployment.

        Return the service then, or as it would be, and the name of what was stopped.
        """
        if preview:
            self.c.say(f"would first stop the deployment of {snapshot.primary.revision_name}")
            kept = [item for item in snapshot.service["deployments"] if item["status"] != "PRIMARY"]
            deployments = [{**item, "status": "PRIMARY"} for item in kept[:1]]
            return replace(snapshot, service={**snapshot.service, "deployments": deployments}), ""
        stopped = Abort(self.c).stop(snapshot)
        for note in stopped.notes:
            self.c.say(f"warning: {note}")
        return self.service.snapshot(), stopped.name

    @staticmethod
    def _is_to_be_confirmed(releases: Sequence[Release], target: Release, wanted: str) -> bool:
        """Return whether a target that runs already has yet to be verified and recorded.

        That is so if the rollback that brought it was not completed, or if a rollback away from it is cancelled by
        naming it.
        """
        unseen = unfinished_rollback(releases) or last_target(releases)
        called_off = bool(wanted) and any(origin(releases, item).id == target.id for item in rolling_back(releases))
        return called_off or (unseen is not None and unseen.id == target.id)

    @staticmethod
    def _previous(releases: Sequence[Release], primary: Deployment) -> str:
        """Return the name of the version in service: what this or an unfinished rollback undoes, else what runs."""
        undone = [item for item in (*rolling_back(releases), *in_flight(releases)) if item.kind is Kind.RELEASE]
        runs = [item for item in releases if item.revision == primary.revision]
        return next((item.name for item in (*reversed(undone), *reversed(runs))), primary.revision_name)

    def _examine(self, releases: Sequence[Release], target: Release) -> Examined:
        """Check everything that the target needs: schema, definition, database, image, secrets, roles, log groups."""
        absent: list[str] = []
        unknown: list[str] = []
        if contract := forbidding_contract(releases, target):
            absent.append(
                f"{versions([target])} needs the schema {target.schema_head}, and {contract.name} has since run a "
                f"contract migration (schema {contract.schema_head}) that it cannot work with."
            )
        database = self.c.stack.get(Stack.database, None)
        if target.schema_head is None and database:
            unknown.append(f"which schema {target.name} needs is not known")
        try:
            definition: dict[str, Any] = self.ecs.describe_task_definition(taskDefinition=target.revision)[
                "taskDefinition"
            ]
        except (ClientError, BotoCoreError) as error:
            # ECS's error for a deleted revision: ClientException, "Unable to describe task definition."
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ClientException":
                absent.append(f"The task definition of {versions([target])} was deleted.")
            else:
                unknown.append(f"what {target.name} needs was not checked: {error}")
            return Examined(definition=None, image="", absent=absent, unknown=unknown)
        released_for = database_of(definition)
        serves = database.instance_identifier if database else ""
        if released_for and not serves:
            absent.append(
                f"{versions([target])} was released for the database {released_for}, and this environment has none "
                f"(app_database: false).\n"
                f"Its code without it: make release ENV={self.c.environment} "
                f"ARGS='-e image_build_version={target.version}'"
            )
        elif released_for and released_for != serves:
            absent.append(
                f"{versions([target])} was released for the database {released_for}, and {serves} serves: a rollback "
                f"goes back to other code, never to other data.\n"
                f"Its code with today's data: make release ENV={self.c.environment} "
                f"ARGS='-e image_build_version={target.version}'\n"
                f"Other data: make restore ENV={self.c.environment} shows which."
            )
        image = self._image(target, definition, absent, unknown)
        place = Place(environment=self.c.environment, stack=self.c.stack)
        for finding in check_registered(self.c.clients, place, definition):
            if finding.verdict is Found.FAIL:
                absent.append(f"{versions([target])} needs {finding.subject}: {finding.reason}.")
            elif finding.verdict is not Found.OK:
                unknown.append(f"{finding.subject} was not checked: {finding.reason}")
        return Examined(definition=definition, image=image, absent=absent, unknown=unknown)

    @staticmethod
    def _revision(releases: Sequence[Release], target: Release) -> str:
        """Return the revision with which the target runs: its own, or the copy that the last rollback put back."""
        current = serving(releases)
        return current.revision if current and origin(releases, current).id == target.id else target.revision

    def _image(self, target: Release, definition: Mapping[str, Any], absent: list[str], unknown: list[str]) -> str:
        """Return the image of the target's container, and check that the registry still holds it."""
        images = {item["name"]: str(item["image"]) for item in definition["containerDefinitions"]}
        reference = images.get(self.c.container)
        if not reference:
            absent.append(f"{versions([target])} has no container {self.c.container}, which the service registers.")
            return ""
        address, _, repository = reference.split("@")[0].partition("/")
        account = address.partition(".")[0]
        owner = {"registryId": account} if re.fullmatch(r"\d{12}", account) else {}
        try:
            self.c.clients.client("ecr").describe_images(
                repositoryName=repository, imageIds=[{"imageDigest": target.digest}], **owner
            )
        except (ClientError, BotoCoreError) as error:
            absences = ("ImageNotFoundException", "RepositoryNotFoundException")
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in absences:
                absent.append(f"The image of {versions([target])} is gone from the registry: {reference}.")
            else:
                # A caller without permission may still roll back: ECS pulls with the execution role.
                unknown.append(f"whether the registry holds {reference} is not known: {error}")
        return reference

    def _refused(self, why: str, releases: Sequence[Release]) -> ReleaseError:
        current = serving(releases)
        possible = [item for item in earlier_successes(releases)[:SHOWN] if not self._examine(releases, item).absent]
        environment = self.c.environment
        lines = [f"{environment}: {why} Nothing was changed."]
        if current:
            lines.append(f"The last success is {versions([current])}.")
        if possible:
            lines.append(f"Possible, newest first: {versions(possible)}.")
            lines.append(f"Next: make rollback ENV={environment} ARGS='-e rollback_to={possible[0].name}'")
        else:
            lines.append(f"There is nothing to go back to.\nNext: a fix, then {self.c.retry_command}")
        return ReleaseError("\n".join(lines), why)

    def _say_plan(self, plan: RollbackPlan, primary: Deployment, stopped: str, preview: bool) -> None:
        if stopped:
            self.c.say(f"{'would stop' if preview else 'stopped'} the release of {stopped}")
        to = f"{plan.name} ({short(plan.revision)})"
        if not plan.needed:
            self.c.say(f"nothing to roll back: {to} is what serves")
        elif primary.revision == plan.revision and plan.uncertain:
            update = "would update" if preview else "update"
            self.c.say(f"{update} the service to {to} in any case: {plan.previous} began and has not ended")
        elif primary.revision == plan.revision:
            self.c.say(f"{'would resume' if preview else 'resuming'} the rollback to {to}, which has not succeeded yet")
        else:
            self.c.say(f"{'would roll' if preview else 'rolling'} back: {primary.revision_name} -> {to}")

    def _record_intent(self, plan: RollbackPlan, releases: Sequence[Release], primary: Deployment) -> None:
        """Record the decision before the service is updated: it also holds if the rollback is interrupted.

        What was in service is recorded as being rolled back, so that no routine run releases it again. A release that
        had not come into service is recorded as stopped. A rollback to a newer release rolls nothing back.
        """
        why = f"being rolled back to {plan.name} by {self.c.by}"
        for release in unfinished(releases):
            if release.revision == primary.revision != plan.revision:
                self.journal.record(release, Outcome.ROLLING_BACK, why)
            else:
                self.journal.record(release, Outcome.STOPPED, f"stopped by a rollback by {self.c.by}")
        if plan.needed and (current := serving(releases)):
            now = origin(releases, current)
            if plan.target < now.id and primary.revision in (current.revision, now.revision):
                for release in {now.id: now, current.id: current}.values():
                    self.journal.record(release, Outcome.ROLLING_BACK, why)

    def _active(self, target: Release, definition: Mapping[str, Any] | None) -> str:
        """Return the target's revision; a copy if it was deregistered or deleted, because ECS does not start it then.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/delete-task-definition-v2.html
        """
        if definition is None or definition["status"] == "ACTIVE":
            return target.revision
        copy = {name: value for name, value in definition.items() if name not in READ_ONLY}
        arn = str(self.ecs.register_task_definition(**copy)["taskDefinition"]["taskDefinitionArn"])
        self.c.say(f"{target.revision_name} was deregistered: registered its copy {short(arn)}")
        return arn

    def update(self, plan: RollbackPlan) -> bool:
        """Update the service to the target and wait until that deployment has succeeded. Return whether it was updated.

        Raises:
            ReleaseError: it did not succeed; with a report of the cause and of what serves now.
        """
        if not plan.needed:
            return False
        self.guard.require_lock("The service was not touched.")
        before = self.service.watch.snapshot().primary
        again = before.revision == plan.revision
        given_up = again and before.rollout_state == "FAILED"
        deployment = before
        if plan.uncertain or given_up or not again:
            updated = self.service.update(plan.revision, force=given_up)
            self._record_displaced(plan, updated)
            deployment = updated.primary
        if deployment.id == before.id and deployment.rollout_state == "COMPLETED":
            self.c.say(f"{before.revision_name} runs already")
            return False
        what = f"the rollback to {plan.name} ({deployment.revision_name})"
        self.service.follow(deployment, what, lambda judgement: self._give_up(deployment, judgement))
        return True

    def _record_displaced(self, plan: RollbackPlan, updated: Snapshot) -> None:
        """Record that a release is being rolled back if the plan recorded it as stopped although it was in service."""
        displaced = {item.revision for item in updated.deployments if item.revision != plan.revision}
        for release in self.journal.releases(updated):
            if release.revision in displaced and release.outcome is Outcome.STOPPED and not release.succeeded:
                self.c.say(f"{release.name} had come into service: taking it out")
                self.journal.record(release, Outcome.ROLLING_BACK, f"being rolled back to {plan.name} by {self.c.by}")

    def _give_up(self, deployment: Deployment, judgement: Judgement) -> list[str]:
        """Let ECS continue a rollback that takes too long: the version that it replaces is no better."""
        if judgement.verdict is Verdict.FAILED:
            return self.service.until_rolled_back(deployment)
        return [] if judgement.verdict is Verdict.REPLACED else ["ECS goes on trying."]

    def succeed(self, plan: RollbackPlan) -> bool:
        """Record that the target serves, and set auto scaling's limits. Return whether these were changed."""
        if plan.needed:
            snapshot = self.service.snapshot()
            self._append(plan, snapshot, Outcome.SUCCEEDED, self.c.why)
            self.c.say(f"recorded: rolled back to {plan.name}")
            why = f"rolled back to {plan.name} by {self.c.by}"
            self.journal.confirm_rolled_back(snapshot, self.journal.releases(snapshot), why)
            seconds = seconds_since(plan.release, datetime.now(UTC))
            subject = self.subject(plan.name, plan.revision)
            self.c.notify(slack.rolled_back(subject, from_version=plan.previous, reason=self.c.why, seconds=seconds))
        try:
            return set_limits(self.c)
        except (ClientError, BotoCoreError) as error:
            # The version serves; the next release or scheduled action sets the limits.
            self.c.say(f"auto scaling's limits were left as they are: {error}")
            return False

    def done(self, plan: RollbackPlan, *, preview: bool = False) -> command.Outcome:
        """Return the outcome of a success."""
        what, forward = f"{plan.name} serves; there was nothing to roll back", ""
        if plan.stopped:
            what = f"{plan.name} serves; {plan.stopped} was stopped"
        if plan.needed and not preview:
            again = f"make release ENV={self.c.environment}"
            forward = f"commit a fix, then {again}; {plan.previous} as it is: {again} {INSIST}"
        if plan.needed:
            what = f"{plan.name} serves again, instead of {plan.previous}"
        if plan.needed and preview:
            what = f"would put {plan.name} back, instead of {plan.previous}"
        return ending.done(
            what,
            version=plan.version,
            serves=plan.previous if preview and plan.needed else f"{short(plan.revision)} ({plan.name})",
            digest=plan.digest,
            url=self.c.stack.get(Stack.public_url, ""),
            environment=self.c.environment,
            next_command=forward,
        )

    def end(self, plan: RollbackPlan | None, failure: ending.Failure) -> command.Outcome:
        """Record that a rollback failed, or is only unverified. Return how it ended. Without a plan it never began."""
        return self.ended(failure, lambda: self._conclude(plan, failure))

    def _conclude(self, plan: RollbackPlan | None, failure: ending.Failure) -> command.Outcome:
        if plan is None:
            return failure.outcome.after_changes() if self.guard.stopped_release() else failure.outcome
        if failure.unverified:
            self.leave_unverified(plan, failure.reason)
            again, note = f"{self._again}, which verifies it", "The ledger calls the rollback unverified."
            return failure.unseen(plan.name, note, serves=plan.name, next_command=again)
        self.fail(plan, failure.reason)
        again = f"{self._again}, which tries {plan.name} again; ARGS='-e rollback_to=-2' goes one further back"
        serves = self.journal.describe_serving(self.service.snapshot())
        return failure.ended(command.Kind.FAILED, serves=serves, next_command=again)

    def fail(self, plan: RollbackPlan, reason: str) -> None:
        """Record that the rollback failed, and why."""
        self._end(plan, Outcome.FAILED, reason, slack.failed)

    def leave_unverified(self, plan: RollbackPlan, reason: str) -> None:
        """Record that the target serves and could not be verified."""
        self._end(plan, Outcome.UNVERIFIED, reason, slack.unverified)

    @property
    def _again(self) -> str:
        return f"make rollback ENV={self.c.environment}"

    def _end(self, plan: RollbackPlan, outcome: Outcome, reason: str, message: Callable[..., slack.Message]) -> None:
        """Record how the rollback ended and send a notification, unless that was done or there was nothing to do."""
        if plan.needed and not self.journal.has_ended(plan.release):
            self._append(plan, self.service.snapshot(), outcome, reason)
            subject = self.subject(plan.name, plan.revision)
            self.c.notify(message(subject, reason=f"rollback: {reason}", next_command=self._again))

    def _append(self, plan: RollbackPlan, snapshot: Snapshot, outcome: Outcome, why: str) -> None:
        entry = Entry(
            release=plan.release,
            kind=Kind.ROLLBACK,
            service=incarnation(snapshot.service),
            version=plan.version,
            digest=plan.digest,
            revision=plan.revision,
            schema_head=plan.schema_head,
            restores=plan.target,
            definition_digest=plan.definition_digest,
        )
        self.journal.append(entry, outcome, why)


def versions(releases: Sequence[Release]) -> str:
    """Format releases: ``0123456789ab+3f2a (family:7), …``."""
    return ", ".join(f"{release.name} ({release.revision_name})" for release in releases)
