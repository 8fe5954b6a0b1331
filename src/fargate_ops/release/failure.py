"""Report why a deployment failed: gather the evidence while it exists, and raise it as one error."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

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
from fargate_ops.ecs.rollout import Deployment, Judgement, Snapshot, Verdict
from fargate_ops.ecs.root_cause import root_cause
from fargate_ops.ecs.tasks import Stop, short
from fargate_ops.ecs.traffic import target_groups
from fargate_ops.release import connections
from fargate_ops.release.context import Context, ReleaseError
from fargate_ops.release.ending import failed
from fargate_ops.release.guard import Guard
from fargate_ops.release.journal import Journal

T = TypeVar("T")


class FailureReports:
    """Reports why a deployment of one service failed. ``snapshot`` returns the present service."""

    def __init__(self, context: Context, guard: Guard, journal: Journal, snapshot: Callable[[], Snapshot]) -> None:
        self.c = context
        self._guard, self._journal, self._snapshot = guard, journal, snapshot

    @property
    def _ecs(self) -> Any:
        return self.c.clients.client("ecs")

    def stopped(self, revision: str) -> list[Stop]:
        """Return the service's stopped tasks of a revision, the newest last."""
        return stopped_tasks(self._ecs, self.c.cluster, self.c.service, revision, self.c.container)

    def error(
        self,
        deployment: Deployment,
        what: str,
        judgement: Judgement,
        *,
        since: datetime | None,
        give_up: Callable[[Judgement], list[str]] = lambda _: [],
        exhausted: bool = False,
    ) -> ReleaseError:
        """Gather the evidence while it exists, then call ``give_up``, which returns notes. Return the error."""
        stops, task, lines, targets = self._evidence(deployment.revision)
        reason = judgement.reason
        cause = root_cause(stops, lines, targets, reason)
        if judgement.verdict is Verdict.REPLACED:
            lost = self._guard.lost_lock()
            reason = cause = f"stopped: {lost}; {reason}" if lost else reason
        elif judgement.known or judgement.verdict is Verdict.CANNOT_START:
            cause = reason
        notes = give_up(judgement)
        next_command = f"{self.c.logs_command} to read more; after a fix, {self.c.retry_command}"
        if exhausted or connections.are_exhausted(lines):
            cause = "the database had no connection left for the new tasks"
            reason = f"{reason}; {cause}"
            next_command = f"make incident-db ENV={self.c.environment}, which shows who holds them; then {next_command}"
        snapshot = self._snapshot()
        report = Report(
            title=f"{self.c.environment}: {what} failed: {reason}",
            cause=cause,
            stopped=stops,
            log_of=short(task) if task else "",
            log_lines=lines,
            targets=targets,
            events=event_lines(snapshot.service, (since or datetime.now(UTC)) - timedelta(seconds=5)),
            notes=notes,
            serving=self._journal.describe_serving(snapshot),
            next_command=next_command,
        )
        return ReleaseError(
            report.summary(),
            f"{reason}{f' ({stops[-1]})' if stops else ''}",
            report.evidence(),
            failed(
                f"{what} failed",
                *notes,
                where=f"{deployment.revision_name}{f', task {short(task)}' if task else ''}",
                cause=cause,
                serves=report.serving,
                next_command=next_command,
            ),
        )

    def _evidence(self, revision: str) -> tuple[list[Stop], str | None, list[str], list[str]]:
        """Return a revision's stopped tasks, the most relevant task with its log, and the targets that are not healthy.

        What AWS does not return is left out: undoing the failure is more important.
        """

        def or_else(call: Callable[[], T], otherwise: T) -> T:
            try:
                return call()
            except (ClientError, BotoCoreError) as error:
                self.c.say(f"  the cause cannot be read ({error})")
                return otherwise

        stops = failures_first(or_else(lambda: self.stopped(revision), []), STOPPED_TASKS)
        # A failed task is the most relevant; without one, the newest task, which never became healthy.
        newest = partial(newest_task, self._ecs, self.c.cluster, self.c.service, revision)
        task = stops[-1].task_arn if stops else or_else(newest, None)
        log = partial(log_tail, self._ecs, self.c.clients.client("logs"), revision, str(task), self.c.container)
        balancer = self.c.clients.client("elbv2")
        targets = partial(target_lines, balancer, target_groups(self.c.stack))
        return stops, task, or_else(log, []) if task else [], or_else(targets, [])
