"""The phases of a release: settle, plan, register, prepare, update, conclude.

Each phase prints what it does (in a preview, what it would do) and returns plain values for the next one. The role
owns the order and the error handling. `plan` decides; `service` updates the service and follows the deployment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core import outcome as command
from fargate_ops.core.application import NO_ADMIN_COMMAND, Application
from fargate_ops.ecs.failure_report import Report, started
from fargate_ops.ecs.prune import prune
from fargate_ops.ecs.rollout import Deployment, Judgement, Snapshot, Verdict
from fargate_ops.ecs.root_cause import root_cause
from fargate_ops.ecs.task_definition import (
    Image,
    Settings,
    admin_definition,
    canonical,
    database_secret_arns,
    database_secret_in,
    service_definition,
    tags,
)
from fargate_ops.ecs.tasks import TaskError, TaskTimeoutError, short
from fargate_ops.notify import slack
from fargate_ops.release import ending, prepare_result
from fargate_ops.release.abort import ZERO_TASKS
from fargate_ops.release.context import CONSISTENCY_READS, CONSISTENCY_SECONDS, INSIST, Context, ReleaseError
from fargate_ops.release.gates import require_quiet_gates, require_rules_to_shift
from fargate_ops.release.in_flight import InFlight
from fargate_ops.release.journal import Entry, incarnation, is_in_service, seconds_since
from fargate_ops.release.operation import Operation
from fargate_ops.release.plan import Plan, Revision, Situation, decide
from fargate_ops.release.scaling_limits import capacity_now, set_limits
from fargate_ops.release.service import is_staged
from fargate_ops.release.strategy import ROLLING, Strategy, attached, require_infrastructure
from fargate_ops.release.verify import Subject
from fargate_ops.state.ledger import (
    History,
    Kind,
    Outcome,
    Release,
    last_word,
    next_release_id,
    release_id,
    release_name,
    rolling_back,
    serving,
    unfinished,
    unfinished_rollback,
)
from fargate_ops.terraform.stack import Stack

#: What happens once, before the first release that is not rolling.
ATTACH = "attach the second target group and the listener rules, by a rolling deployment of the version that runs"


class Releaser(Operation):
    """Releases one image to one service.

    ``allow_rolled_back``: also release what was rolled back. ``keep_revisions`` of each family stay registered.
    Without ``wait``, a release that is not rolling bakes on when this run ends.
    """

    def __init__(
        self,
        context: Context,
        settings: Settings,
        image: Image,
        *,
        allow_rolled_back: bool,
        keep_revisions: int,
        wait: bool = True,
    ) -> None:
        super().__init__(context)
        self.settings = settings
        self.image = image
        self.allow_rolled_back = allow_rolled_back
        self.keep_revisions = keep_revisions
        self.wait = wait
        #: After `update`, what a release does that goes on without this run; else empty.
        self.baking = ""

    # -- settle ------------------------------------------------------------------------------------------------

    def settle(self, *, preview: bool = False) -> None:
        """Wait for a deployment of somebody else in progress, and record the end of interrupted releases.

        A deployment of exactly the wanted definition is left alone: the plan resumes it.

        Raises:
            ReleaseError: the deployment in flight did not end in time, or it waits and bakes at its own pace.
        """
        snapshot = self.service.watch.snapshot()
        primary = snapshot.primary
        self._keep_database_user_of(primary)
        wanted = canonical(service_definition(self.c.stack, self.c.application, self.settings, self.image))
        left = self._is_to_be_resumed(primary, wanted, snapshot) or self._is_to_be_replaced(primary, wanted)
        going = InFlight.read(self.c.clients, self.c.stack, self.c.strategy, snapshot) if is_staged(snapshot) else None
        if going and not going.seen.goes_back and not (left and self._is_to_be_watched(primary, snapshot)):
            self.service.refuse_in_flight(going, self.journal.releases(snapshot))
        if primary.rollout_state == "IN_PROGRESS" and (not left or (going and going.seen.goes_back)):
            in_flight = (
                f"a deployment of {primary.revision_name} that this run did not start is in flight ({primary.id})"
            )
            if preview:
                self.c.say(f"{in_flight}: would wait for it to end")
                return
            self.c.say(f"{in_flight}: waiting for it to end")
            judgement, snapshot = self.service.until_stable()
            if judgement.verdict is Verdict.TIMED_OUT:
                raise ReleaseError(
                    f"{self.c.environment}: {in_flight} and {judgement.reason}.\n"
                    f"Next: look at it with {self.c.logs_command}, then {self.c.retry_command}",
                    f"another deployment was {judgement.reason}",
                )
        releases = self.journal.releases(snapshot)
        for release in unfinished(releases):
            in_service = is_in_service(release, snapshot)
            if in_service and release.kind is Kind.RELEASE and self._definition(release.revision) == wanted:
                continue
            if in_service and preview:
                self.c.say(f"would verify release {release.id}, and settle it: succeeded or stopped")
                continue
            outcome, why = (
                self.acceptance.outcome_of(release, snapshot) if in_service else self._how_it_ended(release, snapshot)
            )
            self.c.say(f"{'would settle' if preview else 'settled'} release {release.id}: {outcome}, {why}")
            if not preview:
                self.journal.record(release, outcome, why)
        if not preview and is_staged(snapshot) and snapshot.primary.rollout_state == "COMPLETED":
            self.service.rest()  # a release that baked without a run is over
        if rolling_back(releases):
            why = f"rolled back: {snapshot.primary.revision_name} serves instead"
            self.journal.confirm_rolled_back(snapshot, self.journal.releases(snapshot), why, preview=preview)

    def _is_to_be_watched(self, primary: Deployment, snapshot: Snapshot) -> bool:
        """Return whether a run waited for this deployment: the release does not bake alone."""
        releases = [item for item in self.journal.releases(snapshot) if item.revision == primary.revision]
        return not releases or releases[-1].outcome is not Outcome.BAKING

    def _is_to_be_resumed(self, primary: Deployment, wanted: Mapping[str, Any], snapshot: Snapshot) -> bool:
        """Return whether PRIMARY has the wanted definition and is not one that succeeded before."""
        succeeded = {item.revision for item in self.journal.releases(snapshot) if item.outcome is Outcome.SUCCEEDED}
        return primary.revision not in succeeded and self._definition(primary.revision) == wanted

    def _is_to_be_replaced(self, primary: Deployment, wanted: Mapping[str, Any]) -> bool:
        """Return whether a deployment in progress restarts the wanted definition for a secret's new value.

        rotation-bot starts such a deployment. If the new password does not log in, the deployment never ends: the
        release sets the password in the database and deploys once more.
        """
        return (
            primary.rollout_state == "IN_PROGRESS"
            and self._definition(primary.revision) == wanted
            and any(
                item.secret in database_secret_arns(self.c.stack)
                for item in self.acceptance.staleness(primary, reads=1)
            )
        )

    # -- plan --------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Compare the wanted definition with the running one, and print what there is to do."""
        self._check_architecture()
        snapshot = self.service.watch.snapshot()
        self._keep_database_user_of(snapshot.primary)
        wanted = service_definition(self.c.stack, self.c.application, self.settings, self.image)
        wanted_admin = (
            admin_definition(self.c.stack, self.c.application, self.settings, self.image)
            if self.c.application.database
            else None
        )
        history = self.journal.history(snapshot)
        self._check_ledger(history, snapshot)
        primary = replace(snapshot.primary, desired=snapshot.service["desiredCount"])
        situation = Situation(
            wanted=canonical(wanted),
            wanted_admin=wanted_admin and canonical(wanted_admin),
            primary=primary,
            running=Revision(primary.revision, self._definition(primary.revision)),
            latest=self._latest(wanted["family"]),
            latest_admin=self._latest(wanted_admin["family"]) if wanted_admin else None,
            releases=history.releases,
            schema_head=self.image.schema_head,
            app_secret_has_value=self._app_secrets_have_values(),
            minimum_tasks=capacity_now(self.c).minimum,
            staleness=self.acceptance.staleness(snapshot.primary),
            database_secrets=database_secret_arns(self.c.stack),
        )
        plan = replace(
            decide(situation, next_release_id(self.image.version, datetime.now(UTC), history.releases)),
            database_secret_arn=self.settings.database_secret_arn,
        )
        if not self.c.application.admin_command:
            plan = replace(plan, prepare="")
        if plan.needed and not self._strategy(plan).is_rolling:
            require_infrastructure(self.c.strategy, self.c.stack)
            if not plan.resumes:
                require_quiet_gates(self.c.strategy, self.c.stack, self.c.clients.client("cloudwatch"))
                require_rules_to_shift(self.c.strategy, self.c.stack, self.c.clients.client("elbv2"))
        begun = plan.release in {release.id for release in history.releases}
        if plan.needed and not begun and not self.allow_rolled_back:
            self._refuse_rolled_back(situation, plan)
        self._say_plan(plan, situation)
        return plan

    def _keep_database_user_of(self, primary: Deployment) -> None:
        """Keep the database user of the running tasks: only a rotation switches between the two."""
        in_use = database_secret_in(self.c.stack, self._definition(primary.revision))
        self.settings = replace(self.settings, database_secret_arn=in_use)

    def _check_ledger(self, history: History, snapshot: Snapshot) -> None:
        """Print what cannot be read in the ledger, and stop if it may be the record of the release that serves.

        A failed release would otherwise go back to the wrong version, or to none.
        """
        for item in history.unreadable:
            self.c.say(f"warning: {item}")
        success, primary = serving(history.releases), snapshot.primary
        if any(release.revision == primary.revision for release in history.releases):
            return
        since = success.id if success else release_id("", snapshot.service["createdAt"])
        for item in history.unreadable:
            if item.outcome and not item.known and item.release > since:
                raise ReleaseError(
                    f"{self.c.environment}: the ledger does not know {primary.revision_name}, which runs, and "
                    f"{item.address} cannot be read ({item.why}): it may be the missing record. Nothing was changed.\n"
                    f"Next: restore that object, or move it out of ledger/, then {self.c.retry_command}; "
                    f"or make rollback ENV={self.c.environment}, which goes to the last success that is known",
                    f"unreadable: {item.address}",
                )

    def _refuse_rolled_back(self, situation: Situation, plan: Plan) -> None:
        """Stop a routine run from releasing what was rolled back, or is being rolled back.

        Refuse the image if the rollback switched images; otherwise refuse only this exact task definition. The newest
        success or rollback of it counts, not any old one.
        """
        releases = [item for item in situation.releases if item.digest == self.image.digest]
        if not any(item.undone for item in releases):
            return
        # What serves, or will serve once an unfinished rollback is resumed.
        other = unfinished_rollback(situation.releases) or serving(situation.releases)
        switched = other is None or other.digest != self.image.digest
        of_image = last_word(releases, lambda _: switched)
        of_definition = last_word(releases, lambda item: self._has_definition(item, situation.wanted, plan))
        for release in filter(None, (of_definition, of_image)):
            if release.undone:
                what = f"{release.name} ({release.revision_name})"
                rolling = release.outcome is Outcome.ROLLING_BACK
                finish = f"make rollback ENV={self.c.environment} to finish that; or " if rolling else ""
                raise ReleaseError(
                    f"{self.c.environment}: {what} is not released again: it {'is' if rolling else 'was'} "
                    f"{release.why}. A routine run does not bring it back; the service was not touched.\n"
                    f"Next: {finish}commit a fix and {self.c.retry_command}; or, to insist: {self.c.retry_command} "
                    f"{INSIST}",
                    f"{release.name} {'is being' if rolling else 'was'} rolled back",
                )

    def _has_definition(self, release: Release, wanted: Mapping[str, Any], plan: Plan) -> bool:
        """Return whether a release has the wanted definition. For old ones without a digest, ask ECS."""
        if release.definition_digest:
            return release.definition_digest == plan.definition_digest
        try:
            return self._definition(release.revision) == wanted
        except ClientError as error:
            if error.response["Error"]["Code"] == "ClientException":  # deleted, so nobody releases it again
                return False
            raise

    def _check_architecture(self) -> None:
        """Refuse an image for another CPU: its tasks would only fail with `exec format error`."""
        tasks, image = self.c.stack.cpu_architecture, self.image.architecture
        if image and image != tasks:
            raise ReleaseError(
                f"{self.c.environment}: the image is built for {image} and the tasks run on {tasks}. Nothing was "
                f"changed.\nNext: set app_cpu_architecture in the inventory, or build on such a machine",
                f"an image for {image}, tasks on {tasks}",
            )

    def _say_plan(self, plan: Plan, situation: Situation) -> None:
        name = self._name(plan)
        if plan.resumes:
            self.c.say(f"{situation.running.name} ({name}) is the wanted definition, and unconfirmed: resuming it")
        elif plan.needed:
            self.c.say(f"to release: {name}, over {situation.running.name}")
            for line in plan.changes or ["ECS gave up the last rollout of this definition"]:
                self.c.say(f"  {line}")
        else:
            self.c.say(f"nothing to release: {situation.running.name} ({name}) runs already")

    # -- register ----------------------------------------------------------------------------------------------

    def register(self, plan: Plan, *, preview: bool = False) -> tuple[Plan, bool]:
        """Register the missing revisions. Return the plan with the ARNs of both, and whether one was registered."""
        if plan.needed and not preview:
            self.guard.require_lock("Nothing was changed.")
        self.settings = replace(self.settings, database_secret_arn=plan.database_secret_arn)
        service, admin = self._registered(plan.revision, service_definition, preview), plan.admin_revision
        changed = plan.revision is None
        if self.c.application.database:
            admin = self._registered(plan.admin_revision, admin_definition, preview)
            changed = changed or plan.admin_revision is None
        return replace(plan, revision=service, admin_revision=admin), changed

    def _registered(
        self,
        revision: str | None,
        render: Callable[[Stack, Application, Settings, Image], dict[str, Any]],
        preview: bool,
    ) -> str | None:
        if revision:
            self.c.say(f"nothing to register: {short(revision)} has the wanted definition")
            return revision
        definition = render(self.c.stack, self.c.application, self.settings, self.image)
        if preview:
            self.c.say(f"would register a revision of {definition['family']}")
            return None
        arn = self._register(definition)
        self.c.say(f"registered {short(arn)}")
        return arn

    def _register(self, definition: Mapping[str, Any]) -> str:
        try:
            answer = self.ecs.register_task_definition(**definition, tags=tags(self.image, self.c.environment))
        except ClientError as error:
            raise ReleaseError(
                f"{self.c.environment}: ECS refused the task definition of {definition['family']}: {error}",
                f"ECS refused the task definition: {error.response['Error']['Message']}",
            ) from error
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    # -- prepare -----------------------------------------------------------------------------------------------

    def prepare(self, plan: Plan, *, preview: bool = False) -> bool:
        """Run the admin task that migrates the schema and sets the application's database users.

        Return whether it changed anything.

        Raises:
            ReleaseError: the task failed; with its output.
        """
        if not plan.prepare:
            known = "the database is prepared for this version"
            if self.c.application.database:
                self.c.say(known if self.c.application.admin_command else f"{NO_ADMIN_COMMAND}: no migration is run")
            return False
        if preview:
            self.c.say(f"would prepare the database: {plan.prepare}")
            return True
        self.guard.require_lock("The database was not touched.")
        self.guard.require_time("The database was not touched.")
        self.c.say(f"preparing the database: {plan.prepare}")
        try:
            finished = self.admin_tasks.run(
                "prepare",
                (),
                str(plan.admin_revision),
                complete=lambda output: prepare_result.prepared(output) is not None,
            )
        except TaskTimeoutError as error:
            failed = prepare_result.failure(error.output, "")
            raise self._prepare_failed(replace(failed, error=str(error), kind="time_limit")) from error
        except TaskError as error:
            raise self._prepare_failed(prepare_result.Failure(str(error))) from error
        if finished.stop.exit_code != 0:
            failed = prepare_result.failure(finished.output, str(finished.stop))
            said = root_cause([finished.stop], finished.output, [], failed.error)
            # A line of the log is for the screen, and not for the ledger.
            raise self._prepare_failed(failed, cause=said if failed.error == str(finished.stop) else failed.error)
        prepared = prepare_result.prepared(finished.output)
        if prepared is None:
            failed = prepare_result.Failure("the admin task ended without its result, so the schema is not known")
            raise self._prepare_failed(failed)
        self._check_schema(prepared.schema_head)
        if plan.needed:
            self._append(plan, Outcome.PREPARED)
        return prepared.changed

    def _check_schema(self, reached: str) -> None:
        """Check that the database's schema is the image's, or a later one that the image's code is known to work with.

        Raises:
            ReleaseError: it is another one.
        """
        wanted = self.image.schema_head
        if wanted is None or reached == wanted:
            return
        brought = [release for release in self.journal.all_releases() if release.schema_head == reached]
        if any(wanted in (release.schema_compatible or ()) for release in brought):
            self.c.say(f"the database's schema is {reached}, later than the image's {wanted}, whose code works with it")
            return
        why = "the code of this image is not known to work with that" if brought else "no release here brought that"
        raise self._prepare_failed(
            prepare_result.Failure(f"the image brings the schema {wanted}, and the database is at {reached}: {why}"),
            f"release a commit that has the migrations {reached} and {wanted}, one after the other",
        )

    def _prepare_failed(
        self, failed: prepare_result.Failure, next_command: str = "", *, cause: str = ""
    ) -> ReleaseError:
        what, untouched = f"preparing the database for {self.image.version} failed", "The service was not touched."
        report = Report(
            title=f"{self.c.environment}: {what}: {failed.error}",
            notes=[*failed.details, untouched],
            serving=self.journal.describe_serving(self.service.watch.snapshot()),
            next_command=next_command
            or prepare_result.next_command(
                failed,
                self.c.application.admin_command,
                self.c.environment,
                self.c.retry_command,
                self.c.limits.prepare_wait,
            ),
        )
        return ReleaseError(
            report.summary(),
            f"prepare: {failed.error}",
            # The admin task's log is on the screen already.
            "\n".join(failed.details),
            ending.failed(
                what, untouched, cause=cause or failed.error, serves=report.serving, next_command=report.next_command
            ),
        )

    # -- update ------------------------------------------------------------------------------------------------

    def begin(self, plan: Plan) -> None:
        """Record that the release begins, before any change that clients could notice."""
        self._append(plan, Outcome.IN_PROGRESS, self.c.why)
        self.c.notify(slack.started(self._subject(plan), reason=self.c.why))

    def update(self, plan: Plan, *, preview: bool = False) -> bool:
        """Update the service and wait until that deployment has succeeded. Return whether the service was updated.

        Raises:
            ReleaseError: it did not succeed; with a report of the cause. The previous version then serves again.
        """
        if not plan.needed:
            self.c.say("nothing to update: the service runs the wanted definition")
            return False
        if preview:
            count = "" if plan.desired_count is None else f" with {plan.desired_count} tasks"
            target = short(plan.revision) if plan.revision else "the revision to be registered"
            if not self._strategy(plan).is_rolling and not attached(self.service.snapshot().service, self.c.stack):
                self.c.say(f"would first {ATTACH}")
            way = "" if self._strategy(plan).is_rolling else f" by {self._strategy(plan)}"
            self.c.say(f"would update {self.c.service} to {target}{count}{way} and watch that deployment to its end")
            return True
        if not plan.resumes and not self._strategy(plan).is_rolling:
            self._attach()
        deployment, snapshot = self._resumed(plan) if plan.resumes else self._start(plan)
        what = f"the release of {self._name(plan)} ({deployment.revision_name})"
        subject = Subject(version=self.image.version, digest=self.image.digest, revision=deployment.revision)
        stages = self.service.stages(snapshot, deployment, subject, begun=plan.resumes, wait=self.wait)
        give_up = partial(self._give_up, plan, deployment)
        self.baking = self.service.follow(deployment, what, give_up, stages)
        if self.baking:
            return not plan.resumes
        if stages:
            self.service.rest()
        self.acceptance.require_current_tasks(what)
        return not plan.resumes

    def _strategy(self, plan: Plan) -> Strategy:
        """Return the strategy of a release: a first one has nothing to shift from."""
        return ROLLING if plan.first else self.c.strategy

    def _attach(self) -> None:
        """Attach the second target group, once, by a rolling deployment of what runs."""
        self.guard.require_lock("The service was not touched.")
        self.guard.require_time("The service was not touched.")
        deployment = self.service.attach()
        if deployment is None:
            return
        self.c.say(f"once, {ATTACH}")
        what = f"a rolling deployment of {deployment.revision_name}, to attach the second target group,"

        def give_up(judgement: Judgement) -> list[str]:
            return self.service.until_rolled_back(deployment) if judgement.verdict is Verdict.FAILED else []

        self.service.follow(deployment, what, give_up)

    def _give_up(self, plan: Plan, deployment: Deployment, judgement: Judgement) -> list[str]:
        """Go back to the previous version. Return notes about it."""
        if judgement.verdict is Verdict.REPLACED:
            return []
        if plan.first:
            self.service.scale_to_zero()
            return [ZERO_TASKS]
        # ECS has rolled back a deployment that it failed itself.
        ended = [] if judgement.verdict is Verdict.FAILED else [self.service.stop(deployment, plan.previous_revision)]
        ended += self.service.until_rolled_back(deployment)
        self.service.rest()
        return ended

    def _resumed(self, plan: Plan) -> tuple[Deployment, Snapshot]:
        for _ in range(CONSISTENCY_READS):  # an answer of ECS may be older than the plan
            snapshot = self.service.watch.snapshot()
            if deployment := snapshot.deployment(str(plan.deployment)):
                return deployment, snapshot
            self.c.sleep(CONSISTENCY_SECONDS)
        raise ReleaseError(
            f"{self.c.environment}: the deployment {plan.deployment} is gone.\nNext: {self.c.retry_command}",
            f"the deployment {plan.deployment} is gone",
        )

    def _start(self, plan: Plan) -> tuple[Deployment, Snapshot]:
        """Update the service. Check the lock before and after.

        A rollback may take the lock between the check and the update, and find nothing to undo yet. So this run checks
        the lock again, and then undoes its own update.
        """
        self.guard.require_lock("The service was not touched.")
        self.guard.require_time("The service was not touched.")
        updated = self.service.update(
            str(plan.revision), desired_count=plan.desired_count, force=plan.force, strategy=self._strategy(plan)
        )
        if self.guard.lost_lock():
            self._undo(plan, updated)
            self.guard.require_lock("Its update was taken back at once.")
        return updated.primary, updated

    def _undo(self, plan: Plan, updated: Snapshot) -> None:
        if plan.first:
            self.service.scale_to_zero()
        elif is_staged(updated):
            self.service.stop(updated.primary, plan.previous_revision)
        else:
            self.service.update(plan.previous_revision)

    # -- conclude ----------------------------------------------------------------------------------------------

    def succeed(self, plan: Plan, *, preview: bool = False) -> bool:
        """Record the success and set auto scaling's limits. Return whether the limits were changed."""
        if plan.needed and not preview:
            self.acceptance.require_lasting_tasks(f"the release of {self._name(plan)}")
            self.guard.require_lock("The ledger does not call it a success.")
            self._append(plan, Outcome.SUCCEEDED, self.c.why)
            self.c.say(f"recorded: {self._name(plan)} succeeded")
            seconds = seconds_since(plan.release, datetime.now(UTC))
            self.c.notify(slack.succeeded(self._subject(plan), seconds=seconds))
            self._tidy(plan)
        elif plan.needed:
            self.c.say("would record the release in the ledger")
        try:
            return set_limits(self.c, preview=preview)
        except (ClientError, BotoCoreError) as error:
            if not plan.needed or preview:
                raise
            # The version serves and its success is recorded: a failure here would undo it.
            again = self.c.retry_command
            self.c.say(f"warning: auto scaling's limits were left as they are: {error}. Next: {again} sets them")
            return False

    def leave_baking(self, plan: Plan, stage: str) -> bool:
        """Record that the release bakes on without this run, and set auto scaling's limits, as `succeed` does."""
        self.guard.require_lock("The ledger does not say that it bakes.")
        self._append(plan, Outcome.BAKING, stage)
        self.c.say(f"recorded: {self._name(plan)} bakes")
        following = f"make status ENV={self.c.environment}"
        self.c.notify(slack.baking(self._subject(plan), reason=stage, next_command=following))
        try:
            return set_limits(self.c)
        except (ClientError, BotoCoreError) as error:
            self.c.say(f"warning: auto scaling's limits were left as they are: {error}")
            return False

    def _tidy(self, plan: Plan) -> None:
        """Record the end of an unfinished rollback, and deregister old revisions."""
        snapshot = self.service.snapshot()
        releases = self.journal.releases(snapshot)
        self.journal.confirm_rolled_back(snapshot, releases, f"rolled back: {self._name(plan)} serves instead")
        prune(
            self.ecs,
            cluster=self.c.cluster,
            service=snapshot.service,
            families=[self.c.stack.service_family, *filter(None, [self.c.stack.get(Stack.admin_family, "")])],
            releases=releases,
            keep=self.keep_revisions,
            say=self.c.say,
        )

    def done(self, plan: Plan, *, preview: bool = False, baking: str = "") -> command.Outcome:
        """Return the outcome of a success; ``baking`` is what a release does that goes on without this run."""
        name = self._name(plan)
        what = f"{name} serves" if plan.needed else f"{name} serves; there was nothing to release"
        serves = f"{short(str(plan.revision))} ({name})"
        if baking:
            what, serves = f"{name} bakes: {baking}", f"{short(plan.previous_revision)} ({plan.previous_name}) too"
        if preview and plan.needed:
            serves = " ".join(filter(None, [short(plan.previous_revision), plan.previous_name]))
            what = f"would release {name} over {serves}"
        return ending.done(
            what,
            version=self.image.version,
            serves=serves,
            digest=self.image.digest,
            url=self.c.stack.get(Stack.public_url, ""),
            environment=self.c.environment,
        )

    def end(self, plan: Plan, failure: ending.Failure) -> command.Outcome:
        """Undo a release that failed, unless it serves and is only unverified, and record it. Return how it ended."""
        return self.ended(failure, lambda: self._conclude(plan, failure))

    def _conclude(self, plan: Plan, failure: ending.Failure) -> command.Outcome:
        name = self._name(plan)
        if failure.unverified:
            self.leave_unverified(plan, failure.reason)
            note = "The ledger calls it unverified." if plan.needed else "It serves as before."
            return failure.unseen(name, note, serves=name, next_command=self._next_if_unverified(plan))
        undone = self.fail(plan, failure.reason)
        snapshot = self.service.snapshot()
        back = snapshot.primary.revision == plan.previous_revision and snapshot.primary.rollout_state == "COMPLETED"
        is_undone = plan.needed and not plan.first and back and not self.guard.lost_lock()
        kind = command.Kind.FAILED_AND_UNDONE if is_undone else command.Kind.FAILED
        return failure.ended(kind, *undone, serves=self.journal.describe_serving(snapshot))

    def _next_if_unverified(self, plan: Plan) -> str:
        verify = f"make release ENV={self.c.environment}, which verifies it"
        if not plan.needed:
            return verify
        previous = plan.previous_name or "the version before it"
        return f"{verify}; or make rollback ENV={self.c.environment}, which puts {previous} back"

    def leave_unverified(self, plan: Plan, reason: str) -> None:
        """Record that the release serves and could not be verified.

        It stays in service: its tasks are the only healthy targets, and only this machine cannot reach it.
        """
        if not plan.needed:
            return
        self.guard.require_lock("The ledger does not say how it ended.")
        self._append(plan, Outcome.UNVERIFIED, reason)
        next_command = f"make release ENV={self.c.environment}"
        self.c.notify(slack.unverified(self._subject(plan), reason=reason, next_command=next_command))

    def fail(self, plan: Plan, reason: str) -> list[str]:
        """Put the previous version back if necessary, and record why the release failed. Return what was undone.

        That is necessary if the release came into service and failed later: it answers with the wrong version, or this
        run could not watch it to its end.
        """
        if not plan.needed:
            return []
        undone = [] if self.guard.lost_lock() else self._take_out_of_service(plan)
        why = "; ".join([reason, *undone])
        if undone:
            why += f"; what serves now: {self.journal.describe_serving(self.service.snapshot())}"
        subject, seconds = self._subject(plan), seconds_since(plan.release, datetime.now(UTC))
        next_command = f"make status ENV={self.c.environment}"
        # A rollback that stopped this release has already recorded that, and who did it.
        if self.journal.has_ended(plan.release):
            self.c.notify(slack.stopped(subject, reason=why, next_command=next_command, seconds=seconds))
        else:
            self._append(plan, Outcome.FAILED, why)
            self.c.notify(slack.failed(subject, reason=why, next_command=next_command, seconds=seconds))
        return undone

    def _take_out_of_service(self, plan: Plan) -> list[str]:
        revision = str(plan.revision)
        if plan.revision in (None, plan.previous_revision):
            return []
        updated = self._may_have_updated(plan)
        try:
            since = started(self.ecs, self.c.cluster, self.c.service, revision)
        except (ClientError, BotoCoreError):
            since = None  # undoing is more important
        if plan.first:
            if not self._was_in_service(revision, updated):
                return []
            exposed_until = datetime.now(UTC)
            notes = [ZERO_TASKS]
        else:
            back = self.service.put_back(revision, plan.previous_revision, updated=updated)
            if back is None:
                return []
            self.c.say(f"{short(revision)} was in service and must not be: {back.revision_name} is put back")
            judgement = self.service.until_completed(back)
            exposed_until = datetime.now(UTC)
            notes = [f"{back.revision_name} ({plan.previous_name}) was put back"]
            if judgement.verdict is not Verdict.COMPLETED:
                notes.append(f"that did not complete: {judgement.reason or judgement.verdict.name.lower()}")
        if since:
            notes.append(f"it was exposed for at most {(exposed_until - since).total_seconds():.0f} s")
        return notes

    def _may_have_updated(self, plan: Plan) -> bool:
        """Return whether the release may have updated the service: it prepares the database first."""
        return not plan.prepare or any(
            item.id == plan.release and item.prepared for item in self.journal.all_releases()
        )

    def _was_in_service(self, revision: str, updated: bool) -> bool:
        """Stop all tasks of a first release. Return whether it was in service, determined as in `Service.put_back`."""
        snapshot = self.service.snapshot()
        seen = snapshot.primary.revision == revision
        if not seen and not (updated and snapshot.service["desiredCount"] == 0):
            return False
        try:
            return self.service.scale_to_zero().primary.revision == revision
        except ClientError:
            if seen:
                raise
            return False

    def _how_it_ended(self, release: Release, snapshot: Snapshot) -> tuple[Outcome, str]:
        """Return how a release ended that is not in service and has no recorded end."""
        for deployment in snapshot.deployments:
            if deployment.revision == release.revision and deployment.rollout_state == "FAILED":
                return Outcome.FAILED, deployment.reason or "ECS gave it up while nobody watched"
        if why := self.service.why_undone(release.revision, release.started):
            return Outcome.FAILED, why
        return Outcome.STOPPED, f"interrupted; the service runs {snapshot.primary.revision_name}"

    # -- what the phases share -----------------------------------------------------------------------------------

    def _definition(self, arn: str) -> dict[str, Any]:
        return canonical(self.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])

    def _latest(self, family: str) -> Revision | None:
        """Return the newest ACTIVE revision of a family; None if it has none."""
        try:
            definition = self.ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
        except ClientError as error:
            # ECS's error for an unknown family: ClientException, "Unable to describe task definition."
            if error.response["Error"]["Code"] == "ClientException":
                return None
            raise
        return Revision(definition["taskDefinitionArn"], canonical(definition))

    def _app_secrets_have_values(self) -> bool:
        """Return whether each database user's secret has a current version. The value itself is not read."""
        client = self.c.clients.client("secretsmanager")
        answers = [client.describe_secret(SecretId=arn) for arn in database_secret_arns(self.c.stack)]
        return all(
            any("AWSCURRENT" in stages for stages in (answer.get("VersionIdsToStages") or {}).values())
            for answer in answers
        )

    def _subject(self, plan: Plan) -> slack.Subject:
        return self.subject(self._name(plan), str(plan.revision))

    def _name(self, plan: Plan) -> str:
        return release_name(self.image.version, plan.definition_digest)

    def _append(self, plan: Plan, outcome: Outcome, why: str = "") -> None:
        entry = Entry(
            release=plan.release,
            service=incarnation(self.service.snapshot().service),
            version=self.image.version,
            digest=self.image.digest,
            revision=str(plan.revision),
            schema_head=self.image.schema_head,
            schema_compatible=self.image.schema_compatible,
            definition_digest=plan.definition_digest,
        )
        self.journal.append(entry, outcome, why)
