"""The phases of a release: settle, plan, register, prepare, update, conclude.

Each phase says what it does (or, asked to preview, what it would do) and returns plain values for the next one. The
order and the error handling are the role's; the decisions are in `plan`, the waiting in `rollout`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from botocore.exceptions import ClientError

from roles.deploy_lock.python.lock import LockStore
from roles.ecs_release.python.definition import (
    Image,
    Settings,
    admin_definition,
    canonical,
    service_definition,
    tags,
)
from roles.ecs_release.python.plan import Plan, Revision, Situation, decide
from roles.ecs_release.python.report import (
    STOPPED_TASKS,
    Report,
    event_lines,
    failures_first,
    log_tail,
    newest_task,
    stopped_tasks,
    target_lines,
)
from roles.ecs_release.python.rollout import Deployment, Judgement, Snapshot, Verdict, Watch
from roles.ecs_task.python.tasks import OneOff, Runner, Stop, TaskError
from roles.release_ledger.python.ledger import (
    Event,
    Kind,
    Ledger,
    Outcome,
    Release,
    of_service,
    release_id,
    started_at,
    unfinished,
)

Say = Callable[[str], None]

PREPARE_COMMAND = ("python", "-m", "settlement.admin", "prepare")


class ReleaseError(Exception):
    """A release failed: what happened and what to do next, in few lines.

    ``reason`` is one line, for the ledger; ``evidence`` is what the screen shows of the cause.
    """

    def __init__(self, message: str, reason: str, evidence: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.evidence = evidence


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds and pace of the waits, in seconds."""

    wait: float
    rollback_wait: float
    prepare_wait: float
    poll: float
    log_grace: float


