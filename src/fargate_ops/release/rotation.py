"""Rotate the application's database password without a failed request, by two alternating database users.

Each user has a secret of its own, and the task definition refers to one of them. The idle user gets a new password,
which no task uses. Then the service is updated to a copy of its task definition that refers to the other secret. During
that, the old tasks serve with the old user. That user keeps its password until the next rotation, so the credentials of
earlier task definitions still work, for a rollback too. Only the running task definition records whose turn it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from fargate_ops.core import outcome as command
from fargate_ops.core.application import ADMIN_COMMAND_NEXT, NO_ADMIN_COMMAND
from fargate_ops.ecs.failure_report import Report
from fargate_ops.ecs.one_off import newest_admin_definition
from fargate_ops.ecs.rollout import Deployment, Judgement, Snapshot, Verdict
from fargate_ops.ecs.task_definition import READ_ONLY, canonical, database_secret_arns, database_secret_in, digest
from fargate_ops.ecs.tasks import TaskError, short
from fargate_ops.notify import slack
from fargate_ops.release import ending, prepare_result
from fargate_ops.release.context import ReleaseError
from fargate_ops.release.in_flight import InFlight
from fargate_ops.release.journal import Entry, incarnation, is_in_service, seconds_since
from fargate_ops.release.operation import Operation
from fargate_ops.release.service import is_staged
from fargate_ops.state.ledger import (
    Outcome,
    Release,
    next_release_id,
    origin,
    release_name,
    serving,
    unfinished,
)
from fargate_ops.terraform.stack import Stack


@dataclass(frozen=True, kw_only=True)
class RotationPlan:
    """The decision. ``secret`` and ``from_secret`` are the ARNs of the next user's and the present user's secrets.

    ``age_days`` is the age of the password in use. ``revision`` is the running one until the copy is registered.
    ``user`` is the one with the new password.
    """

    release: str
    needed: bool
    secret: str
    from_secret: str
    age_days: float
    older_than_days: float
    version: str
    digest: str
    image: str
    schema_head: str | None
    schema_compatible: list[str] | None
    previous_revision: str
    admin_revision: str
    revision: str
    user: str = ""

    def sentence(self, *, preview: bool = False) -> str:
        """Return the closing sentence."""
        age = f"{self.age_days:g} days old"
        if not self.needed:
            return f"the password in use is {age}, younger than {self.older_than_days:g}: nothing was rotated"
        if preview:
            return f"the password in use is {age}, and would be rotated"
        return (
            f"the service uses {self.user}, whose password is 0 days old; the one before it was {age}, "
            f"and works until the next rotation"
        )

    def to_fact(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> RotationPlan:
        return cls(**fact)


class Rotation(Operation):
    """Switches the service from one of its database users to the other, who gets a new password."""

    # -- plan --------------------------------------------------------------------------------------------------

    def plan(self, older_than_days: float, *, preview: bool = False) -> RotationPlan:
        """Decide whether the password in use is old enough, and which user is next.

        Raises:
            ReleaseError: nothing serves that could be rotated, or another change is in progress.
        """
        stack = self.c.stack
        if not self.c.application.admin_command:
            raise self._refused(f"{NO_ADMIN_COMMAND}, so no password can be renewed", ADMIN_COMMAND_NEXT)
        if len(database_secret_arns(stack)) < 2:
            raise self._refused(
                "there is one database user only: this environment was applied before there were two",
                f"make deploy ENV={self.c.environment}",
            )
        snapshot = self._at_rest(preview)
        primary, releases = snapshot.primary, self.journal.releases(snapshot)
        self._settle(releases, snapshot, preview)
        success = serving(self.journal.releases(snapshot))
        if success is None or primary.revision != success.revision:
            raise self._refused(
                f"what runs, {primary.revision_name}, is not a successful release",
                f"make deploy ENV={self.c.environment}",
            )
        if success.outcome is Outcome.ROLLING_BACK:
            raise self._refused(
                f"what runs, {success.name}, is being rolled back", f"make rollback ENV={self.c.environment}"
            )
        definition = self.ecs.describe_task_definition(taskDefinition=primary.revision)["taskDefinition"]
        in_use = database_secret_in(stack, definition)
        if not in_use:
            raise self._refused(
                f"{primary.revision_name} takes the credentials of none of the application's two database users",
                "correct app_secrets in the inventory",
            )
        age = self._age(in_use)
        plan = RotationPlan(
            release=next_release_id(success.version, datetime.now(UTC), releases),
            needed=age >= timedelta(days=older_than_days),
            secret=next(arn for arn in database_secret_arns(stack) if arn != in_use),
            from_secret=in_use,
            age_days=round(age / timedelta(days=1), 1),
            older_than_days=older_than_days,
            version=success.version,
            digest=success.digest,
            image=_image(definition, self.c.container),
            schema_head=success.schema_head,
            schema_compatible=origin(releases, success).schema_compatible,
            previous_revision=primary.revision,
            admin_revision=self._admin_revision(),
            revision=primary.revision,
        )
        self._say_plan(plan, preview)
        return plan

    def _at_rest(self, preview: bool) -> Snapshot:
        """Return the service without a deployment in progress: wait for that to end."""
        snapshot = self.service.watch.snapshot()
        primary = snapshot.primary
        if primary.rollout_state != "IN_PROGRESS":
            return snapshot
        if is_staged(snapshot):
            going = InFlight.read(self.c.clients, self.c.stack, self.c.strategy, snapshot)
            if going and not going.seen.goes_back:
                self.service.refuse_in_flight(going, self.journal.releases(snapshot))
        in_flight = f"a deployment of {primary.revision_name} is in flight ({primary.id})"
        if preview:
            self.c.say(f"{in_flight}: would wait for it to end")
            return snapshot
        self.c.say(f"{in_flight}: waiting for it to end")
        judgement, snapshot = self.service.until_stable()
        if judgement.verdict is Verdict.TIMED_OUT:
            raise self._refused(f"{in_flight} and {judgement.reason}", self.c.logs_command)
        return snapshot

    def _settle(self, releases: Sequence[Release], snapshot: Snapshot, preview: bool) -> None:
        """Record the end of interrupted releases, mainly rotations."""
        for release in unfinished(releases):
            runs = is_in_service(release, snapshot)
            if runs and preview:
                self.c.say(f"would verify release {release.id}, and settle it: succeeded or stopped")
                continue
            undone = "" if runs else self.service.why_undone(release.revision, release.started)
            outcome, why = Outcome.STOPPED, f"interrupted; {snapshot.primary.revision_name} runs"
            if undone:
                outcome, why = Outcome.FAILED, undone
            if runs:
                outcome, why = self.acceptance.outcome_of(release, snapshot)
            self.c.say(f"{'would settle' if preview else 'settled'} release {release.id}: {outcome}, {why}")
            if not preview:
                self.journal.record(release, outcome, why)

    def _age(self, secret: str) -> timedelta:
        """Return the age of a secret's current value. The value itself is not read."""
        listed = self.c.clients.client("secretsmanager").list_secret_version_ids(SecretId=secret, MaxResults=100)
        put: datetime | None = next(
            (item["CreatedDate"] for item in listed["Versions"] if "AWSCURRENT" in item["VersionStages"]), None
        )
        if put is None:
            raise self._refused(f"{name_of(secret)} has no value", f"make deploy ENV={self.c.environment}")
        return max(datetime.now(UTC) - put.astimezone(UTC), timedelta())

    def _admin_revision(self) -> str:
        try:
            found = newest_admin_definition(self.ecs, self.c.stack)
        except ClientError as error:
            raise self._refused(
                f"there is no admin task to renew a password: {error}", f"make deploy ENV={self.c.environment}"
            ) from error
        return str(found["taskDefinitionArn"])

    def _say_plan(self, plan: RotationPlan, preview: bool) -> None:
        known = f"the password in use, of {name_of(plan.from_secret)}, is {plan.age_days:g} days old"
        if not plan.needed:
            self.c.say(f"{known}, younger than {plan.older_than_days:g}: nothing to rotate")
            return
        self.c.say(f"{known}: {'would rotate' if preview else 'rotating'} to {name_of(plan.secret)}")
        if preview:
            self.c.say("would give that user a new password, and move the service to it")

    # -- renew -------------------------------------------------------------------------------------------------

    def renew(self, plan: RotationPlan) -> str:
        """Give the idle user a new password, by a one-off task. Return the user's name.

        Raises:
            ReleaseError: the task failed; with its output. The service was not touched.
        """
        self.guard.require_lock("No password was touched.")
        try:
            # A task left by an interrupted run could change the password after the new tasks have started: wait for it.
            finished = self.admin_tasks.run("renew", ["--secret", plan.secret], plan.admin_revision)
        except TaskError as error:
            raise self._renew_failed(plan, str(error)) from error
        user = _user(finished.output)
        if finished.stop.exit_code != 0 or not user:
            raise self._renew_failed(plan, prepare_result.failure(finished.output, str(finished.stop)).error)
        self.c.say(f"{user} has a new password, in {name_of(plan.secret)}; nobody uses it yet")
        return user

    def _renew_failed(self, plan: RotationPlan, reason: str) -> ReleaseError:
        what = f"renewing the password in {name_of(plan.secret)} failed"
        report = Report(
            title=f"{self.c.environment}: {what}: {reason}",
            notes=[f"The service was not touched: it uses {name_of(plan.from_secret)}, which works."],
            serving=self.journal.describe_serving(self.service.watch.snapshot()),
            next_command=self.c.retry_command,
        )
        return ReleaseError(
            report.summary(),
            f"renew: {reason}",
            outcome=ending.failed(
                what, *report.notes, cause=reason, serves=report.serving, next_command=report.next_command
            ),
        )

    # -- register and update -----------------------------------------------------------------------------------

    def register(self, plan: RotationPlan) -> str:
        """Register a copy of the running revision with the other user's secret, unless the newest one is that."""
        answer = self.ecs.describe_task_definition(taskDefinition=plan.previous_revision, include=["TAGS"])
        copy = {name: value for name, value in answer["taskDefinition"].items() if name not in READ_ONLY}
        copy = _with_secret(copy, plan.from_secret, plan.secret)
        latest = self.ecs.describe_task_definition(taskDefinition=copy["family"])["taskDefinition"]
        if canonical(latest) == canonical(copy):
            return str(latest["taskDefinitionArn"])
        tags = {"tags": answer["tags"]} if answer.get("tags") else {}
        arn = str(self.ecs.register_task_definition(**copy, **tags)["taskDefinition"]["taskDefinitionArn"])
        self.c.say(f"registered {short(arn)}: {short(plan.previous_revision)} with {name_of(plan.secret)}")
        return arn

    def begin(self, plan: RotationPlan) -> None:
        """Record that the service is about to be updated."""
        self._append(plan, Outcome.IN_PROGRESS, self._why(plan))
        self.c.notify(slack.started(self._subject(plan), reason=self._why(plan)))

    def update(self, plan: RotationPlan) -> None:
        """Update the service and wait until that deployment has succeeded.

        Raises:
            ReleaseError: it did not succeed; with a report of the cause. The old user then serves.
        """
        self.guard.require_lock(f"The service was not touched: it uses {name_of(plan.from_secret)}, which works.")
        deployment = self.service.update(plan.revision).primary
        if self.guard.lost_lock():
            self.service.update(plan.previous_revision)
            self.guard.require_lock("Its update was taken back at once.")
        what = f"the move to {name_of(plan.secret)} ({deployment.revision_name})"
        self.service.follow(deployment, what, lambda judgement: self._give_up(plan, deployment, judgement))
        self.acceptance.require_current_tasks(what)

    def _give_up(self, plan: RotationPlan, deployment: Deployment, judgement: Judgement) -> list[str]:
        if judgement.verdict is Verdict.REPLACED:
            return []
        ended = [] if judgement.verdict is Verdict.FAILED else [self.service.stop(deployment, plan.previous_revision)]
        works = (
            f"The old tasks serve with {name_of(plan.from_secret)}, whose password is unchanged and works; "
            f"{name_of(plan.secret)} has a new one, which nobody uses."
        )
        return [*ended, *self.service.until_rolled_back(deployment), works]

    # -- conclude ----------------------------------------------------------------------------------------------

    def succeed(self, plan: RotationPlan) -> None:
        """Record that the next user serves."""
        self.acceptance.require_lasting_tasks(f"the rotation to {name_of(plan.secret)}")
        self.guard.require_lock("The ledger does not call it a success.")
        self._append(plan, Outcome.SUCCEEDED, self._why(plan))
        seconds = seconds_since(plan.release, datetime.now(UTC))
        self.c.notify(slack.succeeded(self._subject(plan), seconds=seconds))

    def done(self, plan: RotationPlan, *, preview: bool = False) -> command.Outcome:
        """Return the outcome of a success."""
        end = ending.done(
            plan.sentence(preview=preview),
            version=plan.version,
            serves=f"{short(plan.previous_revision if preview else plan.revision)} ({plan.version})",
            digest=plan.digest,
            url=self.c.stack.get(Stack.public_url, ""),
            environment=self.c.environment,
        )
        anyway = f"{self.c.retry_command} ARGS='-e rotate_older_than_days=0', which rotates it anyway"
        return end if plan.needed else replace(end, next=anyway)

    def end(self, plan: RotationPlan | None, failure: ending.Failure) -> command.Outcome:
        """Undo a rotation that failed, unless it is only unverified, and record it. Return how it ended.

        Without a plan it never began.
        """
        return self.ended(failure, lambda: self._conclude(plan, failure))

    def _conclude(self, plan: RotationPlan | None, failure: ending.Failure) -> command.Outcome:
        if plan is None:
            return failure.outcome
        if failure.unverified:
            self.leave_unverified(plan, failure.reason)
            note = f"It uses {name_of(plan.secret)}; the ledger calls that unverified, and both passwords work."
            return failure.unseen(
                plan.version,
                note if plan.revision != plan.previous_revision else "It runs as before.",
                serves=plan.version,
                next_command=f"make release ENV={self.c.environment}, which verifies it",
            )
        undone = self.fail(plan, failure.reason)
        snapshot = self.service.snapshot()
        back = snapshot.primary.revision == plan.previous_revision and snapshot.primary.rollout_state == "COMPLETED"
        is_undone = plan.needed and back and not self.guard.lost_lock()
        return failure.ended(
            command.Kind.FAILED_AND_UNDONE if is_undone else command.Kind.FAILED,
            undone,
            serves=self.journal.describe_serving(snapshot),
            next_command=failure.outcome.next or f"after a fix, {self.c.retry_command}",
        )

    def fail(self, plan: RotationPlan, reason: str) -> str:
        """Put the old user back if necessary, and record why the rotation failed. Return what was undone."""
        if not plan.needed or plan.revision == plan.previous_revision:
            return ""
        undone = "" if self.guard.lost_lock() else self._put_back(plan)
        why = f"{reason}; {undone}" if undone else reason
        if not self.journal.has_ended(plan.release):
            self._append(plan, Outcome.FAILED, why)
            self.c.notify(slack.failed(self._subject(plan), reason=why, next_command=self.c.retry_command))
        return undone

    def leave_unverified(self, plan: RotationPlan, reason: str) -> None:
        """Record that the next user serves and could not be verified."""
        if not plan.needed or plan.revision == plan.previous_revision:
            return
        self.guard.require_lock("The ledger does not say how it ended.")
        self._append(plan, Outcome.UNVERIFIED, reason)
        next_command = f"make release ENV={self.c.environment}"
        self.c.notify(slack.unverified(self._subject(plan), reason=reason, next_command=next_command))

    def _put_back(self, plan: RotationPlan) -> str:
        back = self.service.put_back(plan.revision, plan.previous_revision)
        if back is None:
            return ""
        judgement = self.service.until_completed(back)
        done = "" if judgement.verdict is Verdict.COMPLETED else f", which did not complete: {judgement.reason}"
        return f"{back.revision_name}, with {name_of(plan.from_secret)}, was put back{done}"

    def _refused(self, why: str, next_command: str) -> ReleaseError:
        return ReleaseError(f"{self.c.environment}: {why}. Nothing was changed.\nNext: {next_command}", why)

    def _why(self, plan: RotationPlan) -> str:
        return f"{self.c.why}: {name_of(plan.from_secret)} -> {name_of(plan.secret)}"

    def _subject(self, plan: RotationPlan) -> slack.Subject:
        return self.subject(release_name(plan.version, digest(self._canonical(plan))), plan.revision)

    def _canonical(self, plan: RotationPlan) -> dict[str, Any]:
        return canonical(self.ecs.describe_task_definition(taskDefinition=plan.revision)["taskDefinition"])

    def _append(self, plan: RotationPlan, outcome: Outcome, why: str) -> None:
        entry = Entry(
            release=plan.release,
            service=incarnation(self.service.snapshot().service),
            version=plan.version,
            digest=plan.digest,
            revision=plan.revision,
            schema_head=plan.schema_head,
            schema_compatible=plan.schema_compatible,
            definition_digest=digest(self._canonical(plan)),
        )
        self.journal.append(entry, outcome, why)


def name_of(secret: str) -> str:
    """Return the name in a secret's ARN, without the six characters that Secrets Manager appends."""
    return secret.rsplit(":secret:", 1)[-1].rsplit("-", 1)[0]


def _with_secret(definition: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    containers = [
        {
            **container,
            "secrets": [
                {**item, "valueFrom": new + item["valueFrom"].removeprefix(old)}
                if item["valueFrom"] == old or item["valueFrom"].startswith(f"{old}:")
                else item
                for item in container.get("secrets") or []
            ],
        }
        for container in definition["containerDefinitions"]
    ]
    return {**definition, "containerDefinitions": containers}


def _image(definition: Mapping[str, Any], container: str) -> str:
    return str(next(item["image"] for item in definition["containerDefinitions"] if item["name"] == container))


def _user(output: Sequence[str]) -> str:
    """Return the user whose password the admin task renewed; empty if its output names none."""
    for line in reversed(output):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and "user" in said:
            return str(said["user"])
    return ""
