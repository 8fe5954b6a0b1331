"""Rollback: which release to put back, decided purely; and putting it back, by one update of the service.

It needs no Terraform, no build, no migration and no git: the ledger says what there was, and its task definition is
still registered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from roles.ecs_release.python.definition import READ_ONLY, database_of
from roles.ecs_release.python.operation import (
    Operation,
    ReleaseError,
    incarnation,
    seconds_since,
    short,
    versions,
)
from roles.ecs_release.python.rollout import Deployment, Judgement, Snapshot, Verdict
from roles.notification.python import slack
from roles.release_ledger.python.ledger import (
    Event,
    Kind,
    Outcome,
    Release,
    earlier_successes,
    origin,
    release_id,
    serving,
    unfinished,
)

#: How many possible targets a refusal names.
SHOWN = 5
STEPS = re.compile(r"(?:-(\d+)|(\d+) ?-?steps?)")
REVISION = re.compile(r"(?:.*task-definition/)?(?:([A-Za-z0-9_-]+):|:)?(\d{1,9})")
SHORTEST_HASH = 4


class Refusal(Exception):
    """There is no way back to what was asked for; the message says why."""


def choose(
    releases: Sequence[Release], primary: Deployment, wanted: str = "", *, stopped_release: bool = False
) -> Release:
    """The release on the way forward to put back.

    ``releases`` are those of this incarnation of the service, oldest first, and ``primary`` is what it runs. ``wanted``
    is empty, a git hash, a revision (``7``, ``family:7``) or steps (``-2``, ``2 steps``).

    Without ``wanted`` the newest thing is undone: the last success is put back when something else is in service, when
    a release was stopped (``stopped_release``), or when that is what an interrupted rollback is still doing; otherwise
    the success before it.

    Raises:
        Refusal: no such release, or it never succeeded.
    """
    current = serving(releases)
    if current is None:
        raise Refusal("No release has ever succeeded here.")
    if steps := STEPS.fullmatch(wanted):
        return _steps_back(releases, int(steps[1] or steps[2]))
    now = origin(releases, current)
    if wanted:
        return _known(releases, wanted, now)
    landing = primary.rollout_state == "IN_PROGRESS" and any(
        item.kind is Kind.ROLLBACK and item.revision == primary.revision for item in unfinished(releases)
    )
    if stopped_release or landing or primary.revision not in (current.revision, now.revision):
        return now
    return _steps_back(releases, 1)


def _steps_back(releases: Sequence[Release], steps: int) -> Release:
    earlier = earlier_successes(releases)
    if not 1 <= steps <= len(earlier):
        raise Refusal(
            f"There is no release {steps} steps back." if steps != 1 else "There is no earlier release that succeeded."
        )
    return earlier[steps - 1]


def _known(releases: Sequence[Release], wanted: str, now: Release) -> Release:
    """The release of this hash or revision: the one that serves now, else the newest success, else one rolled back."""
    forward = [release for release in reversed(releases) if release.kind is Kind.RELEASE]
    if revision := REVISION.fullmatch(wanted):
        family, number = revision[1], revision[2]
        named = [item for item in forward if item.revision_name.rpartition(":")[2] == number]
        named = [item for item in named if not family or item.revision_name == f"{family}:{number}"]
        if not named and len(number) >= SHORTEST_HASH and not family:  # a hash may be all digits
            named = _of_hash(forward, wanted)
    else:
        named = _of_hash(forward, wanted)
    if not named:
        raise Refusal(f"The ledger knows no release {wanted}.")
    reached = [item for item in named if item.id == now.id]
    reached += [item for item in named if item.outcome is Outcome.SUCCEEDED]
    reached += [item for item in named if item.outcome is Outcome.ROLLED_BACK and item.succeeded]
    if not reached:
        raise Refusal(f"{versions(named[:1])} never succeeded ({named[0].outcome}: {named[0].why}).")
    return reached[0]


def _of_hash(forward: Sequence[Release], wanted: str) -> list[Release]:
    found = [item for item in forward if item.version.startswith(wanted)] if len(wanted) >= SHORTEST_HASH else []
    if len({item.version for item in found}) > 1:
        raise Refusal(f"{wanted} is the beginning of several: {versions(found[:SHOWN])}.")
    return found


def forbidding_contract(releases: Sequence[Release], target: Release) -> Release | None:
    """The release whose migrations took away what the target's code needs; None when it can run on today's schema."""
    for release in releases:
        later = release.id > target.id and release.prepared and release.schema_compatible is not None
        if later and target.schema_head not in (release.schema_compatible or []):
            return release
    return None


@dataclass(frozen=True, kw_only=True)
class RollbackPlan:
    """What to do; ``needed`` is False when the target, the release that is to be put back, is what serves already.

    ``previous`` is the version that was in service, or the revision where the ledger does not know it.
    """

    release: str
    needed: bool
    target: str
    version: str
    digest: str
    revision: str
    image: str
    schema_head: str | None
    previous: str

    def to_fact(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> RollbackPlan:
        return cls(**fact)


class Rollback(Operation):
    """Puts an earlier release back into service."""

    def plan(self, wanted: str = "", *, preview: bool = False) -> RollbackPlan:
        """Choose the release, refuse what cannot work, and record who took what out of service.

        Raises:
            ReleaseError: there is nothing to go back to, or it cannot run; says what is possible.
        """
        snapshot = self.watch.snapshot()
        releases = self.releases(snapshot)
        primary = snapshot.primary
        held = self.lock.held(self.c.holder) if self.c.holder else None
        stopped = held.stopped_release if held else ""
        try:
            target = choose(releases, primary, wanted, stopped_release=bool(stopped))
            definition, image = self._usable(releases, target)
        except Refusal as refusal:
            raise self._refused(str(refusal), releases) from None
        in_service = primary.revision == self._revision(releases, target)
        plan = RollbackPlan(
            release=release_id(target.version, datetime.now(UTC)),
            needed=not in_service or primary.rollout_state != "COMPLETED",
            target=target.id,
            version=target.version,
            digest=target.digest,
            revision=primary.revision if in_service else target.revision,
            image=image,
            schema_head=target.schema_head,
            previous=next(
                (item.version for item in reversed(releases) if item.revision == primary.revision),
                primary.revision_name,
            ),
        )
        self._say_plan(plan, primary, stopped, preview)
        if not preview:
            self.keep_lock("The service was not touched.")
            self._record_what_is_undone(plan, releases, primary)
            if not in_service:
                plan = replace(plan, revision=self._active(target, definition))
            if plan.needed:
                self._append(plan, snapshot, Outcome.IN_PROGRESS, self.c.why)
        return plan

    def _usable(self, releases: Sequence[Release], target: Release) -> tuple[dict[str, Any], str]:
        """The target's task definition and image.

        Raises:
            Refusal: one of them is gone, or its code cannot work with today's schema.
        """
        if contract := forbidding_contract(releases, target):
            raise Refusal(
                f"{versions([target])} needs the schema {target.schema_head}, and {contract.version} has since run a "
                f"contract migration (schema {contract.schema_head}) that it cannot work with."
            )
        definition = self._definition(target)
        released_for, serves = database_of(definition), str(self.c.stack["database"]["instance_identifier"])
        if released_for and released_for != serves:
            raise Refusal(
                f"{versions([target])} was released for the database {released_for}, and {serves} serves: a rollback "
                f"goes back to other code, never to other data.\n"
                f"Its code with today's data: make release ENV={self.c.environment} "
                f"ARGS='-e image_build_version={target.version}'\n"
                f"Other data: make restore ENV={self.c.environment} says which."
            )
        return definition, self._image(target, definition)

    def _is_usable(self, releases: Sequence[Release], target: Release) -> bool:
        try:
            self._usable(releases, target)
        except Refusal:
            return False
        return True

    def _definition(self, target: Release) -> dict[str, Any]:
        try:
            definition: dict[str, Any] = self.ecs.describe_task_definition(taskDefinition=target.revision)[
                "taskDefinition"
            ]
        except ClientError as error:
            # ECS says so of a deleted revision: ClientException, "Unable to describe task definition."
            if error.response["Error"]["Code"] == "ClientException":
                raise Refusal(f"The task definition of {versions([target])} was deleted.") from None
            raise
        return definition

    @staticmethod
    def _revision(releases: Sequence[Release], target: Release) -> str:
        """The revision that runs when the target does: its own, or the copy that the last rollback put back."""
        current = serving(releases)
        return current.revision if current and origin(releases, current).id == target.id else target.revision

    def _image(self, target: Release, definition: Mapping[str, Any]) -> str:
        """The image of the target's container, which the registry must still hold."""
        reference: str = next(
            item["image"] for item in definition["containerDefinitions"] if item["name"] == self.c.container
        )
        address, _, repository = reference.partition("@")[0].partition("/")
        account = address.partition(".")[0]
        owner = {"registryId": account} if re.fullmatch(r"\d{12}", account) else {}
        try:
            self.c.clients.client("ecr").describe_images(
                repositoryName=repository, imageIds=[{"imageDigest": target.digest}], **owner
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ImageNotFoundException", "RepositoryNotFoundException"):
                raise Refusal(f"The image of {versions([target])} is gone from the registry: {reference}.") from None
            # Whoever may not look may still roll back: ECS pulls with the execution role.
            self.c.say(f"whether the registry holds {reference} is not known: {error}")
        return reference

    def _refused(self, why: str, releases: Sequence[Release]) -> ReleaseError:
        current = serving(releases)
        possible = [item for item in earlier_successes(releases)[:SHOWN] if self._is_usable(releases, item)]
        environment = self.c.environment
        lines = [f"{environment}: {why} Nothing was changed."]
        if current:
            lines.append(f"The last success is {versions([current])}.")
        if possible:
            lines.append(f"Possible, newest first: {versions(possible)}.")
            lines.append(f"Next: make rollback ENV={environment} ARGS='-e rollback_to={possible[0].version}'")
        else:
            lines.append(f"There is nothing to go back to.\nNext: a fix, then {self.c.retry_command}")
        return ReleaseError("\n".join(lines), why)

    def _say_plan(self, plan: RollbackPlan, primary: Deployment, stopped: str, preview: bool) -> None:
        would = "would " if preview else ""
        if stopped:
            self.c.say(f"{would}stop the release of {stopped}" if preview else f"stopped the release of {stopped}")
        if plan.needed:
            verb = "would roll" if preview else "rolling"
            self.c.say(f"{verb} back: {primary.revision_name} -> {plan.version} ({short(plan.revision)})")
        else:
            self.c.say(f"nothing to roll back: {plan.version} ({short(plan.revision)}) is what serves")

    def _record_what_is_undone(self, plan: RollbackPlan, releases: Sequence[Release], primary: Deployment) -> None:
        """The ledger learns it before the service does: a rollback that is interrupted has still been decided.

        What was in service is rolled back, so that no routine run brings it again; a release in flight that had not
        come so far is stopped. Going forward again takes nothing back.
        """
        why = f"rolled back to {plan.version} by {self.c.by}"
        for release in unfinished(releases):
            if release.revision == primary.revision != plan.revision:
                self.record(release, Outcome.ROLLED_BACK, why)
            else:
                self.record(release, Outcome.STOPPED, f"stopped by a rollback by {self.c.by}")
        current = serving(releases)
        if current is None or not plan.needed:
            return
        now = origin(releases, current)
        if plan.target < now.id and primary.revision in (current.revision, now.revision):
            for release in {now.id: now, current.id: current}.values():
                self.record(release, Outcome.ROLLED_BACK, why)

    def _active(self, target: Release, definition: Mapping[str, Any]) -> str:
        """The target's revision, or a copy where somebody has deregistered it: ECS runs no INACTIVE one anew."""
        if definition.get("status") != "INACTIVE":
            return target.revision
        copy = {name: value for name, value in definition.items() if name not in READ_ONLY}
        arn = str(self.ecs.register_task_definition(**copy)["taskDefinition"]["taskDefinitionArn"])
        self.c.say(f"{target.revision_name} was deregistered: registered its copy {short(arn)}")
        return arn

    def update(self, plan: RollbackPlan) -> bool:
        """Point the service at the target and see that deployment to its end; whether there was anything to do.

        Raises:
            ReleaseError: it did not come to that, with a report of why and of what serves now.
        """
        if not plan.needed:
            return False
        self.keep_lock("The service was not touched.")
        before = self.watch.snapshot().primary
        again = before.revision == plan.revision
        in_flight = again and before.rollout_state == "IN_PROGRESS"
        deployment = before if in_flight else self.move(plan.revision, force=again)
        what = f"the rollback to {plan.version} ({deployment.revision_name})"
        self.follow(deployment, what, lambda judgement: self._give_up(deployment, judgement))
        return True

    def _give_up(self, deployment: Deployment, judgement: Judgement) -> list[str]:
        """Leave a rollback that lasts to ECS: what it replaces is no better place to be."""
        if judgement.verdict is Verdict.FAILED:
            return self.until_back(deployment)
        return [] if judgement.verdict is Verdict.REPLACED else ["ECS goes on trying."]

    def succeed(self, plan: RollbackPlan) -> bool:
        """Record that the target serves, and set auto scaling's limits; whether these were changed."""
        if plan.needed:
            self._append(plan, self.watch.snapshot(), Outcome.SUCCEEDED, self.c.why)
            self.c.say(f"recorded: rolled back to {plan.version}")
            seconds = seconds_since(plan.release, datetime.now(UTC))
            subject = self.subject(plan.version, plan.revision)
            self.c.notify(slack.rolled_back(subject, from_version=plan.previous, reason=self.c.why, seconds=seconds))
        try:
            return self.set_limits()
        except (ClientError, BotoCoreError) as error:
            # The version serves; the next release or scheduled action sees to the limits.
            self.c.say(f"auto scaling's limits were left as they are: {error}")
            return False

    def fail(self, plan: RollbackPlan, reason: str) -> None:
        """Record that the rollback did not succeed, and why."""
        if plan.needed and not self.ledger.has_ended(plan.release):
            self._append(plan, self.watch.snapshot(), Outcome.FAILED, reason)
            next_command = f"make status ENV={self.c.environment}"
            subject = self.subject(plan.version, plan.revision)
            self.c.notify(slack.failed(subject, reason=f"rollback: {reason}", next_command=next_command))

    def _append(self, plan: RollbackPlan, snapshot: Snapshot, outcome: Outcome, why: str) -> None:
        at = datetime.now(UTC)
        self.ledger.append(
            Event(
                release=plan.release,
                outcome=outcome,
                kind=Kind.ROLLBACK,
                service=incarnation(snapshot.service),
                version=plan.version,
                digest=plan.digest,
                revision=plan.revision,
                schema_head=plan.schema_head,
                restores=plan.target,
                by=self.c.by,
                at=at,
                why=why,
                duration_seconds=None if outcome is Outcome.IN_PROGRESS else seconds_since(plan.release, at),
            )
        )