class Clients(Protocol):
    """Where AWS clients come from, by boto3's names; each is made when it is first needed."""

    def client(self, service: str) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything that stays the same from phase to phase. ``stack`` is the fact ``terraform_stack_outputs``."""

    clients: Clients
    bucket: str
    environment: str
    stack: Mapping[str, Any]
    settings: Settings
    image: Image
    limits: Limits
    by: str
    why: str
    say: Say
    sleep: Callable[[float], None]
    retry_command: str
    logs_command: str

    @property
    def cluster(self) -> str:
        return str(self.stack["cluster_name"])

    @property
    def service(self) -> str:
        return str(self.stack["service_name"])

    @property
    def container(self) -> str:
        return str(self.stack["container_name"])


class Releaser:
    """Releases one image to one service."""

    def __init__(self, context: Context) -> None:
        self.c = context

    @property
    def ecs(self) -> Any:
        return self.c.clients.client("ecs")

    @property
    def logs(self) -> Any:
        return self.c.clients.client("logs")

    @cached_property
    def watch(self) -> Watch:
        return Watch(
            self.ecs,
            self.c.clients.client("elbv2"),
            cluster=self.c.cluster,
            service=self.c.service,
            target_group_arn=str(self.c.stack["target_group_arn"]),
            say=self.c.say,
            poll_seconds=self.c.limits.poll,
            sleep=self.c.sleep,
        )

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.c.clients.client("s3"), self.c.bucket, self.c.environment)

    @cached_property
    def lock(self) -> LockStore:
        return LockStore(self.c.clients.client("s3"), self.c.bucket, self.c.environment)

    # -- settle ------------------------------------------------------------------------------------------------

    def settle(self, *, preview: bool = False) -> None:
        """Bring to an end what is in flight: a deployment that is not ours, and releases that nobody watched.

        A deployment of exactly what is wanted now is left alone: the plan takes it up.

        Raises:
            ReleaseError: the deployment in flight did not end in time.
        """
        snapshot = self.watch.snapshot()
        wanted = canonical(service_definition(self.c.stack, self.c.settings, self.c.image))
        primary = snapshot.primary
        if primary.rollout_state == "IN_PROGRESS" and not self._is_to_be_taken_up(primary, wanted, snapshot):
            in_flight = (
                f"a deployment of {primary.revision_name} that this run did not start is in flight ({primary.id})"
            )
            if preview:
                self.c.say(f"{in_flight}: would wait for it to end")
                return
            self.c.say(f"{in_flight}: waiting for it to end")
            judgement, snapshot = self.watch.until_quiet(self.c.limits.wait)
            if judgement.verdict is Verdict.TIMED_OUT:
                raise ReleaseError(
                    f"{self.c.environment}: {in_flight} and {judgement.reason}.\n"
                    f"Next: look at it with {self.c.logs_command}, then {self.c.retry_command}",
                    f"another deployment was {judgement.reason}",
                )
        for release in unfinished(self._releases(snapshot)):
            outcome, why = _how_it_ended(release, snapshot)
            if outcome is Outcome.SUCCEEDED and self._definition(release.revision) == wanted:
                continue
            self.c.say(f"{'would settle' if preview else 'settled'} release {release.id}: {outcome}, {why}")
            if not preview:
                self.ledger.append(self._event_of(release, outcome, why))

    def _is_to_be_taken_up(self, primary: Deployment, wanted: Mapping[str, Any], snapshot: Snapshot) -> bool:
        """Whether a deployment in flight is the one wanted now, and not one of a definition that succeeded before."""
        succeeded = {item.revision for item in self._releases(snapshot) if item.outcome is Outcome.SUCCEEDED}
        return primary.revision not in succeeded and self._definition(primary.revision) == wanted

    # -- plan --------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Compare what is wanted with what runs, and say what there is to do."""
        self._check_architecture()
        snapshot = self.watch.snapshot()
        wanted = service_definition(self.c.stack, self.c.settings, self.c.image)
        wanted_admin = admin_definition(self.c.stack, self.c.settings, self.c.image)
        primary = replace(snapshot.primary, desired=snapshot.service["desiredCount"])
        situation = Situation(
            wanted=canonical(wanted),
            wanted_admin=canonical(wanted_admin),
            primary=primary,
            running=Revision(primary.revision, self._definition(primary.revision)),
            latest=self._latest(wanted["family"]),
            latest_admin=self._latest(wanted_admin["family"]),
            releases=self._releases(snapshot),
            schema_head=self.c.image.schema_head,
            app_secret_has_value=self._app_secret_has_value(),
            minimum_tasks=int(self.c.stack["scalable_target"]["min_capacity"]),
        )
        plan = decide(situation, release_id(self.c.image.version, datetime.now(UTC)))
        self._say_plan(plan, situation)
        return plan

    def _check_architecture(self) -> None:
        """An image for another CPU would only say so as `exec format error`, task after task."""
        tasks, image = self.c.stack["cpu_architecture"], self.c.image.architecture
        if image and image != tasks:
            raise ReleaseError(
                f"{self.c.environment}: the image is built for {image} and the tasks run on {tasks}. Nothing was "
                f"changed.\nNext: set app_cpu_architecture in the inventory, or build on such a machine",
                f"an image for {image}, tasks on {tasks}",
            )

    def _say_plan(self, plan: Plan, situation: Situation) -> None:
        version = self.c.image.version
        if plan.resumes:
            self.c.say(f"{situation.running.name} ({version}) is what is wanted and unconfirmed: taking it up")
        elif plan.needed:
            self.c.say(f"to release: {version}, over {situation.running.name}")
            for line in plan.changes or ["ECS gave up the last rollout of this definition"]:
                self.c.say(f"  {line}")
        else:
            self.c.say(f"nothing to release: {situation.running.name} ({version}) runs already")

    # -- register ----------------------------------------------------------------------------------------------

    def register(self, plan: Plan, *, preview: bool = False) -> tuple[Plan, bool]:
        """Register what is missing of the two revisions; the plan with their ARNs, and whether one was."""
        service = self._registered(plan.revision, service_definition, preview)
        admin = self._registered(plan.admin_revision, admin_definition, preview)
        changed = plan.revision is None or plan.admin_revision is None
        return replace(plan, revision=service, admin_revision=admin), changed

    def _registered(
        self,
        revision: str | None,
        render: Callable[[Mapping[str, Any], Settings, Image], dict[str, Any]],
        preview: bool,
    ) -> str | None:
        if revision:
            self.c.say(f"nothing to register: {_name(revision)} is what is wanted")
            return revision
        definition = render(self.c.stack, self.c.settings, self.c.image)
        if preview:
            self.c.say(f"would register a revision of {definition['family']}")
            return None
        arn = self._register(definition)
        self.c.say(f"registered {_name(arn)}")
        return arn

    def _register(self, definition: Mapping[str, Any]) -> str:
        try:
            answer = self.ecs.register_task_definition(**definition, tags=tags(self.c.image, self.c.environment))
        except ClientError as error:
            raise ReleaseError(
                f"{self.c.environment}: ECS refused the task definition of {definition['family']}: {error}",
                f"ECS refused the task definition: {error.response['Error']['Message']}",
            ) from error
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    # -- prepare -----------------------------------------------------------------------------------------------

    def prepare(self, plan: Plan, *, preview: bool = False) -> bool:
        """Migrate the schema and see to the application's database user, by a one-off task; whether it changed any.

        Raises:
            ReleaseError: the task failed, with its output.
        """
        if not plan.prepare:
            self.c.say("the database is prepared for this version")
            return False
        if preview:
            self.c.say(f"would prepare the database: {plan.prepare}")
            return True
        self.c.say(f"preparing the database: {plan.prepare}")
        runner = Runner(
            self.ecs,
            self.logs,
            self.c.say,
            poll_seconds=self.c.limits.poll,
            log_grace_seconds=self.c.limits.log_grace,
            sleep=self.c.sleep,
        )
        what = OneOff(
            cluster=self.c.cluster,
            task_definition=str(plan.admin_revision),
            container=self.c.container,
            command=PREPARE_COMMAND,
            environment={},
            subnets=self.c.stack["private_subnet_ids"],
            security_groups=self.c.stack["admin_security_group_ids"],
            started_by=f"{self.c.stack['name_prefix']}-prepare",
        )
        try:
            for arn in runner.left_running(what):
                self.c.say(f"an interrupted run left {_name(arn)} running: waiting for it")
                runner.follow(what.cluster, what.container, arn, self.c.limits.prepare_wait)
            finished = runner.follow(what.cluster, what.container, runner.start(what), self.c.limits.prepare_wait)
        except TaskError as error:
            raise self._prepare_failed(str(error), error.output) from error
        if finished.stop.exit_code != 0:
            raise self._prepare_failed(str(finished.stop), finished.output)
        return prepare_changed(finished.output)

    def _prepare_failed(self, reason: str, output: Sequence[str]) -> ReleaseError:
        report = Report(
            title=f"{self.c.environment}: preparing the database for {self.c.image.version} failed: {reason}",
            log_of="the admin task",
            log_lines=list(output)[-20:],
            notes=["The service was not touched."],
            serving=self._serving_text(self.watch.snapshot()),
            next_command=self.c.retry_command,
        )
        return ReleaseError(report.summary(), f"prepare: {reason}", report.evidence())

    # -- update ------------------------------------------------------------------------------------------------

    def begin(self, plan: Plan) -> None:
        """Record that the release begins, before anything that clients could notice."""
        service = incarnation(self.watch.snapshot().service)
        self.ledger.append(self._event(plan, service, Outcome.IN_PROGRESS, self.c.why))

    def update(self, plan: Plan, holder: str | None, *, preview: bool = False) -> bool:
        """Point the service at the revision and see that deployment, and no other, to its end; whether it did.

        Raises:
            ReleaseError: anything but success, with a report of why; the old version serves again by then.
        """
        if not plan.needed:
            self.c.say("nothing to update: the service runs what is wanted")
            return False
        if preview:
            count = "" if plan.desired_count is None else f" with {plan.desired_count} tasks"
            target = _name(plan.revision) if plan.revision else "the revision to be registered"
            self.c.say(f"would update {self.c.service} to {target}{count} and watch that deployment to its end")
            return True
        if holder is not None and not self.lock.owned_by(holder):
            raise ReleaseError(
                f"{self.c.environment}: this run lost the deployment lock to another flow and stops before it updates "
                f"the service. Nothing was changed.\nNext: make status ENV={self.c.environment}",
                "lost the deployment lock",
            )
        since = datetime.now(UTC)
        deployment = self._resumed(plan) if plan.resumes else self._start(plan)
        self.c.say(f"watching {deployment.id} ({deployment.revision_name}), at most {self.c.limits.wait:.0f} s")
        told: set[str] = set()
        judgement, snapshot = self.watch.until_done(
            deployment.id, self.c.limits.wait, lambda: self._tell_stopped(deployment.revision, told)
        )
        if judgement.verdict is Verdict.COMPLETED:
            self.c.say(f"{deployment.revision_name} is the only one that runs")
            return not plan.resumes
        raise self._failed(plan, deployment, judgement, snapshot, since)

    def _resumed(self, plan: Plan) -> Deployment:
        deployment = self.watch.snapshot().deployment(str(plan.deployment))
        if deployment is None:
            raise ReleaseError(
                f"{self.c.environment}: the deployment {plan.deployment} is gone.\nNext: {self.c.retry_command}",
                f"the deployment {plan.deployment} is gone",
            )
        return deployment

    def _start(self, plan: Plan) -> Deployment:
        request: dict[str, Any] = {
            "cluster": self.c.cluster,
            "service": self.c.service,
            "taskDefinition": plan.revision,
        }
        if plan.desired_count is not None:
            request["desiredCount"] = plan.desired_count
        if plan.force:
            request["forceNewDeployment"] = True
        try:
            service = self.ecs.update_service(**request)["service"]
        except ClientError as error:
            raise ReleaseError(
                f"{self.c.environment}: ECS refused to update {self.c.service}: {error}\nNext: {self.c.retry_command}",
                f"ECS refused the update: {error.response['Error']['Message']}",
            ) from error
        deployment = Snapshot(service=service, targets={}).primary
        if deployment.revision != plan.revision:
            raise ReleaseError(
                f"{self.c.environment}: ECS took the update but deploys {deployment.revision_name}.\n"
                f"Next: {self.c.retry_command}",
                f"ECS deploys {deployment.revision_name}",
            )
        return deployment

    def _tell_stopped(self, revision: str, told: set[str]) -> None:
        """Say each task of the new revision that failed, once, while the rollout goes on."""
        for stop in failures_first(self._stopped(revision), STOPPED_TASKS):
            if stop.task_arn not in told:
                told.add(stop.task_arn)
                self.c.say(f"  a new task stopped: {stop.task_id}: {stop}")

    def _stopped(self, revision: str) -> list[Stop]:
        return stopped_tasks(self.ecs, self.c.cluster, self.c.service, revision, self.c.container)

    def _running(self, revision: str) -> str | None:
        return newest_task(self.ecs, self.c.cluster, self.c.service, revision)

    def _failed(
        self, plan: Plan, deployment: Deployment, judgement: Judgement, snapshot: Snapshot, since: datetime
    ) -> ReleaseError:
        """Make the old version serve again, then tell what happened."""
        stops = failures_first(self._stopped(deployment.revision), STOPPED_TASKS)
        # A task that failed tells most; one that runs and never became healthy, the rest.
        witness = stops[-1].task_arn if stops else self._running(deployment.revision)
        lines = log_tail(self.ecs, self.logs, deployment.revision, witness, self.c.container) if witness else []
        targets = target_lines(self.c.clients.client("elbv2"), str(self.c.stack["target_group_arn"]))
        notes: list[str] = []
        if plan.first:
            self.ecs.update_service(cluster=self.c.cluster, service=self.c.service, desiredCount=0)
            notes.append("This was the first release: there is nothing to return to. The service has zero tasks again.")
        elif judgement.verdict is Verdict.TIMED_OUT:
            notes.append(self._stop(deployment, plan.previous_revision))
        if not plan.first and judgement.verdict is not Verdict.REPLACED:
            self.c.say("waiting until the version before it serves alone again")
            returned, snapshot = self.watch.until_quiet(self.c.limits.rollback_wait, than=deployment.revision)
            if returned.verdict is not Verdict.COMPLETED:
                notes.append(f"The rollback did not complete: {returned.reason or returned.verdict.name.lower()}.")
        else:
            snapshot = self.watch.snapshot()
        what = f"{self.c.image.version} ({deployment.revision_name})"
        report = Report(
            title=f"{self.c.environment}: the release of {what} failed: {judgement.reason}",
            stopped=stops,
            log_of=_name(witness) if witness else "",
            log_lines=lines,
            targets=targets,
            events=event_lines(snapshot.service, since - timedelta(seconds=5)),
            notes=notes,
            serving=self._serving_text(snapshot),
            next_command=f"{self.c.logs_command} to read more; after a fix, {self.c.retry_command}",
        )
        reason = f"{judgement.reason}{f' ({stops[-1]})' if stops else ''}"
        return ReleaseError(report.summary(), reason, report.evidence())

    def _stop(self, deployment: Deployment, previous_revision: str) -> str:
        """End a deployment that ran out of time by rolling it back; what was done.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html
        """
        ecs = self.ecs
        in_flight = ecs.list_service_deployments(
            cluster=self.c.cluster, service=self.c.service, status=["PENDING", "IN_PROGRESS"]
        )["serviceDeployments"]
        for item in sorted(in_flight, key=lambda item: item["createdAt"], reverse=True)[:1]:
            try:
                ecs.stop_service_deployment(serviceDeploymentArn=item["serviceDeploymentArn"], stopType="ROLLBACK")
            except ClientError as error:
                self.c.say(f"ECS would not stop it: {error}")
            else:
                return "It ran out of time and was stopped with a rollback."
        # Refused, or not listed any more: the same by the way that always works.
        ecs.update_service(cluster=self.c.cluster, service=self.c.service, taskDefinition=previous_revision)
        return f"It ran out of time; the service was pointed at {_name(previous_revision)} again."

    # -- conclude ----------------------------------------------------------------------------------------------

    def succeed(self, plan: Plan, *, preview: bool = False) -> bool:
        """Record the success and set auto scaling's limits; whether the limits were changed."""
        if plan.needed and not preview:
            service = incarnation(self.watch.snapshot().service)
            self.ledger.append(self._event(plan, service, Outcome.SUCCEEDED, self.c.why))
            self.c.say(f"recorded: {self.c.image.version} succeeded")
        elif plan.needed:
            self.c.say("would record the release in the ledger")
        return self._set_limits(preview=preview)

    def fail(self, plan: Plan, reason: str) -> None:
        """Record that the release failed, and why."""
        if plan.needed:
            service = incarnation(self.watch.snapshot().service)
            self.ledger.append(self._event(plan, service, Outcome.FAILED, reason))

    def _set_limits(self, *, preview: bool) -> bool:
        """Register the scalable target's limits if they are not what the outputs say holds now."""
        target = self.c.stack["scalable_target"]
        name = {
            "ServiceNamespace": str(target["service_namespace"]),
            "ScalableDimension": str(target["scalable_dimension"]),
        }
        autoscaling = self.c.clients.client("application-autoscaling")
        found = autoscaling.describe_scalable_targets(
            ServiceNamespace=name["ServiceNamespace"],
            ScalableDimension=name["ScalableDimension"],
            ResourceIds=[str(target["resource_id"])],
        )["ScalableTargets"]
        wanted = (int(target["min_capacity"]), int(target["max_capacity"]))
        current = (found[0]["MinCapacity"], found[0]["MaxCapacity"]) if found else None
        limits = f"{wanted[0]} to {wanted[1]} tasks"
        if current == wanted:
            self.c.say(f"auto scaling's limits are {limits}")
            return False
        self.c.say(f"{'would set' if preview else 'set'} auto scaling's limits to {limits} (were: {_limits(current)})")
        if not preview:
            autoscaling.register_scalable_target(
                **name, ResourceId=str(target["resource_id"]), MinCapacity=wanted[0], MaxCapacity=wanted[1]
            )
        return True

    # -- what the phases share -----------------------------------------------------------------------------------

    def _definition(self, arn: str) -> dict[str, Any]:
        return canonical(self.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])

    def _latest(self, family: str) -> Revision | None:
        """The newest ACTIVE revision of a family; None when it has none."""
        try:
            definition = self.ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
        except ClientError as error:
            # ECS says so of an unknown family: ClientException, "Unable to describe task definition."
            if error.response["Error"]["Code"] == "ClientException":
                return None
            raise
        return Revision(definition["taskDefinitionArn"], canonical(definition))

    def _releases(self, snapshot: Snapshot) -> list[Release]:
        return of_service(self.ledger.releases(), incarnation(snapshot.service))

    def _app_secret_has_value(self) -> bool:
        """Whether a current version exists; the value itself is not read."""
        answer = self.c.clients.client("secretsmanager").describe_secret(
            SecretId=self.c.stack["app_database_secret_arn"]
        )
        return any("AWSCURRENT" in stages for stages in (answer.get("VersionIdsToStages") or {}).values())

    def _serving_text(self, snapshot: Snapshot) -> str:
        primary = snapshot.primary
        known = {release.revision: release.version for release in self._releases(snapshot)}
        version = known.get(primary.revision, "")
        if snapshot.service["runningCount"] == 0:
            return "nothing: no task runs"
        return f"{primary.revision_name}{f' ({version})' if version else ''}, {primary.running} tasks"

    def _event(self, plan: Plan, service: str, outcome: Outcome, why: str) -> Event:
        at = datetime.now(UTC)
        return Event(
            release=plan.release,
            outcome=outcome,
            kind=Kind.RELEASE,
            service=service,
            version=self.c.image.version,
            digest=self.c.image.digest,
            revision=str(plan.revision),
            schema_head=self.c.image.schema_head,
            by=self.c.by,
            at=at,
            why=why,
            duration_seconds=None if outcome is Outcome.IN_PROGRESS else _duration(plan.release, at),
        )

    def _event_of(self, release: Release, outcome: Outcome, why: str) -> Event:
        return Event(
            release=release.id,
            outcome=outcome,
            kind=release.kind,
            service=release.service,
            version=release.version,
            digest=release.digest,
            revision=release.revision,
            schema_head=release.schema_head,
            by=self.c.by,
            at=datetime.now(UTC),
            why=why,
        )


