"""What a release and a rollback share: one ECS service, its ledger and its lock; moving it and watching it move."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.aws.retry import Patience
from fargate_ops.ecs.failure_report import (
    STOPPED_TASKS,
    Report,
    event_lines,
    failures_first,
    log_tail,
    newest_task,
    stopped_tasks,
    target_lines,
)
from fargate_ops.ecs.rollout import Deployment, Failures, Judgement, Snapshot, Verdict, Watch, flapping
from fargate_ops.ecs.scaling import ScalableTarget
from fargate_ops.ecs.schedule import Capacity, capacity_at
from fargate_ops.ecs.tasks import (
    Finished,
    OneOff,
    Runner,
    Stop,
    describe_tasks,
    list_tasks,
    private_address,
)
from fargate_ops.notify.slack import Message, Subject
from fargate_ops.release import connections, running, verify
from fargate_ops.release.deadline import LEAST_SECONDS
from fargate_ops.release.new_tasks import NewTasks
from fargate_ops.release.running import Doubt
from fargate_ops.state.ledger import (
    Event,
    History,
    Ledger,
    Outcome,
    Release,
    of_service,
    rolling_back,
    started_at,
)
from fargate_ops.state.lock import LockStore
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]
T = TypeVar("T")

#: What was just made is seen after a moment: so often is it looked for, with so many seconds in between.
PROOF_LOOKS = 5
PROOF_SECONDS = 2.0
#: ECS is done once all tasks are healthy at one moment. Where some ended by themselves, the others have to live so many
#: times as long, within a limit in seconds. This share of the desired tasks may end all the same.
OUTLIVE_FACTOR = 2.0
LONGEST_PROOF_SECONDS = 120.0
TOLERATED_SHARE = 0.05
#: What a first release says whose tasks were stopped.
ZERO_TASKS = "This was the first release: there is nothing to return to. The service has zero tasks again."
#: ECS notes a service deployment and its deployment one after the other.
SERVICE_DEPLOYMENT_EARLIER = timedelta(seconds=5)


class ReleaseError(Exception):
    """A release or a rollback failed: what happened and what to do next, in few lines.

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


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything that stays the same from phase to phase.

    ``holder`` names this run for the deployment lock, None where it needs none; ``say`` tells the screen, ``notify``
    people elsewhere; ``verify`` says whether a revision serves alone; ``now`` is the clock by which the schedule of
    scaling is read; ``time_left`` are the seconds that the whole command still has.
    """

    clients: Clients
    bucket: str
    environment: str
    stack: Stack
    limits: Limits
    holder: str | None
    by: str
    why: str
    say: Say
    notify: Callable[[Message], None]
    sleep: Callable[[float], None]
    retry_command: str
    logs_command: str
    verify: Callable[[verify.Subject], verify.Verification]
    now: Callable[[], datetime] = _utc_now
    time_left: Callable[[], float] = lambda: math.inf

    @property
    def cluster(self) -> str:
        return self.stack.cluster_name

    @property
    def service(self) -> str:
        return self.stack.service_name

    @property
    def container(self) -> str:
        return self.stack.container_name


class Operation:
    """One service that is to run another revision."""

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
            target_group_arn=self.c.stack.target_group_arn,
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

    # -- the lock ----------------------------------------------------------------------------------------------

    def lost_lock(self) -> str:
        """Who took the lock from this run; empty while it has it, or needs none."""
        return self.lock.loss(self.c.holder) if self.c.holder else ""

    def keep_lock(self, done: str) -> None:
        """Stop here if another flow has taken the lock; ``done`` says what was done until now.

        Raises:
            ReleaseError: it has.
        """
        if lost := self.lost_lock():
            raise ReleaseError(
                f"{self.c.environment}: this run was stopped: it lost the deployment lock, {lost}. {done}\n"
                f"Next: make status ENV={self.c.environment}",
                f"stopped: lost the deployment lock, {lost}",
            )

    # -- time --------------------------------------------------------------------------------------------------

    def within(self, limit: float, *, keep: float = 0.0) -> float:
        """A limit for a wait, or what the command has left when ``keep`` seconds are kept for what may follow."""
        return min(limit, max(LEAST_SECONDS, self.c.time_left() - keep))

    def keep_time(self, done: str) -> None:
        """Stop here if a change that fails could not be undone in the time that is left; ``done`` as in `keep_lock`.

        Raises:
            ReleaseError: it could not.
        """
        left, undo = self.c.time_left(), self.c.limits.rollback_wait
        if left < undo + LEAST_SECONDS:
            raise ReleaseError(
                f"{self.c.environment}: this run has {max(0, left):.0f} s left, and undoing a failure may take "
                f"{undo:.0f} s. {done}\nNext: {self.c.retry_command}, which finds the work done until now",
                f"no time left: {max(0, left):.0f} s",
            )

    # -- what runs ---------------------------------------------------------------------------------------------

    def patiently(self, call: Callable[[], T]) -> T:
        """What a call returns, whatever failure of AWS that passes comes first: see `Patience`.

        For what follows a change: an error that is raised there undoes it.
        """
        patience = Patience(self.c.say)
        while (found := patience.look(call)) is None:
            self.c.sleep(PROOF_SECONDS)
        return found

    def snapshot(self) -> Snapshot:
        """The service as it is, patiently."""
        return self.patiently(self.watch.snapshot)

    # -- moving ------------------------------------------------------------------------------------------------

    def move(self, revision: str, *, desired_count: int | None = None, force: bool = False) -> Deployment:
        """Point the service at a revision; the deployment that this started.

        Raises:
            ReleaseError: ECS refused, or deploys something else.
        """
        return self.moved(revision, desired_count=desired_count, force=force).primary

    def moved(self, revision: str, *, desired_count: int | None = None, force: bool = False) -> Snapshot:
        """`move`, with all deployments as the update's own answer shows them: it is never an old one.

        An update that is not forced starts nothing where the service has what is wanted:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
        """
        request: dict[str, Any] = {"cluster": self.c.cluster, "service": self.c.service, "taskDefinition": revision}
        if desired_count is not None:
            request["desiredCount"] = desired_count
        if force:
            request["forceNewDeployment"] = True
        try:
            service = self.ecs.update_service(**request)["service"]
        except ClientError as error:
            raise ReleaseError(
                f"{self.c.environment}: ECS refused to update {self.c.service}: {error}\nNext: {self.c.retry_command}",
                f"ECS refused the update: {error.response['Error']['Message']}",
            ) from error
        snapshot = Snapshot(service=service, targets={})
        deployment = snapshot.primary
        if deployment.revision != revision:
            raise ReleaseError(
                f"{self.c.environment}: ECS took the update but deploys {deployment.revision_name}.\n"
                f"Next: {self.c.retry_command}",
                f"ECS deploys {deployment.revision_name}",
            )
        return snapshot

    def put_back(self, revision: str, previous: str, *, updated: bool = True) -> Deployment | None:
        """Point the service at ``previous`` if it is at ``revision``; the deployment that this started, None if none.

        For seconds after an update a look may show ``previous``: unless the service was never ``updated``, it is now,
        and that tells.
        """
        seen = self.snapshot().primary
        if seen.revision != revision and not (updated and seen.revision == previous):
            return None
        try:
            back = self.move(previous)
        except ReleaseError:
            if seen.revision == revision:
                raise
            return None
        return None if back.id == seen.id else back

    def until_in_service(self, back: Deployment) -> Judgement:
        """See what was put back to its end; as `follow`, it makes room in the database for its tasks."""
        failures: Callable[[], Failures] = Failures
        try:
            failures = self._new_tasks(back).look
        except (ClientError, BotoCoreError) as error:  # to undo it matters more
            self.c.say(f"  its tasks cannot be looked at ({error})")
        limit = self.within(self.c.limits.rollback_wait)
        judgement, _ = self.watch.until_done(back.id, limit, failures, since=back.created)
        return judgement

    def follow(self, deployment: Deployment, what: str, give_up: Callable[[Judgement], list[str]]) -> None:
        """See this deployment, and no other, to its end.

        ``give_up`` is called when it failed, and says what it did about the service.

        Raises:
            ReleaseError: anything but success, with a report of why and of what serves now.
        """
        since = datetime.now(UTC)
        limit = self.within(self.c.limits.wait, keep=self.c.limits.rollback_wait)
        self.c.say(f"watching {deployment.id} ({deployment.revision_name}), at most {limit:.0f} s")
        tasks = self._new_tasks(deployment)
        undone = partial(self._rolled_back_by_ecs, deployment)
        judgement, _ = self.watch.until_done(deployment.id, limit, tasks.look, since=deployment.created, undone=undone)
        if judgement.verdict is Verdict.REPLACED and (reason := undone()):
            judgement = Judgement(Verdict.FAILED, reason)
        if judgement.verdict is Verdict.COMPLETED:
            self.c.say(f"{deployment.revision_name} is the only one that runs")
            return
        raise self._failed(deployment, what, judgement, since=since, give_up=give_up, exhausted=tasks.exhausted)

    def _new_tasks(self, deployment: Deployment) -> NewTasks:
        return NewTasks(
            self.ecs,
            self.logs,
            cluster=self.c.cluster,
            service=self.c.service,
            container=self.c.container,
            deployment=deployment,
            say=self.c.say,
            free=self._free_connections,
        )

    # -- evidence ----------------------------------------------------------------------------------------------

    def doubts(self, primary: Deployment, *, looks: int = PROOF_LOOKS) -> list[Doubt]:
        """What speaks against the tasks that run, see `running`, and still does after some seconds.

        A task that just started has no log stream yet, and the load balancer may answer with the targets of before.
        """
        look = partial(self.patiently, partial(running.doubts, self.c.clients, self.c.stack, primary))
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
        found = [doubt.reason for doubt in self.doubts(self.snapshot().primary) if not doubt.secret]
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
        deployment = self.snapshot().primary
        look = partial(self.patiently, partial(self._ended_by_themselves, deployment))
        ended = look()
        if not ended:
            return
        lived = max(stop.lived for stop in ended)
        seconds = self.within(min(OUTLIVE_FACTOR * lived, LONGEST_PROOF_SECONDS), keep=self.c.limits.rollback_wait)
        self.c.say(
            f"{len(ended)} of its tasks ended by themselves, after {lived:.0f} s at most: watching for {seconds:.0f} s"
        )
        tolerated = len(ended) + math.floor(TOLERATED_SHARE * deployment.desired)
        for _ in range(math.ceil(seconds / PROOF_SECONDS)):
            self.c.sleep(PROOF_SECONDS)
            if len(now := look()) > tolerated:
                raise self._failed(deployment, what, flapping(len(now)), since=deployment.created)

    def _ended_by_themselves(self, deployment: Deployment) -> list[Stop]:
        """Tasks of a deployment that ran, and ended by themselves."""
        since = deployment.created
        stops = self._stopped(deployment.revision)
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

    # -- one-off tasks -----------------------------------------------------------------------------------------

    def runner(self) -> Runner:
        limits = self.c.limits
        return Runner(
            self.ecs,
            self.logs,
            self.c.say,
            poll_seconds=limits.poll,
            log_grace_seconds=limits.log_grace,
            sleep=self.c.sleep,
        )

    def run_admin_task(
        self,
        purpose: str,
        command: Sequence[str],
        revision: str,
        *,
        complete: Callable[[Sequence[str]], bool] | None = None,
    ) -> Finished:
        """Run an admin task to its end, after one that an interrupted run left; once more if the database was full.

        It logs in as the application's user too, for whom no connection is kept. ``complete`` says whether the output
        holds the result.

        Raises:
            TaskError: it could not be started, or did not end in time.
        """
        # Every task of this run, with the update after it and its undoing, within the command's time.
        wait = self.within(self.c.limits.prepare_wait, keep=self.c.limits.rollback_wait + LEAST_SECONDS)
        # The server's own limit for a statement, for when nobody is left to stop the task.
        own_limit = {"PREPARE_TIMEOUT_SECONDS": f"{max(1, wait):.0f}"}
        runner, what = self.runner(), replace(self.admin_task(purpose, command, revision), environment=own_limit)
        follow = partial(runner.follow, what.cluster, what.container, limit_seconds=wait, complete=complete)
        for arn in runner.left_running(what):
            self.c.say(f"an interrupted run left {short(arn)} running: waiting for it")
            follow(arn)
        finished = follow(runner.start(what))
        if finished.stop.exit_code != 0 and connections.are_exhausted(finished.output):
            arns = list_tasks(self.ecs, self.c.cluster, serviceName=self.c.service)
            tasks = describe_tasks(self.ecs, self.c.cluster, arns)
            if self._free_connections([private_address(task) for task in tasks]):
                finished = follow(runner.start(what))
        return finished

    def _free_connections(self, addresses: Sequence[str]) -> bool:
        """End idle sessions of the tasks with these addresses; whether any was ended."""
        task = partial(self.admin_task, "connections")
        return connections.free(self.runner(), task, sorted(filter(None, addresses)), self.c.say)

    def admin_task(self, purpose: str, command: Sequence[str], revision: str = "") -> OneOff:
        """A one-off task of the admin family, of this or of its newest revision."""
        if not revision:
            family = self.c.stack.admin_family
            found = self.ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
            revision = str(found["taskDefinitionArn"])
        return OneOff(
            cluster=self.c.cluster,
            task_definition=revision,
            container=self.c.container,
            command=command,
            environment={},
            subnets=self.c.stack.private_subnet_ids,
            security_groups=self.c.stack.admin_security_group_ids,
            started_by=f"{self.c.stack.name_prefix}-{purpose}",
        )

    # -- failures ----------------------------------------------------------------------------------------------

    def _stopped(self, revision: str) -> list[Stop]:
        return stopped_tasks(self.ecs, self.c.cluster, self.c.service, revision, self.c.container)

    def _failed(
        self,
        deployment: Deployment,
        what: str,
        judgement: Judgement,
        *,
        since: datetime | None,
        give_up: Callable[[Judgement], list[str]] = lambda _: [],
        exhausted: bool = False,
    ) -> ReleaseError:
        """Gather the evidence while it is there, see to the service, then tell what happened."""
        stops, witness, lines, targets = self._evidence(deployment.revision)
        reason = judgement.reason
        if judgement.verdict is Verdict.REPLACED and (lost := self.lost_lock()):
            reason = f"stopped: {lost}; {reason}"
        notes = give_up(judgement)
        next_command = f"{self.c.logs_command} to read more; after a fix, {self.c.retry_command}"
        if exhausted or connections.are_exhausted(lines):
            reason = f"{reason}; the database had no connection left for the new tasks"
            next_command = f"make incident-db ENV={self.c.environment}, which says who has them; then {next_command}"
        snapshot = self.snapshot()
        report = Report(
            title=f"{self.c.environment}: {what} failed: {reason}",
            stopped=stops,
            log_of=short(witness) if witness else "",
            log_lines=lines,
            targets=targets,
            events=event_lines(snapshot.service, (since or datetime.now(UTC)) - timedelta(seconds=5)),
            notes=notes,
            serving=self.serving_text(snapshot),
            next_command=next_command,
        )
        return ReleaseError(report.summary(), f"{reason}{f' ({stops[-1]})' if stops else ''}", report.evidence())

    def _evidence(self, revision: str) -> tuple[list[Stop], str | None, list[str], list[str]]:
        """Tasks of a revision that stopped, the one that tells most with its log, and targets that are not healthy.

        What AWS does not tell is left out: to undo the failure matters more.
        """

        def told(call: Callable[[], T], otherwise: T) -> T:
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                self.c.say(f"  AWS did not tell why ({error})")
                return otherwise

        stops = failures_first(told(lambda: self._stopped(revision), []), STOPPED_TASKS)
        # A task that failed tells most; one that runs and never became healthy, the rest.
        newest = partial(newest_task, self.ecs, self.c.cluster, self.c.service, revision)
        witness = stops[-1].task_arn if stops else told(newest, None)
        log = partial(log_tail, self.ecs, self.logs, revision, str(witness), self.c.container)
        balancer = self.c.clients.client("elbv2")
        targets = partial(target_lines, balancer, self.c.stack.target_group_arn)
        return stops, witness, told(log, []) if witness else [], told(targets, [])

    def _rolled_back_by_ecs(self, deployment: Deployment) -> str:
        """Why ECS itself rolled this deployment back; empty when it did not.

        A rollback may be over between two looks, and the failed deployment is gone from the service then.
        """
        ours = self._service_deployment(deployment)
        if not str(ours.get("status", "")).startswith("ROLLBACK_"):
            return ""
        return str(ours.get("statusReason") or "ECS rolled the deployment back")

    def _service_deployment(self, deployment: Deployment) -> Mapping[str, Any]:
        """The service deployment that is this deployment, by its target's task definition and its time; empty: unknown.

        The newest one may be somebody else's, and ours may not be listed yet.
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServiceDeployments.html
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceRevisions.html
        """
        since = deployment.created - SERVICE_DEPLOYMENT_EARLIER if deployment.created else None
        listed = self.ecs.list_service_deployments(cluster=self.c.cluster, service=self.c.service, maxResults=10)
        found = [item for item in listed["serviceDeployments"] if since is None or item["createdAt"] >= since]
        if not found:
            return {}
        targets = [item["targetServiceRevisionArn"] for item in found]
        described = self.ecs.describe_service_revisions(serviceRevisionArns=targets)["serviceRevisions"]
        revisions = {item["serviceRevisionArn"]: item["taskDefinition"] for item in described}
        mine = [item for item in found if revisions.get(item["targetServiceRevisionArn"]) == deployment.revision]
        # A later one of the same task definition is another: ours is the first since its time, else the newest.
        newest_first = sorted(mine, key=lambda item: item["createdAt"], reverse=since is None)
        return newest_first[0] if newest_first else {}

    def to_zero(self) -> Snapshot:
        """Leave no task of a first release that failed; the service as the update's own answer shows it."""
        service = self.ecs.update_service(cluster=self.c.cluster, service=self.c.service, desiredCount=0)["service"]
        return Snapshot(service=service, targets={})

    def until_back(self, bad: Deployment) -> list[str]:
        """Wait until another deployment than this serves alone; a note when that did not come to pass."""
        self.c.say("waiting until the version before it serves alone again")
        returned, _ = self.watch.until_quiet(
            self.within(self.c.limits.rollback_wait), than=bad.id, failures=self.failures_since()
        )
        if returned.verdict is Verdict.COMPLETED:
            return []
        return [f"The rollback did not complete: {returned.reason or returned.verdict.name.lower()}."]

    def failures_since(self) -> Callable[[Deployment], Failures]:
        """What becomes of PRIMARY's tasks from now on, for a wait for whichever deployment that is."""
        seen: dict[str, NewTasks] = {}

        def look(primary: Deployment) -> Failures:
            if primary.id not in seen:
                seen[primary.id] = self._new_tasks(primary)
            return seen[primary.id].look()

        return look

    def stop(self, deployment: Deployment, back_to: str) -> str:
        """End a deployment in flight, and no other, by rolling it back; what was done.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html
        """
        ecs, ours = self.ecs, self._service_deployment(deployment)
        if ours.get("status") in ("PENDING", "IN_PROGRESS"):
            try:
                ecs.stop_service_deployment(serviceDeploymentArn=ours["serviceDeploymentArn"], stopType="ROLLBACK")
            except ClientError as error:
                self.c.say(f"ECS would not stop it: {error}")
            else:
                return "It was stopped with a rollback."
        # Refused, or not listed any more: the same by the way that always works.
        ecs.update_service(cluster=self.c.cluster, service=self.c.service, taskDefinition=back_to)
        return f"The service was pointed at {short(back_to)} again."

    # -- auto scaling's limits ---------------------------------------------------------------------------------

    def capacity_now(self) -> Capacity:
        """The limits of the number of tasks that the inventory and the schedule say hold at this moment."""
        return capacity_at(self.c.stack.scalable_target, self.c.now())

    def set_limits(self, *, preview: bool = False) -> bool:
        """Register the limits that hold now and resume the schedule, where the target differs; whether it did.

        The schedule is suspended when the target is made, so that it never starts the placeholder's tasks.
        A scheduled action that fires in between would be overwritten, and nothing would repeat it for weeks: so the
        clock is looked at once more afterwards.
        """
        target = ScalableTarget(self.c.clients.client("application-autoscaling"), self.c.stack.scalable_target)
        registered, wanted = target.registered(), self.capacity_now()
        current, suspended = registered or (None, {})
        if resumes := bool(registered and registered.is_schedule_suspended):
            self.c.say(f"{'would resume' if preview else 'resume'} scheduled scaling")
        if current == wanted and not resumes:
            self.c.say(f"auto scaling's limits are {wanted}")
            return False
        were = f"{current.minimum} to {current.maximum}" if current else "none"
        self.c.say(f"{'would set' if preview else 'set'} auto scaling's limits to {wanted} (were: {were})")
        while not preview and (current != wanted or resumes):
            target.register(wanted, suspended)
            current, wanted, resumes = wanted, self.capacity_now(), False
        return True

    # -- what is known -----------------------------------------------------------------------------------------

    def history(self, snapshot: Snapshot) -> History:
        """The ledger of this incarnation of the service, oldest first."""
        found = self.ledger.history()
        return replace(found, releases=of_service(found.releases, incarnation(snapshot.service)))

    def releases(self, snapshot: Snapshot) -> list[Release]:
        """The releases of `history`."""
        return self.history(snapshot).releases

    def confirm_rolled_back(
        self, snapshot: Snapshot, releases: Sequence[Release], why: str, *, preview: bool = False
    ) -> None:
        """Record that what was being rolled back no longer serves, when another revision that succeeded does."""
        primary = snapshot.primary
        if primary.rollout_state != "COMPLETED":
            return
        if not any(item.revision == primary.revision and item.outcome is Outcome.SUCCEEDED for item in releases):
            return
        for release in rolling_back(releases):
            if release.revision != primary.revision:
                self.c.say(f"{'would record' if preview else 'recorded'}: {release.name} is rolled back")
                if not preview:
                    self.record(release, Outcome.ROLLED_BACK, why)

    def serving_text(self, snapshot: Snapshot) -> str:
        """What serves, for people."""
        primary = snapshot.primary
        known = {release.revision: release.name for release in self.releases(snapshot)}
        name = known.get(primary.revision, "")
        if snapshot.service["runningCount"] == 0:
            return "nothing: no task runs"
        return f"{primary.revision_name}{f' ({name})' if name else ''}, {primary.running} tasks"

    def subject(self, name: str, revision: str) -> Subject:
        """What messages about a release have in common."""
        return Subject(
            environment=self.c.environment,
            version=name,
            revision=revision,
            by=self.c.by,
            url=self.c.stack.get(Stack.public_url, ""),
        )

    def record(self, release: Release, outcome: Outcome, why: str) -> None:
        """Record what became of a release that another run began."""
        self.ledger.append(
            Event(
                release=release.id,
                outcome=outcome,
                kind=release.kind,
                service=release.service,
                version=release.version,
                digest=release.digest,
                revision=release.revision,
                schema_head=release.schema_head,
                schema_compatible=release.schema_compatible,
                restores=release.restores,
                definition_digest=release.definition_digest,
                by=self.c.by,
                at=datetime.now(UTC),
                why=why,
            )
        )


def is_in_service(release: Release, snapshot: Snapshot) -> bool:
    """Whether PRIMARY runs a release, and ECS has not given it up."""
    primary = snapshot.primary
    return primary.revision == release.revision and primary.rollout_state != "FAILED"


def incarnation(service: Mapping[str, Any]) -> str:
    """This very service, not an earlier one of the same name: its ARN and the second of its creation."""
    return f"{service['serviceArn']}@{service['createdAt'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds_since(release: str, ended: datetime) -> float:
    """How long a release of this identifier took until ``ended``, in seconds; 0 where another clock was ahead."""
    return max(0.0, round((ended - started_at(release)).total_seconds(), 1))


def short(arn: str) -> str:
    """``family:7`` of a task definition's ARN, the id of a task's."""
    return arn.rsplit("/", 1)[-1]


def versions(releases: Sequence[Release]) -> str:
    """Releases for people: ``0123456789ab+3f2a (family:7), …``."""
    return ", ".join(f"{release.name} ({release.revision_name})" for release in releases)
