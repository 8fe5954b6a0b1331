"""One ECS service: update it to a revision, follow the deployment, and go back to the previous revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.ecs import service_deployments
from fargate_ops.ecs.rollout import Deployment, Failures, Judgement, Snapshot, Verdict, Watch
from fargate_ops.ecs.tasks import short
from fargate_ops.ecs.traffic import target_groups
from fargate_ops.release.admin_task import AdminTasks
from fargate_ops.release.context import Context, ReleaseError
from fargate_ops.release.failure import FailureReports
from fargate_ops.release.guard import Guard
from fargate_ops.release.in_flight import InFlight
from fargate_ops.release.journal import Journal
from fargate_ops.release.new_tasks import NewTasks
from fargate_ops.release.stages import StrategyStages
from fargate_ops.release.strategy import ROLLING, Name, Strategy, attached, load_balancers, name_in
from fargate_ops.release.verify import Subject
from fargate_ops.state.ledger import Release

#: ECS creates a service deployment a moment before its deployment.
SERVICE_DEPLOYMENT_EARLIER = timedelta(seconds=5)


class Service:
    """Updates and watches the service of one environment."""

    def __init__(self, context: Context, guard: Guard, journal: Journal, admin_tasks: AdminTasks) -> None:
        self.c = context
        self._guard, self._admin_tasks = guard, admin_tasks
        self.failures = FailureReports(context, guard, journal, self.snapshot)

    @property
    def _ecs(self) -> Any:
        return self.c.clients.client("ecs")

    @cached_property
    def watch(self) -> Watch:
        return Watch(
            self._ecs,
            self.c.clients.client("elbv2"),
            cluster=self.c.cluster,
            service=self.c.service,
            target_groups=target_groups(self.c.stack),
            say=self.c.say,
            poll_seconds=self.c.limits.poll,
            sleep=self.c.sleep,
        )

    def snapshot(self) -> Snapshot:
        """Return the service now, despite transient AWS errors."""
        return self.c.retry(self.watch.snapshot)

    # -- updates -----------------------------------------------------------------------------------------------

    def update(
        self,
        revision: str,
        *,
        desired_count: int | None = None,
        force: bool = False,
        strategy: Strategy = ROLLING,
        load_balancers: Sequence[Mapping[str, Any]] = (),
    ) -> Snapshot:
        """Update the service to a revision. Return the update's own answer, whose deployments are never outdated.

        Unless forced, an update to the revision that PRIMARY runs starts no deployment:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html

        Raises:
            ReleaseError: ECS refused, or it deploys another revision.
        """
        request: dict[str, Any] = {"cluster": self.c.cluster, "service": self.c.service, "taskDefinition": revision}
        if desired_count is not None:
            request["desiredCount"] = desired_count
        if force:
            request["forceNewDeployment"] = True
        if load_balancers:
            request["loadBalancers"] = load_balancers
        if configuration := strategy.deployment_configuration(self.c.stack):
            request["deploymentConfiguration"] = configuration
        try:
            service = self._ecs.update_service(**request)["service"]
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

    def attach(self) -> Deployment | None:
        """Attach the second target group and the listener rules, which every strategy but rolling needs.

        Return the rolling deployment of the running revision that does it; None if they are attached. Before that, ECS
        refuses another strategy:
        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/update-rolling-to-bluegreen.html
        """
        snapshot = self.snapshot()
        if attached(snapshot.service, self.c.stack):
            return None
        balancers = load_balancers(snapshot.service, self.c.stack)
        return self.update(snapshot.primary.revision, load_balancers=balancers).primary

    def rest(self) -> None:
        """Let the next deployment be a rolling one, whoever starts it: rotation-bot knows nothing of strategies.

        An update of the ``deploymentConfiguration`` alone starts no deployment. An error is printed: the next release
        sends its own.
        """
        snapshot = self.snapshot()
        configuration = ROLLING.deployment_configuration(self.c.stack)
        if not configuration or name_in(configuration_of(snapshot)) is Name.ROLLING:
            return
        try:
            self._ecs.update_service(
                cluster=self.c.cluster, service=self.c.service, deploymentConfiguration=configuration
            )
        except (ClientError, BotoCoreError) as error:
            self.c.say(f"warning: the service keeps its strategy until the next release: {error}")

    def put_back(self, revision: str, previous: str, *, updated: bool = True) -> Deployment | None:
        """Update the service to ``previous`` if it runs ``revision``. Return the new deployment; None if there is none.

        For seconds after an update, ECS may still return ``previous``. So a service that may have been ``updated`` is
        updated again, and the answer shows whether it ran ``revision``. ECS refuses a change of the strategy during a
        deployment: one that is not rolling is stopped, which puts ``previous`` back without a new deployment.
        """
        snapshot = self.snapshot()
        seen = snapshot.primary
        if seen.rollout_state == "IN_PROGRESS" and is_staged(snapshot):
            self.c.say(self.stop(seen, previous))
            self.until_rolled_back(seen)
            self.rest()
            back = self.snapshot().primary
            return None if back.id == seen.id else back
        if seen.revision != revision and not (updated and seen.revision == previous):
            return None
        try:
            back = self.update(previous).primary
        except ReleaseError:
            if seen.revision == revision:
                raise
            return None
        return None if back.id == seen.id else back

    def scale_to_zero(self) -> Snapshot:
        """Stop all tasks of a failed first release. Return the update's own answer."""
        service = self._ecs.update_service(cluster=self.c.cluster, service=self.c.service, desiredCount=0)["service"]
        return Snapshot(service=service, targets={})

    def stop(self, deployment: Deployment, back_to: str) -> str:
        """Stop this deployment, if it is in progress, by rolling it back. Return what was done.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html
        """
        ecs, ours = self._ecs, self._service_deployment(deployment)
        if ours.get("status") in ("PENDING", "IN_PROGRESS"):
            try:
                ecs.stop_service_deployment(serviceDeploymentArn=ours["serviceDeploymentArn"], stopType="ROLLBACK")
            except ClientError as error:
                self.c.say(f"ECS did not stop it: {error}")
            else:
                return "It was stopped with a rollback."
            ours = self._service_deployment(deployment)
        if is_staged(self.snapshot()) and str(ours.get("status", "")).startswith("ROLLBACK_"):
            return "ECS was undoing it already."
        # Refused, or not listed any more: an update to the previous revision always works.
        self.update(back_to)
        return f"The service was pointed at {short(back_to)} again."

    def refuse_in_flight(self, going: InFlight, releases: Sequence[Release]) -> None:
        """Stop a command that would interfere with a release which is not rolling and not over.

        Raises:
            ReleaseError: with who began it, when it ends, and the commands that end it earlier.
        """
        begun = next((item for item in reversed(releases) if item.revision == going.deployment.revision), None)
        name, environment = begun.name if begun else going.deployment.revision_name, self.c.environment
        by = f" of {begun.by} since {begun.started.astimezone():%F %T}" if begun else ""
        promote = f"make promote ENV={environment}, which continues it; or " if going.seen.pause else ""
        raise ReleaseError(
            f"{environment}: the release {name}{by} is not over: {going.line}; {going.end}. Nothing was changed.\n"
            f"Next: {promote}make abort ENV={environment}, which undoes it; or wait, then {self.c.retry_command}",
            f"the release {name} is not over",
        )

    # -- waits ------------------------------------------------------------------------------------------

    def stages(
        self, snapshot: Snapshot, deployment: Deployment, subject: Subject, *, begun: bool, wait: bool
    ) -> StrategyStages | None:
        """Return what follows the stages of a release's deployment, which has ``begun`` before this run, or has not.

        None if it is rolling.
        """
        if not is_staged(snapshot):
            return None
        strategy = self.c.strategy.in_flight(configuration_of(snapshot))
        find = partial(self._service_deployment_arn, deployment)
        return StrategyStages(self.c, self._guard, strategy, deployment, subject, find, begun=begun, wait=wait)

    def follow(
        self,
        deployment: Deployment,
        what: str,
        give_up: Callable[[Judgement], list[str]],
        stages: StrategyStages | None = None,
    ) -> str:
        """Wait until this deployment has succeeded, with the ``stages`` of its strategy if it is not rolling.

        Return what it does if the wait leaves it earlier; else an empty string. After a failure, ``give_up`` goes back
        to the previous version and returns notes about that.

        Raises:
            ReleaseError: it did not succeed; with a report of the cause and of what serves now.
        """
        since = datetime.now(UTC)
        limit = self.c.limits.wait + (stages.seconds if stages else 0.0)
        limit = self._guard.within(limit, keep=self.c.limits.rollback_wait)
        self.c.say(f"watching {deployment.id} ({deployment.revision_name}), at most {limit:.0f} s")
        tasks = self._new_tasks(deployment)
        rolled_back = partial(self._rolled_back_by_ecs, deployment)
        judgement, _ = self.watch.until_done(
            deployment.id, limit, tasks.look, since=deployment.created, rolled_back=rolled_back, stages=stages
        )
        if judgement.verdict is Verdict.REPLACED and not judgement.known and (reason := rolled_back()):
            judgement = Judgement(Verdict.FAILED, reason)
        if judgement.verdict is Verdict.COMPLETED:
            self.c.say(f"{deployment.revision_name} is the only one that runs")
            return ""
        if judgement.verdict is Verdict.LEFT:
            return judgement.reason
        raise self.failures.error(deployment, what, judgement, since=since, give_up=give_up, exhausted=tasks.exhausted)

    def until_completed(self, back: Deployment) -> Judgement:
        """Wait for the deployment that puts a revision back. Like `follow`, free database connections for its tasks."""
        failures: Callable[[], Failures] = Failures
        try:
            failures = self._new_tasks(back).look
        except (ClientError, BotoCoreError) as error:  # undoing is more important
            self.c.say(f"  its tasks cannot be inspected ({error})")
        limit = self._guard.within(self.c.limits.rollback_wait)
        judgement, _ = self.watch.until_done(back.id, limit, failures, since=back.created)
        return judgement

    def until_stable(self) -> tuple[Judgement, Snapshot]:
        """Wait until the service has no deployment in progress, whoever started it."""
        limit = self._guard.within(self.c.limits.wait, keep=self.c.limits.rollback_wait)
        return self.watch.until_stable(limit, failures=self.failures_since())

    def until_rolled_back(self, bad: Deployment) -> list[str]:
        """Wait until ECS has rolled this deployment back. Return a note if that did not complete."""
        self.c.say("waiting until the previous version is the only one running again")
        returned, _ = self.watch.until_stable(
            self._guard.within(self.c.limits.rollback_wait), other_than=bad.id, failures=self.failures_since()
        )
        if returned.verdict is Verdict.COMPLETED:
            return []
        return [f"The rollback did not complete: {returned.reason or returned.verdict.name.lower()}."]

    def failures_since(self) -> Callable[[Deployment], Failures]:
        """Return a function that returns the failures of PRIMARY's tasks from now on, whichever deployment that is."""
        seen: dict[str, NewTasks] = {}

        def look(primary: Deployment) -> Failures:
            if primary.id not in seen:
                seen[primary.id] = self._new_tasks(primary)
            return seen[primary.id].look()

        return look

    # -- deployments -----------------------------------------------------------------------------------------

    def _new_tasks(self, deployment: Deployment) -> NewTasks:
        return NewTasks(
            self._ecs,
            self.c.clients.client("logs"),
            cluster=self.c.cluster,
            service=self.c.service,
            container=self.c.container,
            deployment=deployment,
            say=self.c.say,
            free=self._admin_tasks.free_connections,
        )

    def why_undone(self, revision: str, since: datetime) -> str:
        """Return why ECS undid the deployment of a revision that began then or later; empty if it did not."""
        ours = self._first_service_deployment(revision, since)
        if not str(ours.get("status", "")).startswith("ROLLBACK_"):
            return ""
        found = service_deployments.describe(self._ecs, ours["serviceDeploymentArn"])
        return found.cause if found else ""

    def _service_deployment_arn(self, deployment: Deployment) -> str:
        return str(self._service_deployment(deployment).get("serviceDeploymentArn", ""))

    def _rolled_back_by_ecs(self, deployment: Deployment) -> str:
        """Return why ECS itself rolled this deployment back; empty if it did not.

        A rollback may begin and end between two polls. The failed deployment is then gone from the service.
        """
        ours = self._service_deployment(deployment)
        if not str(ours.get("status", "")).startswith("ROLLBACK_"):
            return ""
        return str(ours.get("statusReason") or "ECS rolled the deployment back")

    def _service_deployment(self, deployment: Deployment) -> Mapping[str, Any]:
        """Return the service deployment of this deployment; empty if unknown."""
        return self._first_service_deployment(deployment.revision, deployment.created)

    def _first_service_deployment(self, revision: str, created: datetime | None) -> Mapping[str, Any]:
        """Return the service deployment of a revision that was created then; empty if unknown.

        The newest one may be somebody else's, and ours may not be listed yet.
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServiceDeployments.html
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceRevisions.html
        """
        since = created - SERVICE_DEPLOYMENT_EARLIER if created else None
        listed = self._ecs.list_service_deployments(cluster=self.c.cluster, service=self.c.service, maxResults=10)
        found = [item for item in listed["serviceDeployments"] if since is None or item["createdAt"] >= since]
        if not found:
            return {}
        targets = [item["targetServiceRevisionArn"] for item in found]
        described = self._ecs.describe_service_revisions(serviceRevisionArns=targets)["serviceRevisions"]
        revisions = {item["serviceRevisionArn"]: item["taskDefinition"] for item in described}
        mine = [item for item in found if revisions.get(item["targetServiceRevisionArn"]) == revision]
        # A later one with the same task definition is another. Ours is the first since its creation, if that is known.
        newest_first = sorted(mine, key=lambda item: item["createdAt"], reverse=since is None)
        return newest_first[0] if newest_first else {}


def configuration_of(snapshot: Snapshot) -> Mapping[str, Any]:
    """Return the service's ``deploymentConfiguration``, that of a deployment in progress if there is one."""
    configuration: Mapping[str, Any] = snapshot.service.get("deploymentConfiguration") or {}
    return configuration


def is_staged(snapshot: Snapshot) -> bool:
    """Return whether the strategy of the service, and of its deployment in progress, is not rolling."""
    return name_in(configuration_of(snapshot)) is not Name.ROLLING