def _duration(release: str, ended: datetime) -> float:
    return round((ended - started_at(release)).total_seconds(), 1)


def incarnation(service: Mapping[str, Any]) -> str:
    """This very service, not an earlier one of the same name: its ARN and the second of its creation."""
    return f"{service['serviceArn']}@{service['createdAt'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def prepare_changed(output: Sequence[str]) -> bool:
    """What the admin task's last JSON line says of itself; True when it says nothing that can be read."""
    for line in reversed(output):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and "changed" in said:
            return bool(said["changed"])
    return True


def _how_it_ended(release: Release, snapshot: Snapshot) -> tuple[Outcome, str]:
    """How a release ended that nobody watched."""
    primary = snapshot.primary
    if primary.revision == release.revision and primary.rollout_state != "FAILED":
        return Outcome.SUCCEEDED, "it went on and completed while nobody watched"
    for deployment in snapshot.deployments:
        if deployment.revision == release.revision and deployment.rollout_state == "FAILED":
            return Outcome.FAILED, deployment.reason or "ECS gave it up while nobody watched"
    return Outcome.STOPPED, f"interrupted; the service runs {primary.revision_name}"


def _name(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def _limits(limits: tuple[int, int] | None) -> str:
    return f"{limits[0]} to {limits[1]}" if limits else "none"
